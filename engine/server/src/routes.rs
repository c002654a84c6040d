//! The routes of the control socket: questions are GETs, acts are POSTs and carry the peer as their principal.

use crate::{Api, principal::Peer, verification, views};
use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use flow::Act;
use model::{ControlAct, EntryId, Hash, Kind, Principal, Unit, UnitId};
use ports::{Failure, Fault, setting::did_you_mean};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Shared = State<Arc<Api>>;

pub(crate) fn router(api: Arc<Api>) -> Router {
    let verifications = verification::routes(api.clone());
    Router::new()
        .route("/status", get(status))
        .route("/unit/{kind}/{id}", get(unit))
        .route("/parked", get(parked))
        .route("/waiting", get(waiting))
        .route("/held", get(held))
        .route("/activate", post(activate))
        .route("/parked/release", post(release))
        .route("/held/answer", post(answer))
        .route("/held/fits", post(fits))
        .route("/probed", post(probed))
        .fallback(|| async {
            Refused::from(fault("there is no such route", "ask with the same version of `lockstep`"))
        })
        .with_state(api)
        .merge(verifications)
}

/// A fault as an answer.
pub(crate) struct Refused {
    fault: Fault,
    /// Who asked named something that is not there.
    usage: bool,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused { fault, usage: false }
    }
}

/// Nothing goes by this name; the nearest that does is told, or the command that lists them.
fn no_such(what: impl Into<String>, name: &str, known: &[&str], list: &str) -> Refused {
    const SHOWN_MAX: usize = 5;
    let near = did_you_mean(name, known);
    let cure = match known.len() {
        0 => format!("there is none: {list}"),
        more if more > SHOWN_MAX && !near.starts_with("did you mean") => format!("{list} lists them"),
        _ => near,
    };
    Refused { fault: fault(what, &cure), usage: true }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused { fault, usage } = self;
        let (status, failure) = match fault.failure {
            _ if usage => (StatusCode::BAD_REQUEST, "usage"),
            Failure::Transient => (StatusCode::SERVICE_UNAVAILABLE, "transient"),
            Failure::Rejected => (StatusCode::NOT_FOUND, "rejected"),
            Failure::Misconfigured => (StatusCode::UNPROCESSABLE_ENTITY, "misconfigured"),
            Failure::Corrupt => (StatusCode::INTERNAL_SERVER_ERROR, "corrupt"),
        };
        let body = json!({
            "error": fault.what, "cure": fault.cure, "failure": failure, "unreachable": fault.unreachable,
        });
        (status, Json(body)).into_response()
    }
}

pub(crate) fn fault(what: impl Into<String>, cure: &str) -> Fault {
    Fault::new(Failure::Misconfigured, what).cure(cure)
}

pub(crate) type Answer = Result<Json<Value>, Refused>;

async fn status(State(api): Shared) -> Answer {
    let status = api.handle.status().await?;
    Ok(Json(views::status(&status, &api.handle.target(), api.handle.disk_full(), &api.handle.progress(), &api.show)))
}

async fn unit(State(api): Shared, Path((kind, id)): Path<(String, String)>) -> Answer {
    let unit = unit_of(&format!("{kind}/{id}"))?;
    let view = api.handle.unit(unit.clone()).await?;
    let what = format!("{unit} is not known: no row was ever mapped to it");
    match view {
        Some(view) if view.unit == unit => Ok(Json(views::unit(&view))),
        Some(view) => Err(no_such(what, &unit.to_string(), &[&view.unit.to_string()], "lockstep journal ls")),
        None => {
            let cure =
                "`lockstep journal ls` shows the unit of each Bound entry, `lockstep parked ls` those that are parked";
            Err(Refused { fault: fault(what, cure), usage: true })
        }
    }
}

async fn parked(State(api): Shared) -> Answer {
    Ok(Json(views::parked(&api.handle.parked().await?)))
}

async fn waiting(State(api): Shared) -> Answer {
    Ok(Json(views::waiting(&api.handle.waiting().await?)))
}

