//! The idle heartbeat of the target (J35): when no request was answered for a while, the unit that was written last is read.
//!
//! * Nothing is written, and nothing that is found reaches an entry, a decision or a hash (J34): it is told to people.
//! * What was written last is known when the journal is folded. A look before that has nothing to compare, so the next one
//!   comes as soon as there is something, not an interval later.
//! * A verdict counts only if the unit stands in the ledger as it stood when we asked: meanwhile a write of ours may have
//!   moved it.

use crate::{
    clock::after,
    core::Core,
    inbox::{Inbox, Message},
};
use model::{SystemId, Timestamp};
use ports::{Fault, Look, NotApplied, Sink, SinkReply, StateTxn, Written};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::AbortHandle;

/// Where a look had nothing to compare: how often it is asked whether there is something now.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What a look found, in words that hold no patient's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Looked {
    /// What was looked at; none where there was nothing to compare.
    pub written: Option<Written>,
    /// The journal was being folded when we asked, so that nobody knew yet what was written last.
    pub folding: bool,
    /// What stands there, or why nobody can say.
    pub found: Result<Look, Fault>,
}

/// What is known of the target by now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetView {
    /// Its system.
    pub system: SystemId,
    /// After so long without an answer it is looked at.
    pub heartbeat_seconds: u32,
    /// How long ago it answered; none: not since this process began.
    pub answered_seconds_ago: Option<u64>,
    /// How long ago the last look ended, and what it found.
    pub looked: Option<(u64, Looked)>,
    /// The target was seen to have gone back in time since this process began (J33).
    pub behind: Option<Looked>,
}

/// What status and heartbeat share; outlives a life of the engine.
pub(crate) struct Target {
    system: SystemId,
    heartbeat_seconds: u32,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    answered: Option<Timestamp>,
    looked: Option<(Timestamp, Looked)>,
    behind: Option<Looked>,
}

impl Target {
    pub(crate) fn new(system: SystemId, sink: &dyn Sink) -> Target {
        Target { system, heartbeat_seconds: sink.heartbeat_seconds(), known: Mutex::default() }
    }

    pub(crate) fn view(&self, now: Timestamp) -> TargetView {
        let seconds = |at: Timestamp| u64::try_from(now.0.saturating_sub(at.0)).unwrap_or_default() / 1_000_000;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        TargetView {
            system: self.system.clone(),
            heartbeat_seconds: self.heartbeat_seconds,
            answered_seconds_ago: known.answered.map(seconds),
            looked: known.looked.clone().map(|(at, looked)| (seconds(at), looked)),
            behind: known.behind.clone(),
        }
    }

    /// A request came through: what kept us from asking is over.
    fn heard(&self, now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.answered = Some(now);
        if known.looked.as_ref().is_some_and(|(_, looked)| looked.found.is_err()) {
            known.looked = None;
        }
    }

    fn looked(&self, now: Timestamp, looked: Looked) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.found.is_ok() {
            known.answered = Some(now);
        }
        if matches!(looked.found, Ok(Look::Behind(_))) {
            known.behind = Some(looked.clone());
        }
        let before = known.looked.replace((now, looked.clone())).map(|(_, before)| before);
        drop(known);
        if before.as_ref() == Some(&looked) {
            return;
        }
        let (system, what) = (&self.system, looked.what());
        match looked.alarm() {
            true => tracing::error!(%system, "heartbeat: {what}; {}", looked.cure()),
            false if before.is_some_and(|before| before.alarm()) => tracing::info!(%system, "heartbeat: {what}"),
            false => tracing::debug!(%system, "heartbeat: {what}"),
        }
    }
}

impl Looked {
    /// One word: `answered`, `ours`, `foreign`, `gone`, `behind`, `unreachable`, `fault`.
    pub fn verdict(&self) -> &'static str {
        match &self.found {
            Ok(Look::Answered) => "answered",
            Ok(Look::Ours) => "ours",
            Ok(Look::Foreign(_)) => "foreign",
            Ok(Look::Gone(_)) => "gone",
            Ok(Look::Behind(_)) => "behind",
            Err(fault) if fault.unreachable => "unreachable",
            Err(_) => "fault",
        }
    }

    /// Whether a person should know.
    pub fn alarm(&self) -> bool {
        !matches!(self.found, Ok(Look::Answered | Look::Ours))
    }

    /// What was found.
    pub fn what(&self) -> String {
        let (unit, version) = match &self.written {
            Some(written) => (written.unit.to_string(), &*written.version),
            None => ("nothing".to_owned(), "-"),
        };
        match &self.found {
            Ok(Look::Answered) if self.folding => {
                "it lets us in; what was written last is not known before the journal is folded, then it is looked at"
                    .to_owned()
            }
            Ok(Look::Answered) => {
                "it lets us in; nothing was there to compare: nothing was written yet, or the last write is under way"
                    .to_owned()
            }
            Ok(Look::Ours) => format!("{unit} stands at version {version}, as we know it"),
            Ok(Look::Foreign(stands)) => {
                format!("{unit} stands at version {stands}, and we know version {version}: somebody else wrote it")
            }
            Ok(Look::Gone(Some(stands))) => {
                format!("{unit}, which we know at version {version}, was deleted by somebody else: version {stands}")
            }
            Ok(Look::Gone(None)) => format!("{unit}, which we know at version {version}, is not there at all"),
            Ok(Look::Behind(stands)) => format!(
                "the target went back in time: {unit} was acknowledged as version {version}, which is not there; version {stands} stands"
            ),
            Err(fault) => fault.what.clone(),
        }
    }

    /// What a person can do; empty if nothing but waiting helps.
    pub fn cure(&self) -> String {
        match &self.found {
            Ok(Look::Answered | Look::Ours) => String::new(),
            Ok(Look::Foreign(_) | Look::Gone(Some(_))) => {
                "ask the server's owner who else writes there; `lockstep verify` names every difference".to_owned()
            }
            Ok(Look::Gone(None) | Look::Behind(_)) => {
                "ask the server's owner what was restored or expunged; `lockstep verify` names what is missing there"
                    .to_owned()
            }
            Err(fault) => fault.cure.clone(),
        }
    }
}

