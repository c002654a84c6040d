//! What the driver needs of the flow; tests put a small one in its place.

use flow::{Config, FlowInput, FlowOutput, HeldItem, ParkedItem, Status, Suspect, UnitView, WaitingItem};
use model::{Timestamp, Unit};
use ports::{StateTxn, Written};

/// A step machine.
pub trait Core: Send {
    /// Takes one input.
    fn step(&mut self, now: Timestamp, input: FlowInput, state: &mut dyn StateTxn) -> Vec<FlowOutput>;
    /// Whether captured entries are welcome.
    fn wants_capture(&self) -> bool;
    /// Whether the logs are folded to their ends.
    fn is_live(&self) -> bool;
    /// When `Tick` is wanted, at the latest.
    fn next_wakeup(&self) -> Option<Timestamp>;
    /// What the step does that is under way, or panicked.
    fn suspect(&self) -> Suspect;
    /// What the target holds of the unit that was written last, where that is known.
    fn last_written(&self, state: &dyn StateTxn) -> Option<Written>;
    /// Where everything stands.
    fn status(&self, state: &dyn StateTxn) -> Status;
    /// What is known of one unit.
    fn unit(&self, unit: &Unit, state: &dyn StateTxn) -> Option<UnitView>;
    /// Parked units by cause.
    fn parked(&self, state: &dyn StateTxn) -> Vec<ParkedItem>;
    /// What is waited for.
    fn waiting(&self, state: &dyn StateTxn) -> Vec<WaitingItem>;
    /// What waits for a person.
    fn held(&self, state: &dyn StateTxn) -> Vec<HeldItem>;
}

/// Makes a machine that waits for `Open`.
pub type MakeCore = fn(Config) -> Box<dyn Core>;

impl Core for flow::Flow {
    fn step(&mut self, now: Timestamp, input: FlowInput, state: &mut dyn StateTxn) -> Vec<FlowOutput> {
        flow::Flow::step(self, now, input, state)
    }

    fn wants_capture(&self) -> bool {
        flow::Flow::wants_capture(self)
    }

    fn is_live(&self) -> bool {
        flow::Flow::is_live(self)
    }

    fn next_wakeup(&self) -> Option<Timestamp> {
        flow::Flow::next_wakeup(self)
    }

    fn suspect(&self) -> Suspect {
        flow::Flow::suspect(self)
    }

    fn last_written(&self, state: &dyn StateTxn) -> Option<Written> {
        flow::Flow::last_written(self, state)
    }

    fn status(&self, state: &dyn StateTxn) -> Status {
        flow::Flow::status(self, state)
    }

    fn unit(&self, unit: &Unit, state: &dyn StateTxn) -> Option<UnitView> {
        flow::Flow::unit(self, unit, state)
    }

    fn parked(&self, state: &dyn StateTxn) -> Vec<ParkedItem> {
        flow::Flow::parked(self, state)
    }

    fn waiting(&self, state: &dyn StateTxn) -> Vec<WaitingItem> {
        flow::Flow::waiting(self, state)
    }

    fn held(&self, state: &dyn StateTxn) -> Vec<HeldItem> {
        flow::Flow::held(self, state)
    }
}

/// Makes the flow itself.
pub fn make_flow(config: Config) -> Box<dyn Core> {
    Box::new(flow::Flow::new(config))
}
