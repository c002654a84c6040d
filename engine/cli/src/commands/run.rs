//! `run`: the pipeline, until SIGTERM or Ctrl-C.

use crate::{
    args::{LogForm, Run},
    config::Settings,
    connect::{self, Show},
    error::CliError,
    exit::Exit,
    first_start,
    map::Standing,
    output::alarm,
    progress::Progress,
    stores,
};
use flow::Blocked;
use runtime::{Ended, Engine, Handle, KillPoints, Setup, SystemClock, make_flow, poison_from_env};
use server::{Api, ControlSocket};
use std::{sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Sources, sinks and the control socket share so many threads.
const WORKERS: usize = 2;
/// A line about where everything stands.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs it.
pub fn run(settings: Settings, args: &Run, json: bool) -> Result<Exit, CliError> {
    let form = if json { LogForm::Json } else { args.log };
    let progress = Progress::new(form == LogForm::Text);
    log(form, &progress);
    runtime::install_panic_hook();
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    plaintext(&settings, args.accept_plaintext_journal, form)?;
    let _lock = stores::lock(&settings)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let tokio = tokio.map_err(|error| CliError::new(Exit::Ours, format!("no runtime: {error}"), ""))?;
    // Wrong settings of the source are told before anything is opened.
    let checked = {
        let _guard = tokio.enter();
        connect::source(&settings).map(drop)
    };
    checked?;
    tokio.block_on(first_start::prerequisites(&settings))?;
    let settings = Arc::new(settings);
    let ended = tokio.block_on(pipeline(settings, tokio.handle().clone(), progress))?;
    match ended {
        Ended::Stopped => {
            tracing::info!("stopped");
            Ok(Exit::Done)
        }
        Ended::Failed(fault) => Err(CliError::Fault(Exit::of_run(&fault), fault)),
        Ended::Broken(fault) => Err(CliError::Fault(Exit::Ours, fault)),
    }
}

/// Real patients lie in the journal as they are: somebody has to say that this is accepted (clinical U1).
fn plaintext(settings: &Settings, accepted: bool, form: LogForm) -> Result<(), CliError> {
    if settings.source.table.get("synthetic").and_then(toml::Value::as_bool).unwrap_or(false) {
        return Ok(());
    }
    let what = format!("the journal in {} is not encrypted at rest yet", settings.data_dir.display());
    if !accepted {
        let what = format!("{what}, and the source {} is not marked `synthetic = true`", settings.source.system);
        let cure = "put data_dir on an encrypted disk and say --accept-plaintext-journal; or mark a source without real \
                    patients";
        return Err(CliError::new(Exit::Usage, what, cure));
    }
    let what = format!("{what}: whoever reads its disk reads the patients");
    match form {
        LogForm::Text => eprintln!("{}: {what}", alarm("PLAINTEXT")),
        LogForm::Json => tracing::warn!("{what}"),
    }
    Ok(())
}

async fn pipeline(
    settings: Arc<Settings>,
    tokio: tokio::runtime::Handle,
    progress: Progress,
) -> Result<Ended, CliError> {
    let sink = connect::target(&settings, &[])?.sink;
    let show = connect::show(&settings);
    let bind = ControlSocket::bind(&settings.data("control.sock"));
    let socket = bind.map_err(|error| {
        let what = format!("{} cannot be made: {error}", settings.data("control.sock").display());
        CliError::new(Exit::Usage, what, "data_dir must be writable, and its path shorter than 90 letters")
    })?;
    let (opening, reading) = (settings.clone(), settings.clone());
    let engine = Engine::start(
        Setup {
            config: flow::Config { poison: poison_from_env(), ..settings.flow_config(flow::BEHAVIOUR) },
            overlay_bytes_max: settings.overlay_bytes_max,
            core: make_flow,
            open: Box::new(move || stores::open(&opening)),
            source: Arc::new(move || connect::source(&reading).map_err(CliError::into_fault)),
            sink,
            clock: Arc::new(SystemClock::default()),
            kill: KillPoints::from_env(),
        },
        tokio,
    );
    let handle = engine.handle();
    let verified = settings.clone();
    let sides = Arc::new(move || connect::sides(&verified).map_err(CliError::into_fault));
    let api = Api { handle: handle.clone(), show: show.clone(), sides };
    let serving = tokio::spawn(socket.serve(api));
    let telling = tokio::spawn(tell(settings.clone(), handle.clone(), progress, show));
    let stopping = tokio::spawn(stop_on_signal(handle));
    let ended = engine.ended().await;
    for task in [telling, stopping] {
        task.abort();
    }
    serving.abort();
    // A socket without an engine behind it would only mislead; the next start replaces it anyway.
    let removed = std::fs::remove_file(settings.data("control.sock"));
    drop(removed);
    Ok(ended)
}

async fn stop_on_signal(handle: Handle) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("no signal can be received: end the process with kill -9, nothing acknowledged is lost");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    handle.stop();
}

/// A line every ten seconds and whenever the source or the map changes; bars for the first read.
async fn tell(settings: Arc<Settings>, handle: Handle, mut progress: Progress, show: Show) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let (mut told, mut before, mut asked) = (tokio::time::Instant::now(), None, 0);
    let mut compared = false;
    loop {
        ticks.tick().await;
        let Ok(status) = handle.status().await else { continue };
        progress.show(&status, &handle.progress());
        if status.held > asked {
            tracing::warn!(held = status.held, "a person is asked: lockstep held ls");
        }
        asked = status.held;
        // The last activation is known once all that was decided before is folded.
        if !compared
            && status.blocked != Some(Blocked::Recovery)
            && let Ok((_, hash)) = &status.map
        {
            compared = true;
            if let Some(differs) = Standing::of(&settings, Some(&hash.to_string())).told() {
                tracing::warn!("{differs}");
            }
        }
        let now = Some((status.source.state, status.map.as_ref().ok().map(|(_, hash)| *hash)));
        if now == before && told.elapsed() < STATUS_EVERY {
            continue;
        }
        (before, told) = (now, tokio::time::Instant::now());
        let source = &status.source;
        let map = match &status.map {
            Ok((name, hash)) => format!("{name} #{}", hash.short()),
            Err(why) => why.clone(),
        };
        tracing::info!(
            source = source.state, passed = source.passed.as_ref().map(|passed| show(passed)).unwrap_or_default(),
            journal = %status.journal, folding = %status.folding, decisions = %status.decisions,
            unsettled = status.unsettled, in_flight = status.in_flight, accepted = status.accepted,
            parked = status.parked, held = status.held, map, "status"
        );
    }
}

fn log(form: LogForm, progress: &Progress) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match form {
        LogForm::Text => subscriber.with_writer(progress.writer()).with_ansi(progress.is_terminal()).init(),
        LogForm::Json => subscriber.json().with_writer(std::io::stderr).init(),
    }
}
