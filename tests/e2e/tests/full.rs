//! A full disk and `kill -9` together: what was decided is settled out of the reserve, by the next life too.

use crate::faults::Disk;
use lockstep_e2e::{Flag, Load, PATIENCE, Shape, Timed, World, check, load, rounds};

#[test]
fn killed_on_a_full_disk_it_settles_what_was_decided_and_goes_on_by_itself() {
    let _timed = Timed::new("full disk, killed");
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path().join("disk"), "160m") else {
        println!("left out: a small disk cannot be mounted here (it needs root)");
        return;
    };
    let mut world = World::new(Shape { preload: 20, ..Shape::new(Flag::Spec) });
    world.engine.settings.data_dir = disk.0.join("data").display().to_string();
    (world.engine.settings.segment_bytes, world.engine.settings.reserve_bytes) = (1 << 20, 32 << 20);
    world.engine.activate();
    world.engine.start();
    let lsn = world.cluster.lsn();
    world.engine.settle(lsn);
    world.target.kill();
    load::write(&world.cluster.writer_url(), 4, 60);
    world.engine.wait_status("effects wait", PATIENCE, |status| status["unsettled"].as_u64() > Some(10));
    disk.fill(0);
    let load = Load::start(&world.cluster.writer_url(), 9, 200.0);
    world.engine.wait_status("the disk is full", PATIENCE, |status| !status["disk_full"].is_null());
    for _ in 0..rounds(1, 5) {
        world.engine.kill();
        world.engine.start();
        let status = world.engine.wait_status("it is full still", PATIENCE, |status| !status["disk_full"].is_null());
        assert!(status["unsettled"].as_u64() > Some(10), "{status}");
    }
    load.stop();
    world.target.up();
    world.engine.wait_status("acknowledgements go on", PATIENCE, |status| {
        status["unsettled"] == status["waiting"] && status["in_flight"] == 0
    });
    world.engine.kill();
    disk.clear();
    world.engine.start();
    check(&mut world);
}
