//! One effect at a time, to one server: guard it, send it, find out what became of it.
//!
//! ```text
//!   effect ──guard──► PUT / DELETE ──answer──► as meant?  ── yes ──► Accepted by reply
//!                          │                      │ no, or refused (304, 409, 410, 412, 404)
//!                     no answer                   ▼
//!                          └─► Unknown ──settle──► versions since the base, ours by stamp or hash (J27)
//! ```
//! * Never merges, and never reads in order to decide (J25): what it reads says what happened, and goes into the outcome.
//! * A create is guarded as one, an update carries its base's version (J26). Where the profile says that a DELETE ignores
//!   `If-Match`, we look, compare and delete: between look and delete a foreign edit can be lost, and the history shows it.
//! * The stamp is in the body, made with it, and again in `X-Request-Id`; it is the same at every attempt (J28).
//! * A refusal is settled within `send`, because only here it is known to be one. No answer is `Unknown`, and whoever
//!   sent calls `settle`. Both read the same history and say the same.

use crate::{
    client::Client,
    config::Options,
    error::Error,
    later::Later,
    outcome::{self, Said},
    request::{self, Requests},
    settle::{Evidence, is_base},
    standing::Standing,
    token::Token,
};
use model::{Outcome, Write};
use ports::{Boxed, Fault, Look, SendBase, SendRequest, Sink, SinkReply, Written};
use schemas::profile::DeleteIfMatch;
use std::sync::Arc;

/// A FHIR server to write to.
pub struct FhirSink {
    pub(crate) options: Options,
    pub(crate) client: Client,
    pub(crate) requests: Requests,
    pub(crate) standing: Standing,
    later: Later,
}

impl FhirSink {
    /// Makes the client; nothing is sent. In a process with more than one TLS provider, one must be installed before.
    pub fn open(options: Options) -> Result<FhirSink, Error> {
        let token = Arc::new(Token::new(&options)?);
        let (client, requests) = (Client::new(&options, token.clone())?, Requests::new(&options, token)?);
        Ok(FhirSink { options, client, requests, standing: Standing::default(), later: Later::default() })
    }

    async fn attempt(&self, request: &SendRequest) -> SinkReply {
        if request.write == Write::Delete && self.options.profile.delete_if_match == DeleteIfMatch::Ignored {
            match self.reader().current(&request::path(&request.unit)).await {
                Ok(current) if is_base(request, current.as_ref()) => {}
                Ok(_) => return self.find_out(request, true).await,
                Err(error) => return error.unsent(),
            }
        }
        let answer = match self.requests.write(request) {
            Ok(call) => self.client.call(call).await,
            Err(error) => return error.unsent(),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return error.unanswered(),
        };
        tracing::debug!(unit = %request.unit, attempt = request.attempt, status = answer.status, "the target answered");
        match self.standing.hears(request, outcome::read(request, &answer, &self.options.profile)) {
            Said::Done(version) => {
                let outcome = Outcome::Accepted { version, by: "reply".into() };
                SinkReply::Final { outcome, foreign: Vec::new() }
            }
            Said::Stands(version) => self.look(request, |evidence| evidence.written(&version)).await,
            Said::Unchanged(_) => self.look(request, |evidence| evidence.unchanged()).await,
            Said::Ask(refused) => self.find_out(request, refused).await,
            Said::Forbidden => self.standing.forbidden(request),
            Said::Placeless(rejected) => self.placeless(request, answer.status, rejected).await,
            Said::Later(wait_ms) => self.later.promised(request, wait_ms, self.request_lifetime_max_seconds()),
            Said::Reply(reply) => reply,
        }
    }

    /// The versions since the base say what became of it. `refused`: the target itself refused.
    async fn find_out(&self, request: &SendRequest, refused: bool) -> SinkReply {
        self.standing.finds(request, self.look(request, |evidence| evidence.settle(refused)).await)
    }

    async fn look(&self, request: &SendRequest, judge: impl FnOnce(Evidence<'_>) -> SinkReply + Send) -> SinkReply {
        let base = match &request.base {
            SendBase::Create => None,
            SendBase::Version(version) | SendBase::Deleted(version) => Some(&**version),
        };
        let versions = match self.reader().versions(&request::path(&request.unit), base).await {
            // Nothing where a version was is what any other path of any other server says too.
            Ok(versions) if versions.is_empty() && base.is_some() => self.reader().at_home().await.map(|()| versions),
            versions => versions,
        };
        match versions {
            Ok(versions) => judge(Evidence { request, versions: &versions, profile: &self.options.profile }),
            Err(error) => error.unsettled(),
        }
    }
}

impl Sink for FhirSink {
    fn send(&self, request: SendRequest) -> Boxed<'_, SinkReply> {
        Box::pin(async move { self.attempt(&request).await })
    }

    fn settle(&self, request: SendRequest) -> Boxed<'_, SinkReply> {
        Box::pin(async move { self.later.settle(&request, self.find_out(&request, false)).await })
    }

    fn look(&self, written: Option<Written>) -> Boxed<'_, Result<Look, Fault>> {
        Box::pin(async move { Ok(self.look_at(written).await?) })
    }

    fn heartbeat_seconds(&self) -> u32 {
        self.options.heartbeat_seconds
    }

    fn concurrency(&self) -> usize {
        self.options.concurrency
    }

    fn request_lifetime_max_seconds(&self) -> u32 {
        self.options.profile.request_lifetime_max_seconds
    }

    fn prerequisites(&self, probe: bool) -> Boxed<'_, Result<Vec<Fault>, Fault>> {
        Box::pin(async move { Ok(self.unmet(probe).await) })
    }
}
