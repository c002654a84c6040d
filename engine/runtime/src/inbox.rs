//! What the flow thread is told: captured entries wait in a queue of their own, everything else gets through.
//!
//! * Captured batches are bounded by a number of places; a source is not read while there is none (back-pressure).
//! * Whatever comes from an opening of the source that is over is dropped: the source will send it again.
//! * Everything else is bounded by what was asked for: replies by requests under way, durable appends by appends made,
//!   questions by the connections of the control socket.

use crate::{core::Core, heartbeat::Looked};
use flow::{AppendId, FlowInput};
use model::{EffectId, Entry, Log, Unit};
use ports::{Appended, Fault, SinkReply, StateTxn};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Captured batches that may wait.
const PLACES: usize = 4;

/// A question: answered on the flow thread, between two steps.
pub(crate) type Question = Box<dyn FnOnce(&dyn Core, &dyn StateTxn) + Send>;

/// One thing for the flow thread.
pub(crate) enum Message {
    /// Goes into a step as it is.
    Input(FlowInput),
    /// An append is durable.
    Appended { log: Log, id: AppendId, appended: Appended },
    /// The sink said something.
    Replied { unit: Unit, effect: EffectId, reply: SinkReply },
    /// The heartbeat looked at the target.
    Looked(Looked),
    /// A log cannot go on.
    LogFailed(Fault),
    /// Somebody asks.
    Question(Question),
    /// Somebody acts; the answer goes to whoever waits.
    Act(crate::handle::ActRequest),
    /// A fence was opened at the source.
    Fence(crate::handle::FenceRequest),
    /// Stop in good order.
    Stop,
}

#[derive(Default)]
struct Queues {
    urgent: VecDeque<Message>,
    captured: VecDeque<Vec<Entry>>,
    opening: Opening,
}

/// Counts how often the source was opened or closed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Opening(u64);

/// The flow thread's inbox.
pub(crate) struct Inbox {
    queues: Mutex<Queues>,
    ready: Condvar,
    places: Semaphore,
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        Inbox { queues: Mutex::default(), ready: Condvar::new(), places: Semaphore::new(PLACES) }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        // A panic while the queues are locked ends the process (see `ended`), so nothing half done is ever seen.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, message: Message) {
        self.lock().urgent.push_back(message);
        self.ready.notify_one();
    }

    /// Waits for a place for one captured batch; `push_captured` uses it, `give_back` returns it.
    pub(crate) async fn place(&self) {
        if let Ok(place) = self.places.acquire().await {
            place.forget();
        }
    }

    pub(crate) fn push_captured(&self, opening: Opening, entries: Vec<Entry>) {
        let mut queues = self.lock();
        if queues.opening == opening {
            queues.captured.push_back(entries);
            self.ready.notify_one();
        } else {
            self.give_back();
        }
    }

    /// What the source has to say of itself. A failure overtakes what it brought before: that is dropped.
    pub(crate) fn push_source(&self, opening: Opening, input: FlowInput) {
        let mut queues = self.lock();
        if queues.opening == opening {
            if matches!(input, FlowInput::SourceFailed(_)) {
                self.forget(&mut queues);
            }
            queues.urgent.push_back(Message::Input(input));
            self.ready.notify_one();
        }
    }

    /// The source is opened or closed: nothing of what it brought before is wanted.
    pub(crate) fn begin_opening(&self) -> Opening {
        let mut queues = self.lock();
        queues.opening.0 += 1;
        self.forget(&mut queues);
        let source =
            |message: &Message| matches!(message, Message::Input(FlowInput::SourceOpened | FlowInput::SourceFailed(_)));
        queues.urgent.retain(|message| !source(message));
        queues.opening
    }

    fn forget(&self, queues: &mut Queues) {
        self.places.add_permits(queues.captured.len());
        queues.captured.clear();
    }

    pub(crate) fn give_back(&self) {
        self.places.add_permits(1);
    }

    /// The next message; captured entries only where they are welcome and nothing else waits. None when the time is over.
    pub(crate) fn next(&self, wants_capture: bool, wait: Duration) -> Option<Message> {
        let deadline = Instant::now() + wait;
        let mut queues = self.lock();
        loop {
            if let Some(message) = queues.urgent.pop_front() {
                return Some(message);
            }
            if wants_capture && let Some(entries) = queues.captured.pop_front() {
                self.give_back();
                return Some(Message::Input(FlowInput::Captured(entries)));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            queues = self.ready.wait_timeout(queues, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits, without an engine behind it, whether somebody asks for a stop. Whoever asks something else is sent away.
    pub(crate) fn stops_within(&self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(false, left) {
                Some(Message::Stop) => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Begins anew behind a panic: replies to the former life go, what people ask for stays.
    pub(crate) fn clear(&self) {
        self.begin_opening();
        self.lock().urgent.retain(|message| match message {
            Message::Question(_) | Message::Act(_) | Message::Fence(_) | Message::Stop => true,
            Message::Input(_)
            | Message::Appended { .. }
            | Message::Replied { .. }
            | Message::Looked(_)
            | Message::LogFailed(_) => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_entries_wait_until_they_are_welcome_and_nothing_else_does() {
        let inbox = Inbox::new();
        inbox.push_captured(Opening::default(), vec![Entry::Clock]);
        inbox.push(Message::Input(FlowInput::Tick));
        assert!(matches!(inbox.next(true, Duration::ZERO), Some(Message::Input(FlowInput::Tick))));
        assert!(inbox.next(false, Duration::ZERO).is_none());
        assert!(matches!(inbox.next(true, Duration::ZERO), Some(Message::Input(FlowInput::Captured(_)))));
    }

    #[test]
    fn what_an_earlier_opening_brought_is_dropped() {
        let inbox = Inbox::new();
        let first = inbox.begin_opening();
        inbox.push_captured(first, vec![Entry::Clock]);
        let second = inbox.begin_opening();
        inbox.push_captured(first, vec![Entry::Clock]);
        inbox.push_source(first, FlowInput::SourceOpened);
        assert!(inbox.next(true, Duration::ZERO).is_none());
        inbox.push_captured(second, vec![Entry::Clock]);
        assert!(inbox.next(true, Duration::ZERO).is_some());
    }
}
