//! `cargo x sim`: the simulator (`tests/sim`), built once and fast, with every assertion on.

use crate::steps::{Fault, cargo, run};

/// Options of `cargo x sim`; those of the program itself.
#[derive(clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  cargo x sim 4711                  one run, told line by line\n  cargo x sim --seeds 1500          what CI runs\n  cargo x sim --minutes 10 --from 5000\n  cargo x sim --help                every option"
)]
pub struct Sim {
    /// A seed, or `--seeds N --from S --minutes M --threads T --json`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Sim {
    /// Builds and runs it.
    pub fn run(&self) -> Result<(), Fault> {
        let mut program =
            cargo(&["run", "--quiet", "--profile", "sim", "--package", "lockstep-sim", "--bin", "lockstep-sim", "--"]);
        run("sim", program.args(&self.arguments))
    }
}
