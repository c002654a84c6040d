//! Every entry has exactly one disposition: decided in steps 1 to n, or passed over because it decides nothing: by a
//! `Skipped`, or by the next decided one (J17). Marks that are left behind the last step decide nothing either.

use crate::history::History;
use model::Record;

pub(crate) fn check(history: &History) -> Result<(), String> {
    // The first entry without a disposition, and the step of the one before it that may follow.
    let (mut next, mut step) = (1, 1);
    for record in history.decisions() {
        let id = record.header.id;
        match &record.record {
            Record::Opened { .. } => {}
            // What is left of the input may be decided behind it.
            Record::Unfolded { input, .. } => (next, step) = (next.max(input.seq), 1),
            Record::Skipped { from, to } => {
                if from.seq < next || to < from {
                    return Err(format!("record {id} skips {from} to {to}, and 1:{next} comes next"));
                }
                (next, step) = (to.seq + 1, 1);
            }
            Record::Decided(decided) => {
                let (input, this) = (decided.input, u64::from(decided.step));
                let goes_on = step > 1 && input.seq + 1 == next && this == step;
                if !goes_on && (input.seq < next || this != 1) {
                    return Err(format!("record {id} is step {this} of {input}, and 1:{next} comes next"));
                }
                (next, step) = (input.seq + 1, if decided.last { 1 } else { this + 1 });
            }
        }
    }
    Ok(())
}
