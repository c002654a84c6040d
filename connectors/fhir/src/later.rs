//! HTTP 202: the server has taken a write and will do it later.
//!
//! Such a write is unknown, and "not there yet" does not say that it was lost: it is asked about after the time that the
//! server named, and sent again only when a request's lifetime has passed. In memory only: after a restart it is sent again
//! as every other is, guarded and with its stamp.

use model::EffectId;
use ports::{NotApplied, SendRequest, SinkReply};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// Where the server names no time.
const WAIT: Duration = Duration::from_secs(1);
/// One call sleeps no longer, so that a stop or another life of the engine need not wait for it.
const SLEEP_MAX: Duration = Duration::from_secs(20);
const NOT_YET: &str = "the server took the write (HTTP 202) and has not done it yet";

/// What was promised, until it is kept or given up.
#[derive(Default)]
pub(crate) struct Later(Mutex<BTreeMap<EffectId, Promise>>);

#[derive(Clone, Copy)]
struct Promise {
    wait: Duration,
    ask: Instant,
    until: Instant,
}

impl Later {
    /// The server answered 202, and named this time or none.
    pub(crate) fn promised(&self, request: &SendRequest, wait_ms: Option<u64>, lifetime_seconds: u32) -> SinkReply {
        let (now, wait) = (Instant::now(), wait_ms.map_or(WAIT, Duration::from_millis));
        let until = now + wait + Duration::from_secs(lifetime_seconds.into());
        self.lock().insert(request.effect, Promise { wait, ask: now + wait, until });
        not_yet()
    }

    /// Looks when the server may be asked, and says what that look means.
    pub(crate) async fn settle(
        &self,
        request: &SendRequest,
        look: impl Future<Output = SinkReply> + Send,
    ) -> SinkReply {
        match self.wait(request).await {
            Ok(()) => self.judge(request, look.await),
            Err(too_early) => too_early,
        }
    }

    /// Returns when the server may be asked, or says that it is too early.
    async fn wait(&self, request: &SendRequest) -> Result<(), SinkReply> {
        let Some(ask) = self.lock().get(&request.effect).map(|promise| promise.ask) else { return Ok(()) };
        let wake = ask.min(Instant::now() + SLEEP_MAX);
        sleep_until(wake).await;
        if wake == ask { Ok(()) } else { Err(not_yet()) }
    }

    /// What a look said of it: a write that is only not there yet is not sent again before its time.
    fn judge(&self, request: &SendRequest, reply: SinkReply) -> SinkReply {
        let mut promises = self.lock();
        let Some(promise) = promises.get_mut(&request.effect) else { return reply };
        let now = Instant::now();
        match reply {
            SinkReply::NotApplied { why: NotApplied::Busy, .. } if now < promise.until => {
                promise.ask = now + promise.wait.max(WAIT);
                not_yet()
            }
            SinkReply::Unknown { .. } | SinkReply::Failed(_) | SinkReply::TypeFailed(_) => reply,
            SinkReply::Final { .. } | SinkReply::NotApplied { .. } => {
                promises.remove(&request.effect);
                reply
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EffectId, Promise>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_yet() -> SinkReply {
    SinkReply::Unknown { what: NOT_YET.into() }
}
