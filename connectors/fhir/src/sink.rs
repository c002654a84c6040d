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
    outcome::{self, Said},
    readback::Reader,
    request::{self, Requests},
    settle::Evidence,
};
use model::{Json, Outcome, Write};
use ports::{Boxed, Failure, Fault, SendBase, SendRequest, Sink, SinkReply, Version};
use schemas::profile::DeleteIfMatch;
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// One subject may be restricted; when so many in a row are, it is our token (clinical S9).
const FORBIDDEN_SUBJECTS_MAX: usize = 3;

/// A FHIR server to write to.
pub struct FhirSink {
    pub(crate) options: Options,
    pub(crate) client: Client,
    pub(crate) requests: Requests,
    /// Subjects whose resources were refused with 403 since the last success.
    forbidden: Mutex<BTreeSet<Box<str>>>,
}

impl FhirSink {
    /// Makes the client; nothing is sent. In a process with more than one TLS provider, one must be installed before.
    pub fn open(options: Options) -> Result<FhirSink, Error> {
        let (client, requests) = (Client::new(&options)?, Requests::new(&options)?);
        Ok(FhirSink { options, client, requests, forbidden: Mutex::default() })
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
        match outcome::read(request, &answer, &self.options.profile) {
            Said::Done(version) => {
                self.subjects().clear();
                let outcome = Outcome::Accepted { version, by: "reply".into() };
                SinkReply::Final { outcome, foreign: Vec::new() }
            }
            Said::Stands(version) => self.look(request, |evidence| evidence.written(&version)).await,
            Said::Unchanged(_) => self.look(request, |evidence| evidence.unchanged()).await,
            Said::Ask(refused) => self.find_out(request, refused).await,
            Said::Forbidden => self.forbidden(request),
            Said::Reply(reply) => reply,
        }
    }

    /// The versions since the base say what became of it. `refused`: the target itself refused.
    async fn find_out(&self, request: &SendRequest, refused: bool) -> SinkReply {
        self.look(request, |evidence| evidence.settle(refused)).await
    }

    async fn look(&self, request: &SendRequest, judge: impl FnOnce(Evidence<'_>) -> SinkReply + Send) -> SinkReply {
        let base = match &request.base {
            SendBase::Create => None,
            SendBase::Version(version) => Some(&**version),
        };
        match self.reader().versions(&request::path(&request.unit), base).await {
            Ok(versions) => judge(Evidence { request, versions: &versions, profile: &self.options.profile }),
            Err(error) => error.unsettled(),
        }
    }

    /// One restricted patient parks its units; a token without rights stops the sink before it parks a hospital.
    fn forbidden(&self, request: &SendRequest) -> SinkReply {
        let mut subjects = self.subjects();
        subjects.extend(subject(request));
        if subjects.len() < FORBIDDEN_SUBJECTS_MAX {
            return outcome::forbidden();
        }
        let what = format!("the FHIR server refuses {FORBIDDEN_SUBJECTS_MAX} patients in a row: HTTP 403");
        let cure = "have the server's owner give our token the scope to write these types";
        SinkReply::Failed(Fault::new(Failure::Misconfigured, what).cure(cure))
    }

    fn subjects(&self) -> std::sync::MutexGuard<'_, BTreeSet<Box<str>>> {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader {
            client: &self.client,
            requests: &self.requests,
            history: self.options.profile.history,
            stamp_uri: &self.options.stamp_uri,
        }
    }
}

impl Sink for FhirSink {
    fn send(&self, request: SendRequest) -> Boxed<'_, SinkReply> {
        Box::pin(async move { self.attempt(&request).await })
    }

    fn settle(&self, request: SendRequest) -> Boxed<'_, SinkReply> {
        Box::pin(async move { self.find_out(&request, false).await })
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

/// Whether what stands is what the request was decided on.
fn is_base(request: &SendRequest, current: Option<&Version>) -> bool {
    match (&request.base, current) {
        (SendBase::Version(base), Some(current)) => current.version == *base && current.body.is_some(),
        (SendBase::Create | SendBase::Version(_), _) => false,
    }
}

/// Whose chart it is, by the body that was refused; none where it says nothing of anybody.
fn subject(request: &SendRequest) -> Option<Box<str>> {
    if request.unit.resource_type.as_str() == "Patient" {
        return Some(request.unit.to_string().into());
    }
    let body = Json::parse(&request.body).ok()?;
    let reference =
        ["subject", "patient", "beneficiary"].iter().find_map(|name| body.get(name)?.get("reference")?.as_str());
    reference.map(Into::into)
}
