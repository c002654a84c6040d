//! Starts the threads, and starts them again behind a panic of a step.
//!
//! A life is what lies between two openings of the logs. A step that panics is thrown away with everything since the last
//! checkpoint, exactly as a restart of the process would (J32); what panics twice is left out of the next life, by
//! [`flow::Panics`].

use crate::{
    core::MakeCore,
    drive::{Driver, Since},
    ended::{Ended, LifeEnded},
    halts::Halts,
    handle::{Handle, Notices},
    heartbeat::{Heartbeat, Target},
    inbox::Inbox,
    kill::KillPoints,
    log_task::{DynDecisions, DynJournal, LogTask},
    source_task::{MakeSource, SourceTask},
};
use flow::{AfterPanic, Config, FlowInput, Panics, Quarantine};
use model::Term;
use ports::{Clock, Failure, Fault, Resume, Sink, StateStore};
use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tokio::task::JoinSet;

/// Logs and store that could not go on (a full disk) are opened again after so long.
const REOPEN_AFTER: Duration = Duration::from_secs(5);

/// Logs and store, opened for writing: both logs have their new `Opened`.
pub struct Stores {
    /// The journal.
    pub journal: DynJournal,
    /// The decisions log.
    pub decisions: DynDecisions,
    /// The journal's term.
    pub term: Term,
    /// The state.
    pub store: Box<dyn StateStore>,
}

/// Opens logs and store; called again behind a panic, when the former ones are closed.
pub type OpenStores = Box<dyn FnMut() -> Result<Stores, Fault> + Send>;

/// What an engine is made of.
pub struct Setup {
    /// The flow's settings.
    pub config: Config,
    /// So many bytes of state may wait for the disk, in a checkpoint under way and above it: one is due at half of them.
    pub overlay_bytes_max: usize,
    /// Makes the flow.
    pub core: MakeCore,
    /// Opens logs and store.
    pub open: OpenStores,
    /// Makes the source.
    pub source: MakeSource,
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Kill points of tests.
    pub kill: KillPoints,
}

/// A running engine.
pub struct Engine {
    handle: Handle,
    ended: tokio::sync::oneshot::Receiver<Ended>,
}

impl Engine {
    /// Starts it; sources and sinks run on this tokio runtime.
    pub fn start(setup: Setup, tokio: tokio::runtime::Handle) -> Engine {
        let handle = Handle {
            inbox: Arc::new(Inbox::new()),
            notices: Arc::new(Notices::default()),
            reading: Arc::default(),
            target: Arc::new(Target::new(setup.config.sink.system.clone(), &*setup.sink)),
            clock: setup.clock.clone(),
        };
        let (say, ended) = tokio::sync::oneshot::channel();
        let lives = Lives { setup, tokio, handle: handle.clone() };
        let spawned = thread::Builder::new().name("flow".to_owned()).spawn(move || {
            let told = say.send(lives.run());
            drop(told);
        });
        if let Err(error) = spawned {
            tracing::error!("the flow thread cannot be started: {error}");
        }
        Engine { handle, ended }
    }

    /// How to talk to it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for its end.
    pub async fn ended(self) -> Ended {
        let lost = || Ended::Broken(panicked("outside of a step, or the flow thread could not be started"));
        self.ended.await.unwrap_or_else(|_| lost())
    }
}

struct Lives {
    setup: Setup,
    tokio: tokio::runtime::Handle,
    handle: Handle,
}

