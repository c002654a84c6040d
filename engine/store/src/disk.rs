//! What the stores on disk have in common: checkpoints by a thread of their own, and what their faults say.
//!
//! * A checkpoint is written by a thread that lives as long as it; the store itself never waits for a disk but where it is
//!   asked to.
//! * The first fault poisons the store (J19): what the disk did is unknown, so nothing that follows would count.

use crate::{
    layered::{Base, FirstFault, Layered},
    overlay::Layer,
};
use ports::{Failure, Fault, StateStore, StateTxn};
use std::{
    fmt::Display,
    io,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

/// Says whose file it is and how its keys are laid out; another text is refused (J5).
pub const FORMAT: &[u8] = b"lockstep store v0";
pub const REBUILD: &str =
    "the store is a cache: stop the engine and run `lockstep state rebuild`, which folds the journal again";

/// A place where checkpoints go.
pub trait Disk: Send + Sync + 'static {
    /// What the last checkpoint wrote. Its default reads nothing, and holds nothing open.
    type Base: Base + Default + Send + 'static;

    /// For texts.
    fn path(&self) -> &Path;

    /// What the last checkpoint wrote, which the steps read while the next one is written.
    fn read(&self) -> Result<Self::Base, Fault>;

    /// What the last checkpoint wrote, and no later one changes. Faults of its reading go to `fault`, too.
    fn frozen(&self, fault: FirstFault) -> Result<Box<dyn StateTxn + Send>, Fault> {
        Ok(Box::new(Layered::new(self.read()?, fault)))
    }

    /// Writes a layer: atomic, durable on return.
    fn write(&self, layer: &Layer) -> Result<(), Fault>;

    /// Removes everything: atomic, durable on return.
    fn clear(&self) -> Result<(), Fault>;
}

/// A state store on disk.
pub struct DiskStore<D: Disk> {
    disk: Arc<D>,
    state: Layered<D::Base>,
    /// The checkpoint that is being written.
    writing: Option<JoinHandle<Result<D::Base, Fault>>>,
}

impl<D: Disk> DiskStore<D> {
    /// Over what the last checkpoint wrote.
    pub(crate) fn over(disk: D) -> Result<DiskStore<D>, Fault> {
        let state = Layered::new(disk.read()?, FirstFault::default());
        Ok(DiskStore { disk: Arc::new(disk), state, writing: None })
    }

    /// Moves the readable base to what was written.
    fn settle(&mut self, written: Result<D::Base, Fault>) -> Result<(), Fault> {
        match written {
            Ok(base) => {
                self.state.base = base;
                self.state.settle();
                Ok(())
            }
            Err(fault) => Err(self.state.poison(fault)),
        }
    }

    fn join(&mut self) -> Result<(), Fault> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let written = writing.join().unwrap_or_else(|_| {
            // What it says of itself went to the panic hook; nobody knows what is in the file.
            Err(storage(self.disk.path(), "written", Met::Content, &"the thread that wrote the checkpoint panicked"))
        });
        self.settle(written)
    }
}

impl<D: Disk> Drop for DiskStore<D> {
    /// The file is held while it is written.
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            drop(writing.join());
        }
    }
}

impl<D: Disk> StateStore for DiskStore<D> {
    fn txn(&mut self) -> &mut dyn StateTxn {
        &mut self.state
    }

    fn accept(&mut self) {
        self.state.overlay.accept();
        if self.writing.as_ref().is_some_and(JoinHandle::is_finished) {
            // Remembered, if it is a fault: whoever drives the store asks for it before the next step counts.
            self.join().ok();
        }
    }

    fn discard(&mut self) {
        self.state.overlay.discard();
    }

    fn overlay_bytes(&self) -> usize {
        self.state.overlay.bytes()
    }

    fn begin_checkpoint(&mut self) -> Result<(), Fault> {
        self.finish_checkpoint()?;
        let layer = self.state.overlay.freeze();
        if layer.is_empty() {
            self.state.settle();
            return Ok(());
        }
        let disk = self.disk.clone();
        let write = move || disk.write(&layer).and_then(|()| disk.read());
        match thread::Builder::new().name("store".to_owned()).spawn(write) {
            Ok(writing) => {
                self.writing = Some(writing);
                Ok(())
            }
            Err(error) => {
                let what = format!("no thread can be started for the checkpoint: {error}");
                let fault = Fault::new(Failure::Misconfigured, what).cure("raise the limit of threads of this user");
                Err(self.state.poison(fault))
            }
        }
    }

    fn finish_checkpoint(&mut self) -> Result<(), Fault> {
        self.join()?;
        self.state.sound()
    }

    fn is_checkpointing(&self) -> bool {
        self.writing.is_some()
    }

    fn clear(&mut self) -> Result<(), Fault> {
        self.finish_checkpoint()?;
        // An open reader would keep what this frees.
        self.state.base = D::Base::default();
        let emptied = self.disk.clear().and_then(|()| self.disk.read());
        self.settle(emptied)?;
        self.state.clear();
        Ok(())
    }

    fn fault(&self) -> Option<Fault> {
        self.state.fault.get().cloned()
    }

    fn view(&mut self) -> Result<Box<dyn StateTxn + Send>, Fault> {
        self.finish_checkpoint()?;
        self.disk.frozen(self.state.fault.clone())
    }
}

/// What stood behind a fault of a store.
pub enum Met<'a> {
    /// The access to the bytes.
    Io(&'a io::Error),
    /// The bytes.
    Content,
}

/// A fault while the store is in use.
pub fn storage(path: &Path, done: &str, met: Met<'_>, error: &dyn Display) -> Fault {
    let what = format!("the state store {} cannot be {done}: {error}", path.display());
    match met {
        Met::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            Fault::new(Failure::Transient, what).cure("make space on its disk: nothing is lost, it is opened again")
        }
        Met::Io(_) => Fault::new(Failure::Misconfigured, what)
            .cure("look at the disk, then start the engine again: it folds from the last checkpoint"),
        Met::Content => Fault::new(Failure::Corrupt, what).cure(REBUILD),
    }
}

/// There is no base between the removal of everything and what follows it.
pub fn no_base() -> Fault {
    Fault::new(Failure::Corrupt, "the state store's last checkpoint failed").cure(REBUILD)
}

/// The directory cannot hold a store.
pub fn no_directory(dir: &Path, error: &io::Error) -> Fault {
    Fault::new(Failure::Misconfigured, format!("the state store cannot be made in {}: {error}", dir.display()))
        .cure("give the engine's user a writable directory as data_dir, with space on its disk")
}

/// What stands there is a store of somebody else, or of another version.
pub fn other_format(path: &Path) -> Fault {
    let what = format!("{} is not a state store of format v0, the only one that this binary reads", path.display());
    Fault::new(Failure::Misconfigured, what).cure(format!("use the binary that wrote it, or make a new one: {REBUILD}"))
}

/// Another process holds it, or it cannot be reached, or its bytes are wrong.
pub fn opening(path: &Path, held: bool, met: Met<'_>, error: &dyn Display) -> Fault {
    let what = format!("the state store {} cannot be opened: {error}", path.display());
    match met {
        _ if held => Fault::new(Failure::Misconfigured, what)
            .cure("another process holds it: ask the running engine, or stop it first (`lockstep status`)"),
        Met::Io(io) if !is_content(io) => {
            Fault::new(Failure::Misconfigured, what).cure("look at the permissions and the disk, then start again")
        }
        Met::Io(_) | Met::Content => Fault::new(Failure::Corrupt, what).cure(REBUILD),
    }
}

/// Whether the bytes are at fault, not the access to them.
fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
