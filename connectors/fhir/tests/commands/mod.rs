//! What the tests say in one word: a server, requests for it, and other people's edits.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

mod answers;
mod contract;
pub mod tls;

use lockstep_fhir::{FhirSink, Options, ProbePlace, Secret};
use model::{EffectId, Hash, Json, Outcome, Unit, UnitId, Write, canonical_hash};
use ports::{Readback, SendBase, SendRequest, SinkReply};
use sandbox::{Like, Sandbox};
use schemas::{Profile, r4::ElementTable};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Both ways in which the server answers.
pub const FLAGS: [Like; 2] = [Like::Spec, Like::Hapi];

const STAMP_URI: &str = "https://ids.hospital.example/lockstep/clinic";

/// A server of its own for one test.
pub struct Peer {
    sandbox: Sandbox,
    like: Like,
    token: Option<String>,
    /// Where its writes are kept, if anywhere.
    file: Option<std::path::PathBuf>,
}

impl Peer {
    pub async fn start(like: Like) -> Peer {
        Peer::start_as(sandbox::Options::new(like)).await
    }

    pub async fn start_as(options: sandbox::Options) -> Peer {
        let sandbox = Sandbox::start(&options).await.unwrap();
        Peer { sandbox, like: options.like, token: options.token, file: options.file }
    }

    /// A server with another token at the same place; what was in memory is gone.
    pub async fn begin_again_with_token(mut self, token: &str) -> Peer {
        self.token = Some(token.to_owned());
        self.begin_again(|| {}).await
    }

    /// The same server again, with what its file holds now.
    pub async fn begin_again(self, meanwhile: impl FnOnce()) -> Peer {
        let mut options = sandbox::Options::new(self.like);
        (options.listen, options.token, options.file) = (self.address(), self.token.clone(), self.file.clone());
        self.stop().await;
        meanwhile();
        Peer::start_as(options).await
    }

    pub async fn start_with_token(like: Like, token: &str) -> Peer {
        let mut options = sandbox::Options::new(like);
        options.token = Some(token.to_owned());
        Peer::start_as(options).await
    }

    pub async fn stop(self) {
        self.sandbox.stop().await;
    }

    pub fn address(&self) -> SocketAddr {
        self.sandbox.address()
    }

    /// The profile that is true of this server.
    pub fn profile(&self) -> Profile {
        Profile::builtin(if self.like == Like::Spec { "sandbox" } else { "hapi" }).unwrap()
    }

    pub fn sink(&self) -> FhirSink {
        self.sink_with(|_| {})
    }

    pub fn sink_with(&self, change: impl FnOnce(&mut Options)) -> FhirSink {
        let mut options = Options {
            base_url: self.sandbox.base_url(),
            profile: self.profile(),
            stamp_uri: STAMP_URI.into(),
            bearer: self.token.as_deref().map(Secret::new),
            bearer_file: None,
            concurrency: 4,
            request_timeout: Duration::from_secs(10),
            heartbeat_seconds: 60,
            ca: None,
            probe: Some(ProbePlace::parse("Basic/lockstep").unwrap()),
            types: vec!["Patient".into(), "Observation".into()],
        };
        change(&mut options);
        FhirSink::open(options).unwrap()
    }

    pub fn unit(&self, n: u8) -> Unit {
        Unit { resource_type: "Patient".into(), id: id(n) }
    }

    /// A PUT of a patient with this family name; its stamp follows from all of it.
    pub fn put(&self, n: u8, family: &str, base: SendBase) -> SendRequest {
        let body = format!(
            "{{\"resourceType\":\"Patient\",\"id\":\"{}\",\"meta\":META,\"name\":[{{\"family\":\"{family}\"}}]}}",
            id(n)
        );
        request(self.unit(n), Write::Put, base, &body)
    }

    pub fn delete(&self, n: u8, base: SendBase) -> SendRequest {
        request(self.unit(n), Write::Delete, base, "")
    }

    /// A create of an observation about patient `about`.
    pub fn observation(&self, n: u8, about: u8) -> SendRequest {
        let unit = Unit { resource_type: "Observation".into(), id: id(n) };
        let body = format!(
            "{{\"resourceType\":\"Observation\",\"id\":\"{}\",\"meta\":META,\"status\":\"final\",\"code\":{{\"text\":\"x\"}},\"subject\":{{\"reference\":\"Patient/{}\"}},\"valueQuantity\":{{\"value\":1.50}}}}",
            id(n),
            id(about)
        );
        request(unit, Write::Put, SendBase::Create, &body)
    }