impl Lives {
    fn run(mut self) -> Ended {
        let mut panics = Panics::default();
        loop {
            match self.life(panics.quarantine()) {
                LifeEnded::Stopped => return Ended::Stopped,
                LifeEnded::Failed(fault) if fault.failure == Failure::Transient => {
                    tracing::error!("{fault}; opened again in {} s", REOPEN_AFTER.as_secs());
                    self.handle.notices.set_full(Some(fault.to_string()));
                    if self.handle.inbox.stops_within(REOPEN_AFTER) {
                        return Ended::Stopped;
                    }
                }
                LifeEnded::Failed(fault) => return Ended::Failed(fault),
                LifeEnded::Broken(fault) => return Ended::Broken(fault),
                LifeEnded::Panicked(suspect) => match panics.note(suspect) {
                    AfterPanic::Again => tracing::error!(?suspect, "a step panicked"),
                    AfterPanic::LeftOut => {
                        tracing::error!(?suspect, "a step panicked again: that is left out from here on")
                    }
                    AfterPanic::Stuck => tracing::error!(?suspect, "a step panicked again: fold and source stop there"),
                    AfterPanic::End => return Ended::Broken(panicked("again and again")),
                },
            }
        }
    }

    /// One life: opens, runs, joins every thread and task that it started.
    fn life(&mut self, quarantine: &Quarantine) -> LifeEnded {
        self.handle.inbox.clear();
        let stores = match (self.setup.open)() {
            Ok(stores) => stores,
            Err(fault) => return LifeEnded::Failed(fault),
        };
        let config = Config { quarantine: quarantine.clone(), ..self.setup.config.clone() };
        let open = match opened(&stores, &config) {
            Ok(open) => open,
            Err(fault) => return LifeEnded::Failed(fault),
        };
        let (log, requests) = mpsc::channel();
        let task = LogTask {
            journal: stores.journal,
            decisions: stores.decisions,
            requests,
            inbox: self.handle.inbox.clone(),
            notices: self.handle.notices.clone(),
            clock: self.setup.clock.clone(),
            kill: self.setup.kill.clone(),
        };
        let log_thread = match thread::Builder::new().name("log".to_owned()).spawn(move || task.run()) {
            Ok(thread) => thread,
            Err(error) => return LifeEnded::Failed(Fault::new(Failure::Transient, format!("no log thread: {error}"))),
        };
        let (source, commands) = tokio::sync::mpsc::unbounded_channel();
        let source_task = self.tokio.spawn(
            SourceTask {
                make: self.setup.source.clone(),
                commands,
                inbox: self.handle.inbox.clone(),
                reading: self.handle.reading.clone(),
            }
            .run(),
        );
        let driver = Driver {
            core: (self.setup.core)(config),
            store: stores.store,
            inbox: self.handle.inbox.clone(),
            log,
            source,
            reading: self.handle.reading.clone(),
            notices: self.handle.notices.clone(),
            sink: self.setup.sink.clone(),
            tokio: self.tokio.clone(),
            clock: self.setup.clock.clone(),
            kill: self.setup.kill.clone(),
            overlay_bytes_max: self.setup.overlay_bytes_max,
            requests: JoinSet::new(),
            heartbeat: Heartbeat::new(self.handle.target.clone()),
            halts: Halts::default(),
            acts: BTreeMap::new(),
            fences: BTreeMap::new(),
            next_token: 0,
            since: Since::default(),
            again: false,
            stopping: None,
        };
        let ended = driver.run(open);
        // The driver's end closed both channels, so that both end by themselves.
        if log_thread.join().is_err() || self.tokio.block_on(source_task).is_err() {
            return LifeEnded::Broken(panicked("outside of the flow"));
        }
        ended
    }
}

fn opened(stores: &Stores, config: &Config) -> Result<FlowInput, Fault> {
    let empty =
        || Fault::new(Failure::Corrupt, "a log has no entry of its own opening").cure("lockstep journal verify");
    let resume: Resume = stores.journal.resume().remove(&config.source.system).unwrap_or_default();
    Ok(FlowInput::Open {
        journal: stores.journal.tail().ok_or_else(empty)?,
        decisions: stores.decisions.tail().ok_or_else(empty)?,
        term: stores.term,
        resume,
    })
}

fn panicked(when: &str) -> Fault {
    Fault::new(Failure::Corrupt, format!("steps panicked {when}"))
        .cure("keep data_dir as it is and report the place that the log names; nothing acknowledged is lost")
}
