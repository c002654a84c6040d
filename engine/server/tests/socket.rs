//! The control socket in front of an engine whose core only answers: who acts, what is refused, what is answered.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use flow::{Act, Config, FlowInput, FlowOutput, HeldItem, Limits, ParkedItem, Status, Suspect, UnitView};
use journal::{EntryCodec, MemoryLog, RecordCodec};
use lockstep_server::{Api, ControlSocket};
use model::{Answer, ControlAct, EntryId, Timestamp, Unit};
use ports::{Failure, Fault, StateTxn, Written};
use runtime::{Core, Engine, KillPoints, Setup, Stores, SystemClock};
use serde_json::{Value, json};
use sim::memory::MemorySink;
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
};
use store::{MemoryDisk, MemoryStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// What the core was asked to do; one test uses it.
static ACTS: Mutex<Vec<(String, String, Act)>> = Mutex::new(Vec::new());

struct Answers;

impl Core for Answers {
    fn step(&mut self, _: Timestamp, input: FlowInput, _: &mut dyn StateTxn) -> Vec<FlowOutput> {
        let FlowInput::Act { token, by, act, reason } = input else { return Vec::new() };
        ACTS.lock().unwrap().push((by.subject.to_string(), reason.to_string(), act));
        vec![FlowOutput::Answered { token, answer: Ok(EntryId::new(1, 9)) }]
    }
    fn wants_capture(&self) -> bool {
        false
    }
    fn is_live(&self) -> bool {
        true
    }
    fn next_wakeup(&self) -> Option<Timestamp> {
        None
    }
    fn suspect(&self) -> Suspect {
        Suspect::Elsewhere
    }
    fn last_written(&self, _: &dyn StateTxn) -> Option<Written> {
        None
    }
    fn status(&self, state: &dyn StateTxn) -> Status {
        flow::Flow::new(config()).status(state)
    }
    fn unit(&self, _: &Unit, _: &dyn StateTxn) -> Option<UnitView> {
        None
    }
    fn parked(&self, _: &dyn StateTxn) -> Vec<ParkedItem> {
        Vec::new()
    }
    fn waiting(&self, _: &dyn StateTxn) -> Vec<flow::WaitingItem> {
        Vec::new()
    }
    fn held(&self, _: &dyn StateTxn) -> Vec<HeldItem> {
        vec![HeldItem {
            name: "table:public.patient".into(),
            question: "truncated".into(),
            answers: vec![Answer::Expand, Answer::ReadAgain],
        }]
    }
}

fn config() -> Config {
    Config {
        pipeline: "test".into(),
        site: "here".into(),
        namespace: uuid::Uuid::from_u128(7),
        source: flow::SourceSettings { system: "legacy".into(), slot: "lockstep_test".into() },
        sink: flow::SinkSettings { system: "cloud".into(), stamp_uri: "https://x.example/t".into(), concurrency: 4 },
        limits: Limits::default(),
        behaviour: flow::BEHAVIOUR,
        quarantine: Default::default(),
        poison: None,
    }
}

fn start() -> Engine {
    let open = || {
        let journal = MemoryLog::<EntryCodec>::create("test", 1, Timestamp(0));
        let term = journal.term();
        Ok(Stores {
            journal: Box::new(journal),
            decisions: Box::new(MemoryLog::<RecordCodec>::create("test", 1, Timestamp(0))),
            term,
            store: Box::new(MemoryStore::open(&MemoryDisk::default())),
        })
    };
    Engine::start(
        Setup {
            config: config(),
            overlay_bytes_max: 1 << 20,
            core: |_| Box::new(Answers),
            open: Box::new(open),
            source: Arc::new(|| Err(Fault::new(Failure::Transient, "no source"))),
            sink: Arc::new(MemorySink::default()),
            clock: Arc::new(SystemClock::default()),
            kill: KillPoints::none(),
        },
        tokio::runtime::Handle::current(),
    )
}

async fn ask(socket: &Path, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let body = if method == "GET" { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn serve(engine: &Engine, socket: &Path) -> tokio::task::JoinHandle<std::io::Result<()>> {
    let show = Arc::new(|position: &model::SourcePosition| format!("{position:?}"));
    let sides = Arc::new(|| Err(Fault::new(Failure::Transient, "the target is down").cure("start it").unreachable()));
    let api = Api { handle: engine.handle(), show, sides };
    tokio::spawn(ControlSocket::bind(socket).unwrap().serve(api))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verification_is_asked_about_by_its_number_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let engine = start();
    let serving = serve(&engine, &socket);
    assert_eq!(ask(&socket, "GET", "/verify/1", &Value::Null).await.0, 422, "none was asked for");
    let (status, begun) = ask(&socket, "POST", "/verify", &json!({})).await;
    assert_eq!((status, begun["number"].as_u64()), (200, Some(1)), "{begun}");
    let told = loop {
        let (status, told) = ask(&socket, "GET", "/verify/1", &Value::Null).await;
        if status != 200 {
            break (status, told);
        }
        tokio::task::yield_now().await;
    };
    let refusal =
        json!({ "error": "the target is down", "cure": "start it", "failure": "transient", "unreachable": true });
    assert_eq!(told, (503, refusal));
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_carries_the_uid_of_the_peer_and_only_possible_answers_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let engine = start();
    let serving = serve(&engine, &socket);
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    let (status, answer) = ask(&socket, "GET", "/status", &Value::Null).await;
    assert_eq!((status, answer["accepted"].as_u64()), (200, Some(0)), "{answer}");
    let target = &answer["target"];
    assert_eq!((target["system"].as_str(), target["heartbeat_seconds"].as_u64()), (Some("cloud"), Some(1)), "{target}");
    let (_, held) = ask(&socket, "GET", "/held", &Value::Null).await;
    assert_eq!(held[0]["answers"], json!(["expand", "read-again"]));

    let answer = |answer| json!({ "hold": "table:public.patient", "answer": answer, "reason": "asked the DBA" });
    assert_eq!(ask(&socket, "POST", "/held/answer", &answer("recreate")).await.0, 400);
    let (status, told) = ask(&socket, "POST", "/held/answer", &answer("expandd")).await;
    assert_eq!((status, told["failure"].as_str()), (400, Some("usage")), "{told}");
    assert_eq!(told["cure"], "did you mean `expand`?");
    let mut misspelt = answer("expand");
    misspelt["hold"] = json!("table:public.patent");
    let (_, told) = ask(&socket, "POST", "/held/answer", &misspelt).await;
    assert_eq!(told["cure"], "did you mean `table:public.patient`?");
    let (status, told) = ask(&socket, "POST", "/held/fits", &answer("expand")).await;
    assert_eq!(status, 200, "asking does nothing: {told}");
    let (status, told) = ask(&socket, "POST", "/held/answer", &answer("expand")).await;
    assert_eq!((status, told["entry"].as_str()), (200, Some("1:9")), "{told}");
    // Once it is folded nothing is asked: reading again is possible all the same.
    assert_eq!(ask(&socket, "POST", "/held/fits", &answer("read-again")).await.0, 200);
    let (status, told) = ask(&socket, "POST", "/activate", &json!({ "name": "legacy", "map": "map: x" })).await;
    assert_eq!(status, 200, "{told}");
    let probe = json!({ "system": "cloud", "profile": "sandbox", "findings": "the profile holds" });
    assert_eq!(ask(&socket, "POST", "/probed", &probe).await.0, 200);

    let acts = std::mem::take(&mut *ACTS.lock().unwrap());
    let uid = rustix::process::getuid().as_raw().to_string();
    assert!(acts.len() == 3 && acts.iter().all(|(subject, ..)| *subject == uid), "{acts:?}");
    assert_eq!(acts[0].1, "asked the DBA");
    assert!(matches!(&acts[0].2, Act::Control(ControlAct::Answered { answer: Answer::Expand, .. })));
    assert!(matches!(&acts[2].2, Act::Control(ControlAct::Probed { profile, .. }) if **profile == *"sandbox"));

    let unknown = "/unit/Patient/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10";
    let (status, told) = ask(&socket, "GET", unknown, &Value::Null).await;
    assert_eq!((status, told["failure"].as_str()), (400, Some("usage")));
    assert_eq!(ask(&socket, "GET", "/unit/Patient/x", &Value::Null).await.0, 422);
    serving.abort();
}
