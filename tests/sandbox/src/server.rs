//! HTTP around the store: routes, faults, replies.
//!
//! Over hyper's connections, not a router, because a cut has to be a cut: the connection ends without one byte of an answer.

use crate::faults::{Act, Fate, Faults};
use crate::read::{self, Ask, Remembered};
use crate::reply::{Reply, http_date};
use crate::store::Store;
use crate::write::{self, Target};
use crate::{Like, Options};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use schemas::r4::ElementTable;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A body may have so many bytes.
const BODY_MAX: usize = 16 << 20;

/// The connection is to be cut.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
pub struct Cut;

/// Everything that a request needs.
pub struct Service {
    like: Like,
    token: Option<String>,
    base: String,
    store: Store,
    remembered: Remembered,
    faults: Mutex<Faults>,
    stats: Mutex<BTreeMap<String, u64>>,
    made_up: AtomicU64,
}

/// A request, read to its end.
pub(crate) struct Arrived {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Arrived {
    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Service {
    /// Opens the store; `base` is what links begin with.
    pub fn open(options: &Options, base: String) -> std::io::Result<Service> {
        Ok(Service {
            like: options.like,
            token: options.token.clone(),
            base,
            store: Store::open(options.file.as_deref())?,
            remembered: Remembered::default(),
            faults: Mutex::default(),
            stats: Mutex::default(),
            made_up: AtomicU64::new(0),
        })
    }

    /// Answers one request, or cuts its connection.
    pub async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let control = matches!(path.as_str(), "/_faults" | "/_stats");
        let fate = if control { Fate::default() } else { self.lock(&self.faults).decide(head.method.as_str(), &path) };
        if fate.latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(fate.latency_ms)).await;
        }
        if fate.act == Act::CutBefore {
            return Err(Cut);
        }
        let body = match Limited::new(body, BODY_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(fault) if fault.is::<LengthLimitError>() => {
                self.count(head.method.as_str(), 413);
                return Ok(http(Reply::outcome(413, "too-long", "a body has 16 MiB at most"), None));
            }
            // A body that never comes to its end is not a request: there is nobody to answer.
            Err(_) => return Err(Cut),
        };
        let query = head.uri.query().unwrap_or_default().to_owned();
        let arrived = Arrived { method: head.method.as_str().to_owned(), path, query, headers: head.headers, body };
        if control {
            return Ok(http(self.control(&arrived), None));
        }
        self.fated(arrived, fate.act).await
    }

    async fn fated(self: Arc<Self>, arrived: Arrived, act: Act) -> Result<Response<Full<Bytes>>, Cut> {
        let request_id = arrived.header("x-request-id").map(str::to_owned);
        match act {
            Act::TooMany { retry_after_s } => {
                let mut reply = Reply::outcome(429, "throttled", "too many requests; wait as Retry-After says");
                reply.header = Some(Box::new(("retry-after", retry_after_s.to_string())));
                self.count(&arrived.method, 429);
                Ok(http(reply, request_id))
            }
            Act::ServerError { status } => {
                self.count(&arrived.method, status);
                Ok(http(Reply::outcome(status, "exception", "a fault on demand; nothing was written"), request_id))
            }
            Act::LoseReply { late_ms: Some(late) } => {
                // A server that was stopped in the meantime does nothing late.
                let service = Arc::downgrade(&self);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(late)).await;
                    if let Some(service) = service.upgrade() {
                        service.answer(&arrived).await;
                    }
                });
                Err(Cut)
            }
            Act::LoseReply { late_ms: None } => {
                self.answer(&arrived).await;
                Err(Cut)
            }
            Act::Stall { for_ms } => {
                self.answer(&arrived).await;
                tokio::time::sleep(Duration::from_millis(for_ms)).await;
                Err(Cut)
            }
            Act::None | Act::CutBefore => {
                let (reply, request_id) = self.answer(&arrived).await;
                Ok(http(reply, request_id))
            }
        }
    }

    /// Does what is asked; back when it is durable.
    async fn answer(&self, arrived: &Arrived) -> (Reply, Option<String>) {
        let request_id = self.request_id(arrived);
        let reply = self.reply(arrived, request_id.as_deref().unwrap_or_default());
        self.store.durable(reply.behind).await;
        self.count(&arrived.method, reply.status);
        (reply, request_id)
    }

    fn reply(&self, arrived: &Arrived, request_id: &str) -> Reply {
        self.refuse(arrived).unwrap_or_else(|| self.route(arrived, request_id))
    }

    /// The status of the answer to what has arrived, without a connection.
    pub(crate) fn replies(&self, arrived: &Arrived) -> u16 {
        self.reply(arrived, &self.request_id(arrived).unwrap_or_default()).status
    }

    /// What was sent; HAPI cuts it to 16 characters and makes one up where there is none.
    fn request_id(&self, arrived: &Arrived) -> Option<String> {
        let sent = arrived.header("x-request-id");
        match self.like {
            Like::Spec => sent.map(str::to_owned),
            Like::Hapi => Some(match sent {
                Some(sent) => sent.chars().take(16).collect(),
                None => format!("sandbox{:09}", self.made_up.fetch_add(1, Ordering::Relaxed)),
            }),
        }
    }

    /// What is wrong with the request before its meaning is looked at.
    fn refuse(&self, arrived: &Arrived) -> Option<Reply> {
        if let Some(token) = &self.token
            && arrived.path != "/fhir/metadata"
            && arrived.header(header::AUTHORIZATION) != Some(&format!("Bearer {token}"))
        {
            let mut reply = Reply::outcome(401, "login", "a bearer token is needed");
            reply.header = Some(Box::new(("www-authenticate", "Bearer".to_owned())));
            return Some(reply);
        }
        if arrived.body.is_empty() {
            return None;
        }
        if arrived.header(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Some(Reply::outcome(415, "not-supported", "bodies are taken as they are, without an encoding"));
        }
        let kind = arrived.header(header::CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default();
        let json = matches!(kind.trim(), "application/fhir+json" | "application/json");
        (!json).then(|| Reply::outcome(415, "not-supported", "bodies are application/fhir+json"))
    }

    fn route(&self, arrived: &Arrived, request_id: &str) -> Reply {
        let Some(below) = arrived.path.strip_prefix("/fhir").filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return Reply::outcome(404, "not-found", "the base is /fhir");
        };
        let steps: Vec<&str> = below.split('/').filter(|step| !step.is_empty()).collect();
        let query = parameters(&arrived.query);
        let url = if arrived.query.is_empty() { below.to_owned() } else { format!("{below}?{}", arrived.query) };
        let ask = Ask {
            like: self.like,
            base: &self.base,
            url: &url,
            query: &query,
            if_none_match: arrived.header(header::IF_NONE_MATCH),
            no_cache: arrived.header(header::CACHE_CONTROL).is_some_and(|held| held.contains("no-cache")),
        };
        let type_name = match steps.first() {
            None | Some(&"metadata" | &"_history") => None,
            Some(name) => match ElementTable::r4().resource_type(name) {
                Some(type_name) => Some(type_name),
                None => return Reply::outcome(404, "not-supported", "not a resource type of R4"),
            },
        };
        match (arrived.method.as_str(), type_name, steps.as_slice()) {
            ("GET", None, ["metadata"]) => read::capabilities(&ask),
            ("GET", None, ["_history"]) => read::history(&self.store, &ask, &self.remembered, None, None),
            ("GET", Some(of), [_]) => read::search(&self.store, &ask, &self.remembered, of),
            ("GET", Some(of), [_, "_history"]) => read::history(&self.store, &ask, &self.remembered, Some(of), None),
            ("GET", Some(of), [_, id]) => read::read(&self.store, &ask, of, id),
            ("GET", Some(of), [_, id, "_history"]) => {
                read::history(&self.store, &ask, &self.remembered, Some(of), Some(id))
            }
            ("GET", Some(of), [_, id, "_history", version]) => read::vread(&self.store, &ask, of, id, version),
            ("PUT" | "DELETE", Some(of), [_, id]) => self.write(arrived, of, id, request_id),
            _ => Reply::outcome(405, "not-supported", "no such interaction here"),
        }
    }

    fn write(&self, arrived: &Arrived, type_name: &'static str, id: &str, request_id: &str) -> Reply {
        if !crate::primitives::is_id(id) {
            return match self.like {
                Like::Spec => Reply::outcome(400, "value", "not an id: 1 to 64 of A-Z a-z 0-9 - ."),
                Like::Hapi => Reply::outcome(400, "processing", "HAPI-0521: Invalid resource ID"),
            };
        }
        let target = Target {
            like: self.like,
            base: &self.base,
            type_name,
            id,
            if_match: arrived.header(header::IF_MATCH),
            if_none_match: arrived.header(header::IF_NONE_MATCH),
            request_id,
        };
        if arrived.method == "DELETE" {
            return write::delete(&self.store, &target);
        }
        let mut reply = write::put(&self.store, &target, &arrived.body);
        if reply.status < 300 && arrived.header("prefer").is_some_and(|prefer| prefer.contains("return=minimal")) {
            reply.body = Bytes::new();
        }
        reply
    }

    fn control(&self, arrived: &Arrived) -> Reply {
        match (arrived.method.as_str(), arrived.path.as_str()) {
            ("GET", "/_stats") => {
                let stats = serde_json::to_string(&*self.lock(&self.stats)).expect("counts are plain data");
                Reply::of(200, stats)
            }
            ("GET", "/_faults") => Reply::of(200, self.lock(&self.faults).report()),
            ("DELETE", "/_faults") => {
                self.lock(&self.faults).set(Vec::new());
                Reply { status: 204, ..Reply::default() }
            }
            ("POST", "/_faults") => match Faults::read(&arrived.body) {
                Ok(rules) => {
                    self.lock(&self.faults).set(rules);
                    Reply::of(200, self.lock(&self.faults).report())
                }
                Err(why) => Reply::outcome(400, "invalid", &why.to_string()),
            },
            _ => Reply::outcome(405, "not-supported", "no such control"),
        }
    }

    fn count(&self, method: &str, status: u16) {
        *self.lock(&self.stats).entry(format!("{method} {status}")).or_default() += 1;
    }

    fn lock<'a, T>(&self, held: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn http(reply: Reply, request_id: Option<String>) -> Response<Full<Bytes>> {
    let mut headers = HeaderMap::with_capacity(8);
    let mut set = |name: &'static str, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    if !reply.body.is_empty() {
        set("content-type", "application/fhir+json;charset=utf-8".to_owned());
    }
    if let Some(version) = reply.version {
        set("etag", format!("W/\"{version}\""));
    }
    if let Some(at) = reply.modified {
        set("last-modified", http_date(at));
    }
    if let Some(location) = reply.location {
        set("location", location.into());
    }
    if let Some(request_id) = request_id {
        set("x-request-id", request_id);
    }
    if let Some(header) = reply.header {
        set(header.0, header.1);
    }
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() =
        hyper::StatusCode::from_u16(reply.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// The query's pairs, percent-decoded.
fn parameters(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                out.push(high.zip(low).map_or(b'%', |(high, low)| (high * 16 + low) as u8));
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
