//! The FHIR server in a process of its own, which may be killed, and what stands in it.

use crate::{PATIENCE, binaries, process::Process, process::free_port, wait_for};
use model::Json;
use sandbox::{Answer, Client};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The bearer token that the server wants.
pub const TOKEN: &str = "CANARY-token-0815";
/// The types that the clinic's map writes.
pub const TYPES: [&str; 3] = ["Patient", "Encounter", "Observation"];

/// Whose answers the server gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flag {
    /// As FHIR R4 says.
    Spec,
    /// As HAPI FHIR JPA was measured.
    Hapi,
}

impl Flag {
    /// The profile that fits.
    pub fn profile(self) -> &'static str {
        match self {
            Flag::Spec => "sandbox",
            Flag::Hapi => "hapi",
        }
    }
}

/// One version of a resource.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its `versionId`.
    pub id: String,
    /// Its content; none for a deletion.
    pub body: Option<Json>,
}

/// Every resource by `Type/id` with its versions, oldest first.
pub type Everything = BTreeMap<String, Vec<Version>>;

/// Where a real HAPI keeps its resources.
#[derive(Clone, Debug)]
pub struct Jdbc {
    /// `jdbc:postgresql://HOST:PORT/DB`
    pub url: String,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// A server.
pub struct Target {
    file: PathBuf,
    log: PathBuf,
    port: u16,
    flag: Flag,
    /// Of a real HAPI.
    jdbc: Option<Jdbc>,
    server: Option<Process>,
}

impl Target {
    /// A running sandbox that keeps its writes in `folder`.
    pub fn start(folder: &Path, flag: Flag) -> Target {
        Target::begin(folder, flag, None)
    }

    /// A running HAPI FHIR JPA, built from `hapi/` when it is not there yet.
    pub fn hapi(folder: &Path, jdbc: Jdbc) -> Target {
        let mut build = Command::new(hapi_script());
        let status = build.arg("build").arg(hapi_folder()).status().unwrap();
        assert!(status.success(), "HAPI does not build: it needs a JDK, Maven and Maven Central");
        Target::begin(folder, Flag::Hapi, Some(jdbc))
    }

    fn begin(folder: &Path, flag: Flag, jdbc: Option<Jdbc>) -> Target {
        let (file, log) = (folder.join("fhir.log"), folder.join("target.out"));
        let mut target = Target { file, log, port: free_port(), flag, jdbc, server: None };
        target.up();
        target
    }

    /// Starts it on the same port with what it had.
    pub fn up(&mut self) {
        let mut command = match &self.jdbc {
            None => self.sandbox(),
            Some(jdbc) => {
                let mut command = Command::new(hapi_script());
                command.arg("run").arg(hapi_folder()).env("HAPI_PORT", self.port.to_string());
                command.env("HAPI_DB_URL", &jdbc.url).env("HAPI_DB_USER", &jdbc.user);
                command.env("HAPI_DB_PASSWORD", &jdbc.password);
                command
            }
        };
        self.server = Some(Process::start(&mut command, &self.log));
        let limit = if self.jdbc.is_some() { PATIENCE * 3 } else { PATIENCE };
        wait_for("the FHIR server", limit, || self.try_get("/metadata").is_ok_and(|answer| answer.status == 200));
    }

    fn sandbox(&self) -> Command {
        let mut command = Command::new(binaries::folder().join("lockstep-sandbox"));
        command.args(["--listen", &self.address().to_string(), "--token", TOKEN]).arg("--file").arg(&self.file);
        command.args(["--like", if self.flag == Flag::Spec { "spec" } else { "hapi" }]);
        command
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// A new life without anything in it.
    pub fn empty(&mut self) {
        self.kill();
        std::fs::remove_file(&self.file).unwrap();
        self.up();
    }

    /// What stands in it, for [`Target::restore`]; it must be down.
    pub fn save(&self) -> Vec<u8> {
        std::fs::read(&self.file).unwrap()
    }

    /// It is what it was; it must be down.
    pub fn restore(&self, saved: &[u8]) {
        std::fs::write(&self.file, saved).unwrap();
    }

    /// Whose answers it gives.
    pub fn flag(&self) -> Flag {
        self.flag
    }

    /// For `lockstep.toml`.
    pub fn base_url(&self) -> String {
        format!("http://{}/fhir", self.address())
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Sets the faults; `[]` ends them.
    pub fn faults(&self, rules: &str) {
        let mut client = Client::connect(self.address()).unwrap();
        let headers = [("content-type", "application/json")];
        let answer = client.send("POST", "/_faults", &headers, rules).unwrap();
        assert!(answer.status < 300, "faults refused: {}", answer.text());
    }

    fn try_get(&self, path: &str) -> std::io::Result<Answer> {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("authorization", &*bearer), ("cache-control", "no-cache")];
        Client::connect(self.address())?.send("GET", &format!("/fhir{path}"), &headers, "")
    }

    /// Writes as somebody else would.
    pub fn put(&self, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let mut client = Client::connect(self.address()).unwrap();
        client.send("PUT", &format!("/fhir{path}"), &[("authorization", &*bearer)], body).unwrap()
    }

    /// Deletes as somebody else would.
    pub fn delete(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let mut client = Client::connect(self.address()).unwrap();
        client.send("DELETE", &format!("/fhir{path}"), &[("authorization", &*bearer)], "").unwrap()
    }

    /// All versions of everything.
    pub fn everything(&self) -> Everything {
        let mut found = Everything::new();
        for kind in TYPES {
            let mut next = Some(format!("/{kind}/_history?_since=1970-01-01T00:00:00Z&_count=500"));
            while let Some(path) = next {
                let answer = self.try_get(&path).unwrap();
                assert_eq!(answer.status, 200, "{path}");
                let page = Json::parse(&answer.body).unwrap();
                for entry in page.get("entry").and_then(Json::items).unwrap_or_default() {
                    let (unit, version) = version_of(entry);
                    found.entry(unit).or_default().insert(0, version);
                }
                next = next_link(&page);
            }
        }
        found
    }
}

fn hapi_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hapi/hapi.sh")
}

fn hapi_folder() -> PathBuf {
    binaries::folder().join("../peers/hapi")
}

fn version_of(entry: &Json) -> (String, Version) {
    let text = |json: Option<&Json>| json.and_then(Json::as_str).unwrap_or_default().to_owned();
    let body = entry.get("resource").filter(|_| text(entry.get("request").and_then(|r| r.get("method"))) != "DELETE");
    let etag = text(entry.get("response").and_then(|response| response.get("etag")));
    let of_body = text(body.and_then(|body| body.get("meta")?.get("versionId")));
    let tagged = etag.trim_start_matches("W/").trim_matches('"').to_owned();
    let id = if of_body.is_empty() { tagged } else { of_body };
    // HAPI names the version in it.
    let url = text(entry.get("fullUrl"));
    let url = url.split("/_history/").next().unwrap_or_default();
    let mut steps = url.rsplit('/');
    let (last, kind) = (steps.next().unwrap_or_default(), steps.next().unwrap_or_default());
    (format!("{kind}/{last}"), Version { id, body: body.cloned() })
}

fn next_link(page: &Json) -> Option<String> {
    let links = page.get("link").and_then(Json::items).unwrap_or_default();
    let next = links.iter().find(|link| link.get("relation").and_then(Json::as_str) == Some("next"))?;
    let url = next.get("url").and_then(Json::as_str)?;
    // A server may call itself by the name in our request.
    url.split_once("/fhir").map(|(_, rest)| rest.to_owned())
}
