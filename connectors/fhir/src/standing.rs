//! How we stand with the server, per resource type: what one refusal means depends on what was accepted before (clinical S9).
//!
//! * HTTP 403 is one restricted chart, or a token without rights to the type. One subject's resources are parked; the third
//!   subject in a row stops the type before it parks the hospital. Only a success of that type forgets them: a token may
//!   have a right to patients and none to observations.
//! * 400, 404, 405 to a create before any write of the type was accepted may be a server that takes no ids of ours. Where
//!   the answer says so, the type stops at once. Where it does not, the unit is sent again twice, so that others of its type
//!   have their say, and parked after that; the third unit in a row stops the type. Afterwards it is about that unit alone.
//!   405 is what R4 has for it, and stops at once.
//! * In memory only. After a restart nothing counts as accepted yet: what one bad row can do then is two more attempts.

use crate::{
    FhirSink,
    outcome::{ALLOW_IDS, Said, type_stopped},
};
use model::{Json, Outcome, ResourceType, Write};
use ports::{NotApplied, SendBase, SendRequest, SinkReply};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// So many subjects in a row, and it is our token.
const SUBJECTS_MAX: usize = 3;
/// So many units in a row, none of the type ever accepted, and it is the server's way.
const UNITS_MAX: usize = 3;
/// A create that others of its type must have their say about is sent so often.
const ATTEMPTS_MAX: u32 = 3;

const PLACE_CURE: &str = "does `base_url` end at the FHIR base, does the server know the type, and does it allow create by \
                          update with client ids? If it does, the map makes what the server refuses: see `lockstep parked ls`";

/// What is known of each type since the process began.
#[derive(Default)]
pub(crate) struct Standing(Mutex<BTreeMap<ResourceType, Known>>);

#[derive(Default)]
struct Known {
    /// A write of the type was accepted, so ids of ours are.
    accepted: bool,
    /// Subjects whose resources were refused with 403 since the last success.
    forbidden: BTreeSet<Box<str>>,
    /// Units whose create was refused while nothing was accepted.
    placeless: BTreeSet<Box<str>>,
}

impl FhirSink {
    /// A create that found no place: at an address that is no FHIR server it says nothing of the unit.
    pub(crate) async fn placeless(&self, request: &SendRequest, status: u16, rejected: SinkReply) -> SinkReply {
        if status == 404
            && let Err(error) = self.reader().at_home().await
        {
            return error.unsent();
        }
        self.standing.placeless(request, status, rejected)
    }
}

impl Standing {
    /// Takes note of what the server said of a write.
    pub(crate) fn hears(&self, request: &SendRequest, said: Said) -> Said {
        if matches!(said, Said::Done(_) | Said::Stands(_) | Said::Unchanged(_)) {
            self.accepted(request);
        }
        said
    }

    /// Takes note of what the history said of a write; a deletion that stands there may be anybody's.
    pub(crate) fn finds(&self, request: &SendRequest, reply: SinkReply) -> SinkReply {
        if request.write == Write::Put && matches!(reply, SinkReply::Final { outcome: Outcome::Accepted { .. }, .. }) {
            self.accepted(request);
        }
        reply
    }

    /// A write of the type was accepted.
    fn accepted(&self, request: &SendRequest) {
        let mut known = self.lock();
        match known.get_mut(&request.unit.resource_type) {
            Some(known) => {
                known.accepted = true;
                known.forbidden.clear();
                known.placeless.clear();
            }
            None => {
                let first = Known { accepted: true, ..Known::default() };
                known.insert(request.unit.resource_type.clone(), first);
            }
        }
    }

    /// A write was refused with 403.
    pub(crate) fn forbidden(&self, request: &SendRequest) -> SinkReply {
        let mut known = self.lock();
        let known = known.entry(request.unit.resource_type.clone()).or_default();
        known.forbidden.extend(subject(request));
        if known.forbidden.len() < SUBJECTS_MAX {
            let detail = "HTTP 403: the server does not let us write it".into();
            let outcome = Outcome::Rejected { code: "http_403".into(), detail };
            return SinkReply::Final { outcome, foreign: Vec::new() };
        }
        let kind = &request.unit.resource_type;
        type_stopped(
            &format!("refuses {kind} of {SUBJECTS_MAX} subjects in a row: HTTP 403"),
            "have the server's owner give our token the scope to write this type",
        )
    }

    /// A create was refused with `status`, and the answer does not say why: `rejected`, if it is about this unit.
    fn placeless(&self, request: &SendRequest, status: u16, rejected: SinkReply) -> SinkReply {
        if self.is_home(request) {
            return rejected;
        }
        if status == 405 {
            let what = format!("takes no {} with an id of ours: HTTP {status}", request.unit.resource_type);
            return type_stopped(&what, ALLOW_IDS);
        }
        let mut known = self.lock();
        let known = known.entry(request.unit.resource_type.clone()).or_default();
        known.placeless.insert(request.unit.to_string().into());
        let kind = &request.unit.resource_type;
        if known.placeless.len() >= UNITS_MAX {
            let what = format!("refuses every {kind} with an id of ours, {UNITS_MAX} in a row: HTTP {status}");
            return type_stopped(&what, PLACE_CURE);
        }
        if request.attempt >= ATTEMPTS_MAX {
            return rejected;
        }
        let what = format!("HTTP {status}, and no {kind} was accepted yet");
        SinkReply::NotApplied { what, retry_after_ms: None, why: NotApplied::Refused }
    }

    /// Whether the type's ids of ours are taken. Whoever writes over a deletion of ours created it here before.
    fn is_home(&self, request: &SendRequest) -> bool {
        let accepted = || self.lock().get(&request.unit.resource_type).is_some_and(|known| known.accepted);
        request.base != SendBase::Create || accepted()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ResourceType, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose chart it is, by the body that was refused; where that says nothing of a patient, the resource itself. A deletion
/// has no body, and many may be of one chart: it does not count.
fn subject(request: &SendRequest) -> Option<Box<str>> {
    let itself = || Some(request.unit.to_string().into());
    if request.write == Write::Delete {
        return None;
    }
    if request.unit.resource_type.as_str() == "Patient" {
        return itself();
    }
    let Ok(body) = Json::parse(&request.body) else { return itself() };
    let mut named = ["subject", "patient", "beneficiary", "for"].iter().filter_map(|name| body.get(name));
    let reference = |json: &Json| json.get("reference").and_then(Json::as_str).map(Into::into);
    named.find_map(reference).or_else(|| patient(&body)).or_else(itself)
}

/// The first patient that it refers to anywhere: an appointment names its patient among the participants.
fn patient(json: &Json) -> Option<Box<str>> {
    let here = json.get("reference").and_then(Json::as_str).filter(|text| text.starts_with("Patient/"));
    here.map(Into::into).or_else(|| match json {
        Json::Object(members) => members.iter().find_map(|(_, value)| patient(value)),
        Json::Array(items) => items.iter().find_map(patient),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
