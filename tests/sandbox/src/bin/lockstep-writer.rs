//! `lockstep-writer`: changes the legacy clinic of the tests the way its users would.
//!
//! Prints what it committed as one line of JSON, also when the database goes away.

use clap::Parser;
use lockstep_sandbox::{Limit, Mix, Plan, Summary, Writer, WriterError};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

/// Inserts, updates, corrects, voids, un-voids, deletes, rolls back and holds transactions open.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  lockstep-writer --url postgres://clinic@127.0.0.1:5432/ehr --create --count 1000\n  lockstep-writer --url postgres://clinic@127.0.0.1:5432/ehr --seed 7 --rate 200 --seconds 60\n  lockstep-writer --url postgres://clinic@127.0.0.1:5432/ehr --count 500 --mix admit=1,vitals=9"
)]
struct Cli {
    /// Where the clinic is; also `host=… user=… dbname=…`.
    #[arg(long)]
    url: String,
    /// Makes the clinic's tables first.
    #[arg(long)]
    create: bool,
    /// The same seed over the same rows makes the same changes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Transactions a second; as fast as they go when left out.
    #[arg(long)]
    rate: Option<f64>,
    /// Ends after so many transactions.
    #[arg(long, conflicts_with = "seconds", required_unless_present = "seconds")]
    count: Option<u64>,
    /// Ends after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// What comes how often: `vitals=40,correct=10`.
    #[arg(long)]
    mix: Option<Mix>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => return failed(&fault),
    };
    match runtime.block_on(write(&cli)) {
        Ok(done) => {
            print(&done);
            ExitCode::SUCCESS
        }
        Err(fault) => {
            if let WriterError::Lost { done, .. } = &fault {
                print(done);
            }
            failed(&fault)
        }
    }
}

async fn write(cli: &Cli) -> Result<Summary, WriterError> {
    if cli.create {
        Writer::create_tables(&cli.url).await?;
    }
    let limit = cli.count.map(Limit::Transactions).or(cli.seconds.map(Limit::Seconds));
    let plan = Plan {
        seed: cli.seed,
        rate: cli.rate.filter(|rate| *rate > 0.0),
        limit: limit.unwrap_or(Limit::Transactions(0)),
        mix: cli.mix.clone().unwrap_or_default(),
    };
    Writer::connect(&cli.url).await?.run(&plan, &AtomicBool::new(false)).await
}

fn print(done: &Summary) {
    println!("{}", serde_json::to_string(done).expect("counts are plain data"));
}

fn failed(fault: &dyn std::error::Error) -> ExitCode {
    eprintln!("lockstep-writer: {fault}");
    ExitCode::from(3)
}
