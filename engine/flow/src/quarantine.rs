//! Inputs that a panic parked (J32): a replay takes them from what is recorded, since it does not panic by itself.

use crate::INTERNAL;
use model::{EntryId, Record, Recorded, Verdict};

/// The input whose units a recorded step parked as `internal`; none for every other record.
pub fn quarantined(recorded: &Recorded) -> Option<EntryId> {
    let Record::Decided(decided) = &recorded.record else { return None };
    let internal = |verdict: &Verdict| matches!(verdict, Verdict::Parked(cause) if &**cause == INTERNAL);
    decided.decisions.iter().any(|decision| internal(&decision.verdict)).then_some(decided.input)
}
