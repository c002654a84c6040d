//! How others talk to the running engine: questions, acts of people, fences, stop.

use crate::{
    core::Core,
    heartbeat::{Target, TargetView},
    inbox::{Inbox, Message},
    source_task::Reading,
};
use flow::{Act, HeldItem, ParkedItem, Status, UnitView, WaitingItem};
use model::{EntryId, Principal, SourcePosition, Unit};
use ports::{Clock, Failure, Fault, StateTxn, TableProgress};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// An act of a person, and who waits for its entry.
pub(crate) struct ActRequest {
    pub by: Principal,
    pub act: Act,
    pub reason: Box<str>,
    pub answer: oneshot::Sender<Result<EntryId, Fault>>,
}

/// A view of the state at one position of the source.
pub type FencedView = Box<dyn StateTxn + Send>;

/// A fence, and who waits for the view.
pub(crate) struct FenceRequest {
    pub position: SourcePosition,
    pub answer: oneshot::Sender<Result<FencedView, Fault>>,
}

/// What the runtime itself has to say, beside the flow's status.
#[derive(Default)]
pub(crate) struct Notices {
    full: Mutex<Option<String>>,
}

impl Notices {
    /// The disk is full for captured rows, or it is not any more.
    pub(crate) fn set_full(&self, what: Option<String>) {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    pub(crate) fn full(&self) -> Option<String> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Talks to the running engine; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) reading: Arc<Reading>,
    pub(crate) target: Arc<Target>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Handle {
    /// Where everything stands.
    pub async fn status(&self) -> Result<Status, Fault> {
        self.ask(|core, state| core.status(state)).await
    }

    /// What is known of one unit.
    pub async fn unit(&self, unit: Unit) -> Result<Option<UnitView>, Fault> {
        self.ask(move |core, state| core.unit(&unit, state)).await
    }

    /// Parked units by cause.
    pub async fn parked(&self) -> Result<Vec<ParkedItem>, Fault> {
        self.ask(|core, state| core.parked(state)).await
    }

    /// What is waited for.
    pub async fn waiting(&self) -> Result<Vec<WaitingItem>, Fault> {
        self.ask(|core, state| core.waiting(state)).await
    }

    /// What waits for a person.
    pub async fn held(&self) -> Result<Vec<HeldItem>, Fault> {
        self.ask(|core, state| core.held(state)).await
    }

    /// Does what a person asks for; the answer is the name of its entry, once that is durable.
    pub async fn act(&self, by: Principal, act: Act, reason: &str) -> Result<EntryId, Fault> {
        let (answer, answered) = oneshot::channel();
        self.inbox.push(Message::Act(ActRequest { by, act, reason: reason.into(), answer }));
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// The state as of the last commit of the source at or below `position` (J45).
    pub async fn fence(&self, position: SourcePosition) -> Result<FencedView, Fault> {
        let (answer, answered) = oneshot::channel();
        self.inbox.push(Message::Fence(FenceRequest { position, answer }));
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// How far the first read is.
    pub fn progress(&self) -> Vec<TableProgress> {
        self.reading.progress()
    }

    /// When the target answered last, and what the heartbeat found there.
    pub fn target(&self) -> TargetView {
        self.target.view(self.clock.now())
    }

    /// Why captured rows are not appended, if the disk is full.
    pub fn disk_full(&self) -> Option<String> {
        self.notices.full()
    }

    /// Stops in good order: capture ends, the state is checkpointed.
    pub fn stop(&self) {
        self.inbox.push(Message::Stop);
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Core, &dyn StateTxn) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let question = move |core: &dyn Core, state: &dyn StateTxn| {
            // Whoever asked may be gone.
            let told = answer.send(question(core, state));
            drop(told);
        };
        self.inbox.push(Message::Question(Box::new(question)));
        answered.await.map_err(|_| gone())
    }
}

fn gone() -> Fault {
    Fault::new(Failure::Transient, "the engine is stopping or begins again at its checkpoint")
        .cure("ask again in a moment")
}
