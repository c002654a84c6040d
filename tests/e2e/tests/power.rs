//! The power goes: what no fsync reached is gone, on a real ext4 that is told to shut down without writing anything more.
//!
//! `kill -9` leaves the page cache as it was; this does not. The file system lies in a file, so that what was flushed is still
//! there when it is mounted again. Needs root, a loop device and perl, which every Debian has; else left out and said.

use lockstep_e2e::{Dice, Flag, Load, Shape, Timed, World, check, rounds};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: not even the journal of the file system is written.
const GO_DOWN: &str =
    "open(F, '<', shift) or die \"$!\\n\"; my $how = pack('L', 2); ioctl(F, 0x8004587d, $how) or die \"$!\\n\"";

/// An ext4 of its own; gone with its owner.
struct Ext4 {
    image: PathBuf,
    folder: PathBuf,
}

impl Ext4 {
    /// Made and mounted, and it can lose its power; else why not.
    fn new(below: PathBuf) -> Result<Ext4, String> {
        let disk = Ext4 { image: below.join("image"), folder: below.join("disk") };
        std::fs::create_dir(&disk.folder).unwrap();
        std::fs::File::create(&disk.image).and_then(|file| file.set_len(256 << 20)).unwrap();
        ran(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
        disk.mount()?;
        disk.lose_power()?;
        disk.come_back();
        Ok(disk)
    }

    fn mount(&self) -> Result<(), String> {
        ran(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.folder))
    }

    /// From here on it answers with errors, and whatever was not flushed will never have been written.
    fn lose_power(&self) -> Result<(), String> {
        ran(Command::new("perl").args(["-e", GO_DOWN]).arg(&self.folder))
    }

    /// Nobody may have it open any more.
    fn come_back(&self) {
        ran(Command::new("umount").arg(&self.folder)).unwrap();
        self.mount().unwrap();
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.folder).stderr(Stdio::null()).status().ok();
    }
}

fn ran(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|fault| format!("{program}: {fault}"))?;
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {said}")) }
}

#[test]
fn a_loss_of_power_loses_nothing_that_was_confirmed_or_sent() {
    let _timed = Timed::new("power loss");
    let mut dice = Dice::new("power loss");
    // Dropped behind the world: whoever has a file open there must be gone first.
    let below = tempfile::Builder::new().prefix("ls-power-").tempdir().unwrap();
    let disk = match Ext4::new(below.path().to_owned()) {
        Ok(disk) => disk,
        Err(why) => return println!("left out: no file system can lose its power here ({why})"),
    };
    let mut world = World::new(Shape { preload: 100, chunk_rows: 25, ..Shape::new(Flag::Spec) });
    world.engine.settings.data_dir = disk.folder.join("data").display().to_string();
    (world.engine.settings.segment_bytes, world.engine.settings.reserve_bytes) = (1 << 20, 8 << 20);
    world.engine.activate();
    let all = rounds(6, 60);
    let mut load = None;
    for round in 1..=all {
        world.engine.start();
        load.get_or_insert_with(|| Load::start(&world.cluster.writer_url(), dice.number(), 120.0));
        std::thread::sleep(dice.millis(200, 1_400));
        // The process may see its disk go, or be gone before it.
        let sees = dice.below(2) == 0;
        if !sees {
            world.engine.kill();
        }
        disk.lose_power().unwrap();
        if sees {
            std::thread::sleep(dice.millis(0, 300));
            world.engine.kill();
        }
        disk.come_back();
        if round % 3 == 0 || round == all {
            load.take().map(Load::stop);
            world.engine.start();
            println!("round {round} of {all}: {:?}", check(&mut world));
        }
    }
}
