//! `cargo x model`: the contracts, every state of them, in release mode (`tests/model`).

use crate::steps::{Fault, Steps, cargo};

/// Options of `cargo x model`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x model                                 every configuration whole, then each rule taken away: 26 million\n                                                states, two minutes, 1.2 GB\n  cargo x model two-way                         one configuration\n  cargo x model two-way --without VoidByInput   the shortest run that breaks a promise without a rule\n  cargo x model --list                          configurations and rules\n  cargo x test model                            the same within smaller bounds, as in CI"
)]
pub struct Model {
    /// Handed on as it stands: a configuration, `--without RULE,RULE`, `--list`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl Model {
    /// Builds and explores; not ending with 0 means that a promise breaks, or that one does not without its rule.
    pub fn run(&self) -> Result<(), Fault> {
        let mut explore = cargo(&["run", "--quiet", "--release", "--package", "lockstep-protocol", "--"]);
        Steps::default().run("model", explore.args(&self.rest))
    }
}
