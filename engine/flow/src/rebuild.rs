//! A state that is folded from nothing: it stops where the records end, and decides nothing (J19).

use crate::{
    config::Config,
    input::FlowOutput,
    meta::{PLACE, Phase},
    recover::Stage,
    step::Flow,
    stored,
};
use ports::StateTxn;
use schemas::keys;

impl Flow {
    /// A flow that folds what is recorded, asks for a checkpoint there, and is closed.
    pub fn rebuilding(config: Config) -> Flow {
        let mut flow = Flow::new(config);
        flow.rebuilding = true;
        flow
    }

    /// The logs are folded. An input whose first step is not recorded is begun again by whoever opens this state: what it
    /// causes is not in the state, and what its beginning does is done once.
    pub(crate) fn rebuilt(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        self.stage = Stage::Closed;
        if !self.causes.is_empty() && self.place.phase == (Phase::Steps { done: 0 }) {
            self.place.phase = Phase::Fresh;
        }
        self.place.decisions = self.decisions_tail.seq;
        stored::put(state, &keys::meta(PLACE), &self.place);
        out.push(FlowOutput::Checkpoint);
    }
}
