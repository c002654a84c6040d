//! A source whose log cannot be gone on from stops, by name; a new life of its log begins only behind a person's word (J10).

use crate::history::{Event, History};
use flow::Scope;
use model::{ControlAct, Entry};

pub(crate) fn check(history: &History) -> Result<(), String> {
    let (mut incarnation, mut accepted, mut named) = (0, true, false);
    for event in &history.events {
        match event {
            Event::Halted { scope: Scope::Source(_), what } if what.contains("lockstep held answer source:") => {
                named = true
            }
            Event::Journaled(entry) => match &entry.entry {
                Entry::Control(control) if matches!(control.act, ControlAct::AcceptGap { .. }) => {
                    if history.is_ordered && !named {
                        return Err(format!("{} accepts a gap that was not named", entry.header.id));
                    }
                    (accepted, named) = (true, false);
                }
                Entry::Slot { incarnation: new, .. } if new.0 > incarnation => {
                    if !std::mem::take(&mut accepted) {
                        return Err(format!("{} begins another life of the log, and nobody said so", entry.header.id));
                    }
                    incarnation = new.0;
                }
                _ => {}
            },
            _ => {}
        }
    }
    Ok(())
}
