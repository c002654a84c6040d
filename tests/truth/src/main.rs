//! `cargo x truth`: random SQL against the journal, from a seed.

use clap::Parser;
use lockstep_truth::Truth;
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;

/// Random SQL and kills; after every round the journal's fold equals `SELECT *` of every captured table.
#[derive(Parser)]
#[command(name = "cargo x truth")]
struct Cli {
    /// Whose statements; another one for each run when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// How many rounds.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// The report as one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Cli { seed, rounds, json } = Cli::parse();
    let seed = seed.unwrap_or_else(lockstep_truth::any_seed);
    println!("cargo x truth --seed {seed} --rounds {rounds}");
    let started = Instant::now();
    let mut truth = Truth::new(seed);
    let done = truth.run(rounds, |summary| {
        if !json {
            println!("{summary:?}");
        }
    });
    match done {
        Ok(summary) if json => {
            println!(
                "{}",
                json!({"seed": seed, "rounds": summary.rounds, "statements": summary.statements, "refused": summary.refused,
                    "kills": summary.kills, "answers": summary.answers, "entries": summary.entries, "rows": summary.rows,
                    "seconds": started.elapsed().as_secs_f64()})
            );
            ExitCode::SUCCESS
        }
        Ok(_) => {
            println!("every round was the truth, {:.0} s", started.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(differences) => {
            println!("{differences}\nkept: {}", truth.keep());
            ExitCode::FAILURE
        }
    }
}
