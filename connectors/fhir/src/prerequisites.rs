//! What must hold at the server before anything is sent: all of it looked at, each fault with its cure.
//!
//! Reads only; `check --probe` goes on in [`crate::probe`], and writes at the one place that the server's owner named.

use crate::{client::Answer, error::Error, readback::expect_ok, sink::FhirSink};
use model::Json;
use ports::{Failure, Fault};
use schemas::profile::History;

/// The release that we write.
const FHIR_VERSION: &str = "4.0.1";

impl FhirSink {
    /// Every unmet prerequisite at once.
    pub(crate) async fn unmet(&self, probe: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        match self.client.call(self.requests.metadata()).await.and_then(|answer| expect_ok(answer, "reading /metadata"))
        {
            Err(error @ Error::Unreachable(_)) => return vec![error.into()],
            Err(error) => faults.push(error.into()),
            Ok(answer) => self.says(&answer, &mut faults),
        }
        let let_in = self.let_in().await.map_err(|error| faults.push(error.into())).is_ok();
        if probe && let_in {
            faults.extend(self.probe().await);
        }
        faults
    }

    /// What the CapabilityStatement says; of what servers do not say there we believe nothing, the probe tries it.
    fn says(&self, answer: &Answer, faults: &mut Vec<Fault>) {
        let statement = match answer.json() {
            Ok(statement) => statement,
            Err(error) => return faults.push(error.into()),
        };
        let wrong = |what: String| Fault::new(Failure::Misconfigured, what);
        let version = statement.get("fhirVersion").and_then(Json::as_str);
        if version != Some(FHIR_VERSION) {
            let shown = version.filter(|text| text.len() <= 16).unwrap_or("another version");
            let what = format!("the FHIR server speaks {shown}, and we write {FHIR_VERSION} (R4)");
            faults.push(wrong(what).cure("set `base_url` to the server's R4 endpoint"));
            return;
        }
        let rest = statement.get("rest").and_then(Json::items).unwrap_or_default();
        let known: Vec<&Json> = rest.iter().filter_map(|rest| rest.get("resource")?.items()).flatten().collect();
        for kind in &self.options.types {
            let named = |held: &&&Json| held.get("type").and_then(Json::as_str) == Some(kind.as_str());
            let Some(held) = known.iter().find(named) else {
                let cure = format!("have it enabled there, or take {kind} out of the map");
                faults.push(wrong(format!("the FHIR server does not know {kind}")).cure(cure));
                continue;
            };
            let codes = held.get("interaction").and_then(Json::items).unwrap_or_default();
            let can = |code: &str| codes.iter().any(|held| held.get("code").and_then(Json::as_str) == Some(code));
            let history = self.options.profile.history == History::Instance;
            let needed = [("read", true), ("update", true), ("history-instance", history)];
            let missing: Vec<&str> =
                needed.iter().filter(|(code, due)| *due && !can(code)).map(|(code, _)| *code).collect();
            if !missing.is_empty() {
                let what = format!("the FHIR server does not offer {} of {kind}", missing.join(", "));
                faults.push(wrong(what).cure("have it enabled there, or choose a profile that does without"));
            }
        }
    }
}
