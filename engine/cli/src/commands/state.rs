//! `state rebuild`: throws the store away and folds it again from the logs (J19). The engine must be stopped.

use crate::{
    args::State, config::Settings, dry, dry::Dry, error::CliError, exit::Exit, output::Output, progress::Bar, stores,
};
use flow::{Flow, FlowInput};
use ports::{Fault, StateStore, StateTxn};
use serde_json::json;
use std::path::PathBuf;
use store::RedbStore;

/// So many steps between two looks at how full the overlay is.
const STEPS_BETWEEN_LOOKS: u64 = 16;

/// Folds a store beside the one that is kept, and throws it away whatever happens.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // What cannot be removed is overwritten by the next dry run.
        let removed = std::fs::remove_dir_all(&self.0);
        drop(removed);
    }
}

/// Rebuilds, and prints the hash of what came out.
pub fn run(settings: &Settings, command: &State, output: Output) -> Result<Exit, CliError> {
    let State::Rebuild { dry_run } = command;
    let _lock = stores::lock(settings)?;
    // A state that cannot be folded again is not thrown away, nor one that alone knows what the logs have lost (J16).
    let (journal, decisions) = stores::read_recovered(settings, !dry_run)?;
    let tail = journal.tail()?.ok_or_else(dry::empty)?;
    let before = match RedbStore::open(&settings.data("store")) {
        Ok(mut store) => {
            let view = store.view()?;
            flow::tails_hold(&*view, tail.seq, decisions.tail()?.map_or(0, |id| id.seq))?;
            state_hash(&*view).ok()
        }
        Err(_) => None,
    };
    let beside = dry_run.then(|| Beside(settings.data("store.dry-run")));
    let place = beside.as_ref().map_or_else(|| settings.data("store"), |beside| beside.0.clone());
    let store = Box::new(RedbStore::create(&place)?);
    let flow = Flow::rebuilding(settings.flow_config(flow::BEHAVIOUR));
    let mut dry = Dry::open(flow, store, (&journal, &decisions))?.ok_or_else(dry::empty)?;
    fold(settings, &mut dry, &Bar::entries("folding", tail.seq))?;
    let hash = state_hash(&*dry.store.view()?)?;
    drop(dry);
    output.say(json!({ "hash": hash, "before": before, "dry_run": dry_run }), || {
        let before = match before {
            Some(before) if before == hash => "the same as before".to_owned(),
            Some(before) => format!("before: {before}; they differ where the last run had not folded as far"),
            None => "there was no readable state before".to_owned(),
        };
        format!("state {hash}\n{before}{}", if *dry_run { "; nothing was changed" } else { "" })
    });
    Ok(Exit::Done)
}

/// To the end of what is decided, with a checkpoint there.
fn fold(settings: &Settings, dry: &mut Dry<'_>, bar: &Bar) -> Result<(), Fault> {
    let mut steps = 0;
    while dry.step()?.is_some() {
        bar.at(dry.read);
        steps += 1;
        let due = steps % STEPS_BETWEEN_LOOKS == 0
            && runtime::is_layer_full(dry.store.overlay_bytes(), settings.overlay_bytes_max);
        if due {
            dry.push(FlowInput::CheckpointDue);
        }
    }
    Ok(())
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
