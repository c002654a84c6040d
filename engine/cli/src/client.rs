//! Asks the running engine over its control socket.

use crate::{config::Settings, error::CliError, exit::Exit};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use ports::{Failure, Fault};
use serde_json::Value;
use std::time::Duration;
use tokio::net::UnixStream;

/// An engine that says nothing for so long is busy with one step, or stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks a question.
pub fn get(settings: &Settings, path: &str) -> Result<Value, CliError> {
    block_on(patiently(ask(settings, "GET", path, None)))?
}

/// Asks for an act.
pub fn post(settings: &Settings, path: &str, body: &Value) -> Result<Value, CliError> {
    block_on(patiently(ask(settings, "POST", path, Some(body))))?
}

async fn patiently(answer: impl Future<Output = Result<Value, CliError>>) -> Result<Value, CliError> {
    let late = |_| {
        let what = format!("the engine did not answer in {} s", PATIENCE.as_secs());
        CliError::new(Exit::NotRunning, what, "look at its log; an act may stand all the same: lockstep journal ls")
    };
    tokio::time::timeout(PATIENCE, answer).await.map_err(late)?
}

/// Whether an engine answers.
pub fn is_running(settings: &Settings) -> bool {
    let connect = UnixStream::connect(settings.data("control.sock"));
    block_on(async { connect.await.is_ok() }).unwrap_or(false)
}

/// Runs a future of a command that is no engine.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::new(Exit::Ours, format!("no runtime: {error}"), ""))?;
    Ok(runtime.block_on(future))
}

async fn ask(settings: &Settings, method: &str, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
    let socket = settings.data("control.sock");
    let stream = UnixStream::connect(&socket).await.map_err(|error| {
        CliError::new(
            Exit::NotRunning,
            format!("the engine is not running ({}: {error})", socket.display()),
            "lockstep run",
        )
    })?;
    let broken =
        |what: String| CliError::new(Exit::NotRunning, format!("the engine did not answer: {what}"), "lockstep status");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(error.to_string()))?;
    let connection = tokio::spawn(connection);
    let body = body.map(ToString::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "lockstep")
        .header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| broken(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
    let good = response.status().is_success();
    let bytes = response.into_body().collect().await.map_err(|error| broken(error.to_string()))?.to_bytes();
    connection.abort();
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| broken("not JSON".to_owned()))?;
    if good { Ok(value) } else { Err(refused(&value)) }
}

/// What the engine refused, with its own fault's exit code; only an engine that is not ready is one that does not run.
fn refused(value: &Value) -> CliError {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let failure = match value["failure"].as_str() {
        _ if value["unreachable"] == true => {
            return Fault::new(Failure::Transient, text("error")).cure(text("cure")).unreachable().into();
        }
        Some("transient") => return CliError::new(Exit::NotRunning, text("error"), text("cure")),
        Some("usage") => return CliError::new(Exit::Usage, text("error"), text("cure")),
        Some("corrupt") => Failure::Corrupt,
        Some("rejected") => Failure::Rejected,
        _ => Failure::Misconfigured,
    };
    Fault::new(failure, text("error")).cure(text("cure")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_has_the_exit_code_of_its_fault() {
        let exit = |failure: &str, unreachable: bool| {
            refused(&json!({ "error": "x", "cure": "y", "failure": failure, "unreachable": unreachable })).exit()
        };
        assert_eq!(exit("transient", true), Exit::Unreachable);
        assert_eq!(exit("transient", false), Exit::NotRunning);
        assert_eq!(exit("misconfigured", false), Exit::Prerequisite);
        assert_eq!(exit("usage", false), Exit::Usage);
        assert_eq!(exit("corrupt", false), Exit::Stopped);
        assert_eq!(exit("rejected", false), Exit::No);
    }
}
