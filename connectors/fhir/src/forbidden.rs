//! HTTP 403: one restricted chart, or a token without rights (clinical S9).
//!
//! One patient's resources are parked, so that a restricted chart does not stop the feed of a hospital; when several
//! patients in a row are refused, the sink stops before it parks the hospital. Any success forgets them.

use model::{Json, Outcome};
use ports::{Failure, Fault, SendRequest, SinkReply};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// So many patients in a row, and it is our token.
const SUBJECTS_MAX: usize = 3;

/// Subjects whose resources were refused since the last success.
#[derive(Default)]
pub(crate) struct Forbidden(Mutex<BTreeSet<Box<str>>>);

impl Forbidden {
    /// A write succeeded: the token is good.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A write was refused with 403.
    pub(crate) fn met(&self, request: &SendRequest) -> SinkReply {
        let mut subjects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        subjects.extend(subject(request));
        if subjects.len() < SUBJECTS_MAX {
            let detail = "HTTP 403: the server does not let us write it".into();
            let outcome = Outcome::Rejected { code: "http_403".into(), detail };
            return SinkReply::Final { outcome, foreign: Vec::new() };
        }
        let what = format!("the FHIR server refuses {SUBJECTS_MAX} patients in a row: HTTP 403");
        let cure = "have the server's owner give our token the scope to write these types";
        SinkReply::Failed(Fault::new(Failure::Misconfigured, what).cure(cure))
    }
}

/// Whose chart it is, by the body that was refused; none where it says nothing of anybody.
fn subject(request: &SendRequest) -> Option<Box<str>> {
    if request.unit.resource_type.as_str() == "Patient" {
        return Some(request.unit.to_string().into());
    }
    let body = Json::parse(&request.body).ok()?;
    let named = ["subject", "patient", "beneficiary"].iter();
    named.filter_map(|name| body.get(name)?.get("reference")?.as_str()).next().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{EffectId, Hash, Unit, UnitId, Write};
    use ports::SendBase;

    fn observation(n: u8, patient: u8) -> SendRequest {
        let effect = EffectId(Hash::of(&[n]));
        let body = format!("{{\"subject\":{{\"reference\":\"Patient/{patient}\"}}}}");
        SendRequest {
            effect,
            request: effect.request(),
            unit: Unit { resource_type: "Observation".into(), id: UnitId::from_bytes([n; 16]) },
            write: Write::Put,
            base: SendBase::Create,
            body: body.into_bytes().into(),
            body_hash: Hash::default(),
            attempt: 1,
        }
    }

    fn parks(reply: &SinkReply) -> bool {
        matches!(reply, SinkReply::Final { outcome: Outcome::Rejected { .. }, .. })
    }

    #[test]
    fn one_restricted_chart_parks_its_units_however_many() {
        let forbidden = Forbidden::default();
        assert!((0..50).all(|n| parks(&forbidden.met(&observation(n, 1)))));
    }

    #[test]
    fn the_third_patient_in_a_row_stops_the_sink_and_a_success_forgets_them() {
        let forbidden = Forbidden::default();
        assert!((1..=2).all(|n| parks(&forbidden.met(&observation(n, n)))));
        forbidden.forget();
        assert!((3..=4).all(|n| parks(&forbidden.met(&observation(n, n)))));
        assert!(matches!(forbidden.met(&observation(5, 5)), SinkReply::Failed(_)));
    }
}
