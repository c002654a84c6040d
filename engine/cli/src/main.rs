//! The binary `lockstep`: the composition root. It chooses logs, store, clock and connectors; everything else is below.
//!
//! No command prints a patient's value. Exit codes are in `exit`.

mod args;
mod client;
mod commands;
mod config;
mod connect;
mod describe;
mod dry;
mod error;
mod exit;
mod first_start;
mod map;
mod output;
mod progress;
mod stores;

use args::{Cli, Command};
use clap::Parser;
use config::Settings;
use error::CliError;
use exit::Exit;
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    match dispatch(&cli, output) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = error.exit();
            output.fail(error);
            exit.into()
        }
    }
}

fn dispatch(cli: &Cli, output: Output) -> Result<Exit, CliError> {
    if let Command::Init(args) = &cli.command {
        return commands::init::run(&cli.config, args, output);
    }
    let settings = Settings::load(&cli.config)?;
    match &cli.command {
        Command::Init(args) => commands::init::run(&cli.config, args, output),
        Command::Check(args) => commands::check::run(&settings, args, output),
        Command::Activate(args) => commands::activate::run(&settings, args, output),
        Command::Run(args) => commands::run::run(settings, args, cli.json),
        Command::Status => commands::status::run(&settings, output),
        Command::Journal { command } => commands::journal::run(&settings, command, output),
        Command::Parked { command } => commands::parked::run(&settings, command, output),
        Command::Held { command } => commands::held::run(&settings, command, output),
        Command::Unit { command } => commands::unit::run(&settings, command, output),
        Command::Replay { command } => commands::replay::run(&settings, command, output),
        Command::State { command } => commands::state::run(&settings, command, output),
        Command::Source { command } => commands::source::run(&settings, command, output),
        Command::Verify => commands::verify::run(&settings, output),
    }
}
