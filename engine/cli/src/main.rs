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
mod explain;
mod first_start;
mod map;
mod output;
mod progress;
mod stores;

use args::{Cli, Command};
use clap::{FromArgMatches, error::ErrorKind};
use config::Settings;
use error::CliError;
use exit::Exit;
use output::Output;
use std::process::ExitCode;

/// What one thread makes another one lets go of, all day long, and the system's allocator keeps an arena a thread. How this
/// one is set stands in `.cargo/config.toml`.
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let mut command = args::command();
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error.format(&mut command)),
    };
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

/// What was wrong with the command line, or the help that was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if help || !std::env::args_os().any(|argument| argument == "--json") {
        error.exit();
    }
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let what = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    Output::new(true).fail(CliError::new(Exit::Usage, what, lines.collect::<Vec<_>>().join("; ")));
    Exit::Usage.into()
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
        Command::Waiting { command } => commands::waiting::run(&settings, command, output),
        Command::Held { command } => commands::held::run(&settings, command, output),
        Command::Unit { command } => commands::unit::run(&settings, command, output),
        Command::Replay { command } => commands::replay::run(&settings, command, output),
        Command::State { command } => commands::state::run(&settings, command, output),
        Command::Source { command } => commands::source::run(&settings, command, output),
        Command::Verify => commands::verify::run(&settings, output),
    }
}