/// The flow thread's part: when to look.
pub(crate) struct Heartbeat {
    target: Arc<Target>,
    /// The last answer or look.
    last: Timestamp,
    looking: Option<AbortHandle>,
    /// The last look had nothing to compare.
    blind: Option<Blind>,
}

/// A look that had nothing to compare.
struct Blind {
    folding: bool,
    asked: Timestamp,
}

impl Heartbeat {
    /// The first look is due at once.
    pub(crate) fn new(target: Arc<Target>) -> Heartbeat {
        Heartbeat { target, last: Timestamp(0), looking: None, blind: None }
    }

    /// Whether to look now: after a while without an answer, when the fold has caught up, and when something can be
    /// compared for the first time.
    fn is_due(&mut self, now: Timestamp, live: bool, known: impl FnOnce() -> bool) -> bool {
        if self.looking.is_some() {
            return false;
        }
        let every = Duration::from_secs(u64::from(self.target.heartbeat_seconds));
        // A clock that was set back does not silence it.
        if now >= after(self.last, every) || now < self.last {
            return true;
        }
        match &mut self.blind {
            Some(blind) if live && blind.folding => true,
            Some(blind) if live && now >= after(blind.asked, ASK_AGAIN) => {
                blind.asked = now;
                known()
            }
            Some(_) | None => false,
        }
    }

    /// Looks if it is time, on a task of its own.
    pub(crate) fn look(
        &mut self,
        now: Timestamp,
        core: &dyn Core,
        state: &dyn StateTxn,
        sink: &Arc<dyn Sink>,
        inbox: &Arc<Inbox>,
        tokio: &tokio::runtime::Handle,
    ) {
        let live = core.is_live();
        if !self.is_due(now, live, || core.last_written(state).is_some()) {
            return;
        }
        let (written, folding) = (core.last_written(state), !live);
        self.blind = written.is_none().then_some(Blind { folding, asked: now });
        let (sink, inbox) = (sink.clone(), inbox.clone());
        let task = tokio.spawn(async move {
            let found = sink.look(written.clone()).await;
            inbox.push(Message::Looked(Looked { written, folding, found }));
        });
        self.looking = Some(task.abort_handle());
    }

    /// Takes what a look found; `current` is what would be looked at now.
    pub(crate) fn looked(&mut self, now: Timestamp, mut looked: Looked, current: Option<&Written>) {
        (self.looking, self.last) = (None, now);
        if looked.found.is_ok() && looked.written.as_ref() != current {
            looked = Looked { written: None, found: Ok(Look::Answered), ..looked };
        }
        self.target.looked(now, looked);
    }

    /// Takes note of a reply: the target answered, unless it asks for patience or lets us not in.
    pub(crate) fn replied(&mut self, now: Timestamp, reply: &SinkReply) {
        let answered = match reply {
            SinkReply::Final { .. } | SinkReply::TypeFailed(_) => true,
            SinkReply::NotApplied { why, .. } => matches!(why, NotApplied::Refused | NotApplied::Dependency),
            SinkReply::Unknown { .. } | SinkReply::Failed(_) => false,
        };
        if answered {
            self.last = now;
            self.target.heard(now);
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn end(&mut self) {
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_compared_while_the_journal_was_folded_is_looked_at_as_soon_as_it_is() {
        let at = |seconds: i64| Timestamp(seconds * 1_000_000);
        let system = SystemId::from("cloud");
        let target = Arc::new(Target { system, heartbeat_seconds: 600, known: Mutex::default() });
        let mut heartbeat = Heartbeat::new(target.clone());
        assert!(heartbeat.is_due(at(1_000), false, || false), "the first look is due at once");
        heartbeat.blind = Some(Blind { folding: true, asked: at(1_000) });
        let folding = Looked { written: None, folding: true, found: Ok(Look::Answered) };
        heartbeat.looked(at(1_000), folding.clone(), None);
        assert!(!heartbeat.is_due(at(1_030), false, || false), "there is still nothing to compare");
        assert!(heartbeat.is_due(at(1_031), true, || false), "the fold has caught up");
        heartbeat.blind = Some(Blind { folding: false, asked: at(1_031) });
        let nothing = Looked { folding: false, ..folding.clone() };
        heartbeat.looked(at(1_031), nothing.clone(), None);
        assert!(!heartbeat.is_due(at(1_040), true, || false), "nothing was written");
        assert!(heartbeat.is_due(at(1_042), true, || true), "something is known to be written");
        heartbeat.blind = None;
        assert!(!heartbeat.is_due(at(1_043), true, || true), "it was compared: the next look is an interval later");
        assert!(folding.what().contains("folded") && !nothing.what().contains("folded"));
    }
}
