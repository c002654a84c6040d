//! What is confirmed to the source is durable (J10); an effect is sent only when its decision is (J24); what was durable
//! when the process died is found by the next one (J16).

use crate::history::{Event, History};
use model::{EffectId, Record};
use ports::Resume;
use std::collections::BTreeSet;

pub(crate) fn check(history: &History) -> Result<(), String> {
    if !history.is_ordered {
        return Ok(());
    }
    let mut resume = Resume::default();
    let mut decided: BTreeSet<EffectId> = BTreeSet::new();
    let mut kept = (0, 0);
    for event in &history.events {
        match event {
            Event::Journaled(entry) => resume.fold(&entry.entry),
            Event::Recorded(record) => {
                if let Record::Decided(step) = &record.record {
                    decided.extend(step.effects.iter().map(|effect| effect.id));
                }
            }
            Event::Confirmed(position) if Some(*position) > resume.passed => {
                return Err(format!("confirmed {position:?}, and durable is {:?}", resume.passed));
            }
            Event::Sent(request) if !decided.contains(&request.effect) => {
                return Err(format!("an effect of {} was sent, and its decision is not durable", request.unit));
            }
            Event::Crashed { durable } => kept = *durable,
            Event::Reopened { found } if found.0 < kept.0 || found.1 < kept.1 => {
                return Err(format!("{kept:?} entries and records were durable, and {found:?} were found"));
            }
            _ => {}
        }
    }
    Ok(())
}
