//! Verifications asked for over the control socket: one at a time, on a thread of its own, asked about until it ends.
//!
//! A verification reads state and journal synchronously and holds a snapshot at the source: it must not sit on a worker of
//! the engine, and whoever asked may go away without leaving anything behind.

use crate::{
    Api,
    routes::{Answer, fault},
    views,
};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use model::SystemId;
use ports::{Failure, Fault, FenceSource, Readback};
use runtime::Handle;
use serde_json::json;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use verify::{Progress, ReadDecisions, ReadJournal, Report, VerifyInput, verify};

/// A stream that does not pass a fresh fence for so long is down or far behind.
const FENCE_PATIENCE: Duration = Duration::from_secs(600);
/// Histories that are asked for side by side.
const CONCURRENCY: usize = 8;
/// Findings that a report lists.
const FINDINGS_MAX: usize = 1_000;

/// Both ends of the pipeline, opened anew for one verification.
pub struct Sides {
    /// Opens the fence.
    pub fences: Box<dyn FenceSource>,
    /// The target, read.
    pub target: Arc<dyn Readback>,
    /// The journal, read beside the engine.
    pub journal: ReadJournal,
    /// The decisions log, read beside the engine.
    pub decisions: ReadDecisions,
    /// The source's system.
    pub source: SystemId,
    /// The sink's system.
    pub sink: SystemId,
    /// Keys the hashes of keys in print.
    pub secret: [u8; 32],
}

/// Opens both ends.
pub type OpenSides = Arc<dyn Fn() -> Result<Sides, Fault> + Send + Sync>;

/// `POST /verify` starts one or joins the one that runs; `GET /verify/NUMBER` says how far it is.
pub(crate) fn routes(api: Arc<Api>) -> Router {
    let served = Arc::new(Served { api, last: Arc::default() });
    Router::new().route("/verify", post(begin)).route("/verify/{number}", get(look)).with_state(served)
}

struct Served {
    api: Arc<Api>,
    last: Arc<Mutex<Last>>,
}

async fn begin(State(served): State<Arc<Served>>) -> Answer {
    let number = start(&served.last, served.api.handle.clone(), served.api.sides.clone())?;
    Ok(Json(json!({ "number": number })))
}

async fn look(State(served): State<Arc<Served>>, Path(number): Path<u64>) -> Answer {
    let now = {
        let last = lock(&served.last);
        (last.number == number).then(|| last.now.clone())
    };
    match now {
        Some(Now::Waiting(pids)) => Ok(Json(json!({ "waiting": pids }))),
        Some(Now::Comparing(progress)) => Ok(Json(json!({ "progress": progress.as_ref().map(views::progress) }))),
        Some(Now::Ended(ended)) => Ok(Json(json!({ "report": views::report(&*ended?, &served.api.show) }))),
        Some(Now::Never) | None => Err(fault("there is no such verification", "lockstep verify").into()),
    }
}

/// The verification that runs, or ran last.
#[derive(Default)]
struct Last {
    number: u64,
    now: Now,
}

/// How far the last one is.
#[derive(Clone, Default)]
enum Now {
    /// None was asked for.
    #[default]
    Never,
    /// Transactions at the source hold the fence up.
    Waiting(Vec<i32>),
    /// It compares.
    Comparing(Option<Progress>),
    /// It ended.
    Ended(Result<Box<Report>, Fault>),
}

/// Starts one, or joins the one that runs; gives its number.
fn start(shared: &Arc<Mutex<Last>>, handle: Handle, open: OpenSides) -> Result<u64, Fault> {
    let mut last = lock(shared);
    if matches!(last.now, Now::Waiting(_) | Now::Comparing(_)) {
        return Ok(last.number);
    }
    last.number += 1;
    last.now = Now::Comparing(None);
    let (number, told) = (last.number, shared.clone());
    drop(last);
    let work = move || {
        let ended = run(handle, &open, &told);
        lock(&told).now = Now::Ended(ended.map(Box::new));
    };
    let thread = std::thread::Builder::new().name("verify".into()).spawn(work);
    if let Err(error) = thread {
        let fault = Fault::new(Failure::Transient, format!("no thread for a verification: {error}"));
        lock(shared).now = Now::Ended(Err(fault.clone()));
        return Err(fault);
    }
    Ok(number)
}

fn lock(last: &Mutex<Last>) -> std::sync::MutexGuard<'_, Last> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections of its own on a runtime of its own: nothing of the engine waits for it.
fn run(handle: Handle, open: &OpenSides, told: &Mutex<Last>) -> Result<Report, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fault::new(Failure::Transient, format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let Sides { mut fences, target, journal, decisions, source, sink, secret } = open()?;
        let standing = handle.status().await?;
        if standing.source.state == "stopped" {
            let what = format!("the source {} is stopped: no fence can be passed", standing.source.system);
            return Err(Fault::new(Failure::Corrupt, what).cure("lockstep held ls"));
        }
        let before = standing.folding;
        let fence = fences.fence(&mut |pids| lock(told).now = Now::Waiting(pids)).await?;
        lock(told).now = Now::Comparing(None);
        let state = tokio::time::timeout(FENCE_PATIENCE, handle.fence(fence.position())).await;
        let state = state.map_err(|_| {
            let what = "the source's stream did not pass the fence in ten minutes: it is down or far behind";
            Fault::new(Failure::Transient, what).cure("lockstep status").unreachable()
        })??;
        let status = handle.status().await?;
        let tables = status.source.tables.into_iter().map(|(table, _, _)| table).collect();
        let (concurrency, findings_max) = (CONCURRENCY, FINDINGS_MAX);
        let input = VerifyInput {
            fence,
            state,
            target,
            journal,
            decisions,
            before,
            source,
            sink,
            tables,
            secret,
            concurrency,
            findings_max,
        };
        verify(input, &mut |progress| lock(told).now = Now::Comparing(Some(progress))).await
    })
}
