//! `state rebuild`: throws the store away and folds it again from the logs (J19). The engine must be stopped.

use crate::{args::State, config::Settings, dry, dry::Dry, error::CliError, exit::Exit, output::Output, stores};
use flow::{Flow, FlowInput};
use ports::{Fault, StateStore, StateTxn};
use serde_json::json;
use store::RedbStore;

/// So many steps between two looks at how full the overlay is.
const STEPS_BETWEEN_LOOKS: u64 = 16;

/// Rebuilds, and prints the hash of what came out.
pub fn run(settings: &Settings, command: &State, output: Output) -> Result<Exit, CliError> {
    let State::Rebuild = command;
    let _lock = stores::lock(settings)?;
    let before = RedbStore::open(&settings.data("store")).and_then(|mut store| state_hash(&*store.view()?)).ok();
    // A state that cannot be folded again is not thrown away.
    let (journal, decisions) = (stores::read_journal(settings)?, stores::read_decisions(settings)?);
    journal.tail()?.ok_or_else(dry::empty)?;
    let store = Box::new(RedbStore::create(&settings.data("store"))?);
    let flow = Flow::new(settings.flow_config(flow::BEHAVIOUR));
    let mut dry = Dry::open(flow, store, (&journal, &decisions))?.ok_or_else(dry::empty)?;
    let mut steps = 0;
    while let Some(round) = dry.step()? {
        if round.acted {
            break;
        }
        steps += 1;
        let due = steps % STEPS_BETWEEN_LOOKS == 0 && dry.store.overlay_bytes() >= settings.overlay_bytes_max;
        if due {
            dry.push(FlowInput::CheckpointDue);
        }
    }
    // The last checkpoint stands at the end of the fold, unless a decision is still to be made there.
    dry.push(FlowInput::CheckpointDue);
    while let Some(round) = dry.step()? {
        if round.checkpointed || !round.records.is_empty() {
            break;
        }
    }
    let hash = state_hash(&*dry.store.view()?)?;
    let object = json!({ "hash": hash, "before": before });
    output.say(object, || {
        let before = match before {
            Some(before) if before == hash => "the same as before".to_owned(),
            Some(before) => format!("before: {before}; they differ where the last run had not folded as far"),
            None => "there was no readable state before".to_owned(),
        };
        format!("state {hash}\n{before}")
    });
    Ok(Exit::Done)
}

/// Hash of every key and value but the fold's own place, which says where it stands and not what it knows.
pub fn state_hash(state: &dyn StateTxn) -> Result<String, Fault> {
    let place = schemas::keys::meta("place");
    let mut hasher = model::Hash::default();
    state.range(&[], &[0xff; 64], &mut |key, value| {
        if key != place {
            hasher = model::Hash::of_parts(&[&hasher.0, key, value]);
        }
        true
    });
    Ok(hasher.to_string())
}
