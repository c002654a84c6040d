//! `lockstep-sandbox`: the strict FHIR R4 server as a program.
//!
//! Prints `READY http://…/fhir` when it serves. Ends by a signal only.

use clap::Parser;
use lockstep_sandbox::{Options, Sandbox};
use std::io::Write;
use std::process::ExitCode;

/// A strict FHIR R4 server for tests: refuses what R4 does not know, keeps every version, fails on demand.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  lockstep-sandbox --listen 127.0.0.1:8090 --file fhir.log\n  lockstep-sandbox --like hapi\n  curl -d '{\"lose_reply_after_commit\":{\"rate\":0.1},\"seed\":7}' http://127.0.0.1:8090/_faults"
)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let options = Cli::parse().options;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let served = runtime.map_err(|fault| fault.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            let sandbox = Sandbox::start(&options).await.map_err(|fault| fault.to_string())?;
            println!("READY {}", sandbox.base_url());
            std::io::stdout().flush().map_err(|fault| fault.to_string())?;
            sandbox.wait().await;
            Ok(())
        })
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("lockstep-sandbox: {fault}");
            ExitCode::from(3)
        }
    }
}
