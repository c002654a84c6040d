//! What people are told and what a record says in words holds no value of a patient: the rows of the simulated clinic carry
//! words that stand nowhere else.

use crate::history::{Event, History};
use crate::source::CANARIES;
use model::{Outcome, Verdict};

pub(crate) fn check(history: &History) -> Result<(), String> {
    let told = |where_: &str, text: &str| match CANARIES.iter().find(|canary| text.contains(**canary)) {
        Some(canary) => Err(format!("{where_} shows a value of a patient ({} letters)", canary.len())),
        None => Ok(()),
    };
    for event in &history.events {
        match event {
            Event::Halted { what, .. } => told("a halt", what)?,
            Event::Corrupt(what) => told("a fault", what)?,
            Event::Journaled(entry) => {
                if let model::Entry::Acked(model::Acked { outcome: Outcome::Rejected { code, detail }, .. }) =
                    &entry.entry
                {
                    told("an outcome", code).and_then(|()| told("an outcome", detail))?;
                }
                told("an entry as it prints", &format!("{:?}", entry.entry))?;
            }
            _ => {}
        }
    }
    for decision in history.decided().flat_map(|decided| &decided.decisions) {
        decision.trace.iter().try_for_each(|line| told("a trace", line))?;
        match &decision.verdict {
            Verdict::Parked(text) | Verdict::Held(text) => told("a verdict", text)?,
            _ => {}
        }
    }
    Ok(())
}