async fn held(State(api): Shared) -> Answer {
    Ok(Json(views::held(&api.handle.held().await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Activation {
    name: String,
    map: String,
}

async fn activate(State(api): Shared, ConnectInfo(peer): ConnectInfo<Peer>, Json(body): Json<Activation>) -> Answer {
    let act = Act::Activate { kind: Kind::Map, name: body.name.into(), bytes: body.map.into_bytes().into() };
    done(&api, peer, act, "").await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    cause: String,
    reason: String,
}

async fn release(State(api): Shared, ConnectInfo(peer): ConnectInfo<Peer>, Json(body): Json<Release>) -> Answer {
    let listed = api.handle.parked().await?;
    if !listed.iter().any(|item| *item.cause == *body.cause) {
        let known: Vec<&str> = listed.iter().map(|item| &*item.cause).collect();
        return Err(no_such("no unit is parked for this cause", &body.cause, &known, "lockstep parked ls"));
    }
    let act = Act::Control(ControlAct::Released { cause: body.cause.into() });
    done(&api, peer, act, &body.reason).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldAnswer {
    hold: String,
    answer: String,
    reason: String,
}

async fn answer(State(api): Shared, ConnectInfo(peer): ConnectInfo<Peer>, Json(body): Json<HoldAnswer>) -> Answer {
    let (answer, _) = fitting(&api, &body).await?;
    let act = match body.hold.split_once(':') {
        Some(("unit", unit)) => Act::Review { unit: unit_of(unit)?, answer },
        // What was found at the source is the flow's to fill in.
        Some(("source", source)) => {
            Act::Control(ControlAct::AcceptGap { source: source.into(), passed: Default::default(), slot: None })
        }
        Some(_) | None => Act::Control(ControlAct::Answered { hold: body.hold.into(), answer, about: Hash::default() }),
    };
    done(&api, peer, act, &body.reason).await
}

/// Whether an answer would be taken, and to which question; nothing is done.
async fn fits(State(api): Shared, Json(body): Json<HoldAnswer>) -> Answer {
    let (_, question) = fitting(&api, &body).await?;
    Ok(Json(json!({ "question": question })))
}

/// The answer, with the question that it fits.
async fn fitting(api: &Api, body: &HoldAnswer) -> Result<(model::Answer, String), Refused> {
    let answers = views::answer_names();
    let answer = views::answer_of(&body.answer)
        .ok_or_else(|| no_such("there is no such answer", &body.answer, &answers, "lockstep held answer --help"))?;
    let (question, offered) = offered(api, &body.hold).await?;
    if offered.contains(&answer) {
        return Ok((answer, question));
    }
    let names: Vec<&str> = offered.iter().map(|answer| views::answer_name(*answer)).collect();
    let cure = match names.is_empty() {
        true => "no answer helps: change the map, then lockstep activate".to_owned(),
        false => format!("one of {}; lockstep held ls says what each does", names.join(", ")),
    };
    Err(Refused { fault: fault("this answer does not fit the question", &cure), usage: true })
}

/// What is held under this name, and the answers that fit; a parked unit takes answers of its own, too, and one that a person
/// keeps deleted may be made again.
async fn offered(api: &Api, hold: &str) -> Result<(String, Vec<model::Answer>), Refused> {
    let held = api.handle.held().await?;
    if let Some(item) = held.iter().find(|item| *item.name == *hold) {
        return Ok((item.question.to_string(), item.answers.clone()));
    }
    if let Some(unit) = hold.strip_prefix("unit:").and_then(|unit| unit_of(unit).ok())
        && let Some(view) = api.handle.unit(unit.clone()).await?.filter(|view| view.unit == unit)
        && !view.answers.is_empty()
    {
        let question = match view.verdict {
            Some(model::Verdict::Held(question) | model::Verdict::Parked(question)) => question.into(),
            _ => "kept_deleted".into(),
        };
        return Ok((question, view.answers.to_vec()));
    }
    // Any table that is captured may be read again.
    let captured = api.handle.status().await?.source.tables.into_iter();
    if hold.strip_prefix("table:").is_some_and(|name| captured.into_iter().any(|(table, ..)| table.as_str() == name)) {
        return Ok(("nothing is asked".into(), vec![model::Answer::ReadAgain]));
    }
    let known: Vec<&str> = held.iter().map(|item| &*item.name).collect();
    Err(no_such("nothing of this name is held", hold, &known, "lockstep held ls"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    system: String,
    profile: String,
    findings: String,
}

async fn probed(State(api): Shared, ConnectInfo(peer): ConnectInfo<Peer>, Json(body): Json<Probe>) -> Answer {
    let (system, profile) = (body.system.as_str().into(), body.profile.into());
    let act = Act::Control(ControlAct::Probed { system, profile, findings: body.findings.into() });
    done(&api, peer, act, "").await
}

async fn done(api: &Api, peer: Peer, act: Act, reason: &str) -> Answer {
    let nobody = || fault("the kernel does not say who asks", "connect from a process of this machine");
    let by: Principal = peer.principal().ok_or_else(nobody)?;
    let entry: EntryId = api.handle.act(by, act, reason).await?;
    Ok(Json(json!({ "entry": entry.to_string() })))
}

fn unit_of(text: &str) -> Result<Unit, Fault> {
    let parsed = text.split_once('/').and_then(|(kind, id)| Some((kind, uuid::Uuid::parse_str(id).ok()?)));
    let (kind, id) =
        parsed.ok_or_else(|| fault("a unit is named Type/id, and its id is a UUID", "lockstep unit show --help"))?;
    Ok(Unit { resource_type: kind.into(), id: UnitId(id) })
}
