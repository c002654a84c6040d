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
use model::{ControlAct, EntryId, Kind, Principal, Unit, UnitId};
use ports::{Failure, Fault};
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
        .route("/held", get(held))
        .route("/activate", post(activate))
        .route("/parked/release", post(release))
        .route("/held/answer", post(answer))
        .route("/probed", post(probed))
        .fallback(|| async { Refused(fault("there is no such route", "ask with the same version of `lockstep`")) })
        .with_state(api)
        .merge(verifications)
}

/// A fault as an answer.
pub(crate) struct Refused(Fault);

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused(fault)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(fault) = self;
        let (status, failure) = match fault.failure {
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
    let unknown = || Fault::new(Failure::Rejected, format!("{unit} is not known")).cure("no row was ever mapped to it");
    Ok(Json(views::unit(&view.ok_or_else(unknown)?)))
}

async fn parked(State(api): Shared) -> Answer {
    Ok(Json(views::parked(&api.handle.parked().await?)))
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
        return Err(fault("no unit is parked for this cause", "lockstep parked ls").into());
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
    let unknown = || fault("there is no such answer", "lockstep held ls shows the possible ones");
    let answer = views::answer_of(&body.answer)
        .ok_or_else(|| fault("there is no such answer", &format!("one of {}", views::answer_names())))?;
    let held = api.handle.held().await?;
    let item = held.iter().find(|item| *item.name == *body.hold);
    let item = item.ok_or_else(|| fault("nothing of this name is held", "lockstep held ls"))?;
    if !item.answers.contains(&answer) {
        return Err(unknown().into());
    }
    let act = match body.hold.split_once(':') {
        Some(("unit", unit)) => Act::Review { unit: unit_of(unit)?, answer },
        // What was found at the source is the flow's to fill in.
        Some(("source", source)) => {
            Act::Control(ControlAct::AcceptGap { source: source.into(), passed: Default::default(), slot: None })
        }
        Some(_) | None => Act::Control(ControlAct::Answered { hold: body.hold.into(), answer }),
    };
    done(&api, peer, act, &body.reason).await
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