    pub fn with_body(&self, n: u8, body: &str) -> SendRequest {
        request(self.unit(n), Write::Put, SendBase::Create, &body.replace("\"ID\"", &format!("\"{}\"", id(n))))
    }

    /// Somebody else writes patient `n`.
    pub async fn foreign(&self, n: u8, family: &str) {
        let body =
            format!("{{\"resourceType\":\"Patient\",\"id\":\"{}\",\"name\":[{{\"family\":\"{family}\"}}]}}", id(n));
        let answer = self.http("PUT", &format!("/fhir/Patient/{}", id(n)), &body).await;
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }

    /// Somebody else deletes patient `n`.
    pub async fn foreign_delete(&self, n: u8) {
        let answer = self.http("DELETE", &format!("/fhir/Patient/{}", id(n)), "").await;
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }

    /// Has the server fail.
    pub async fn faults(&self, rules: &str) {
        let answer = self.http("POST", "/_faults", rules).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    pub async fn get(&self, path: &str) -> String {
        self.http("GET", path, "").await
    }

    /// Version and family name of each version of patient `n`, newest first; a deletion has no name.
    pub async fn versions(&self, n: u8) -> Vec<(String, String)> {
        let versions = self.sink().versions(&self.unit(n)).await.unwrap();
        versions
            .iter()
            .map(|held| (held.version.to_string(), held.body.as_ref().map(family).unwrap_or_default()))
            .collect()
    }

    /// By hand, so that no test rests on the client that it tests.
    async fn http(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let authorization =
            self.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n{authorization}content-type: application/fhir+json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn id(n: u8) -> UnitId {
    UnitId::from_bytes([n; 16])
}

fn request(unit: Unit, write: Write, base: SendBase, body: &str) -> SendRequest {
    let effect = EffectId(Hash::of_parts(&[
        unit.to_string().as_bytes(),
        format!("{write:?} {base:?}").as_bytes(),
        body.as_bytes(),
    ]));
    let request = effect.request();
    let body = body.replace("META", &format!("{{\"source\":\"{STAMP_URI}#{request}\"}}"));
    let hash = Json::parse(body.as_bytes()).map(|json| canonical_hash(&json, ElementTable::r4())).unwrap_or_default();
    SendRequest { effect, request, unit, write, base, body: body.as_bytes().into(), body_hash: hash, attempt: 1 }
}

pub fn family(body: &Json) -> String {
    let name = body.get("name").and_then(|names| names.items()?.first()?.get("family")?.as_str().map(str::to_owned));
    name.unwrap_or_default()
}

pub fn named((version, family): (&str, &str)) -> (String, String) {
    (version.to_owned(), family.to_owned())
}

/// Version and proof of an accepted reply.
#[track_caller]
pub fn accepted(reply: SinkReply) -> (String, String) {
    match reply {
        SinkReply::Final { outcome: Outcome::Accepted { version, by }, foreign } if foreign.is_empty() => {
            (version.into(), by.into())
        }
        reply => panic!("not accepted: {reply:?}"),
    }
}

/// Version, what stands and what lies beneath of a stale reply, by family name.
#[track_caller]
pub fn stale(reply: SinkReply) -> (String, Option<String>, Option<String>) {
    match reply {
        SinkReply::Final { outcome: Outcome::Stale { version, current, over }, .. } => {
            let over = over.map(|over| if over == Json::Null { "nothing".to_owned() } else { family(&over) });
            (version.into(), current.as_ref().map(family), over)
        }
        reply => panic!("not stale: {reply:?}"),
    }
}

/// Whether it was refused, and when to come back.
#[track_caller]
pub fn not_applied(reply: SinkReply) -> (bool, Option<u64>) {
    match reply {
        SinkReply::NotApplied { why, retry_after_ms, .. } => (why == ports::NotApplied::Refused, retry_after_ms),
        reply => panic!("not certain: {reply:?}"),
    }
}

/// Stands before a server and counts connections.
pub struct Counter {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Counter {
    pub async fn start(peer: SocketAddr) -> Counter {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut ours, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut theirs = TcpStream::connect(peer).await.unwrap();
                    drop(copy_bidirectional(&mut ours, &mut theirs).await);
                });
            }
        });
        Counter { address, connections }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/fhir", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
