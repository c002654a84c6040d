//! Faults on demand, and a file that survives kills.

use super::support::{Server, patient, tag};
use lockstep_sandbox::{Client, Like, Options};
use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn fault(server: &mut Server, rule: &str) {
    let set = server.send("POST", "/_faults", &[("content-type", "application/json")], rule);
    assert_eq!(set.status, 200, "{}", set.text());
}

fn put(server: &mut Server, id: &str, born: &str) -> std::io::Result<u16> {
    let sent = server.client.send("PUT", &format!("/fhir/Patient/{id}"), &[], &patient(id, born));
    if sent.is_err() {
        server.again();
    }
    sent.map(|answer| answer.status)
}

#[test]
fn a_lost_reply_is_a_cut_connection_and_a_version() {
    for like in [Like::Spec, Like::Hapi] {
        let mut server = Server::start(like);
        fault(&mut server, r#"{"method":"PUT","lose_reply_after_commit":{"next":1}}"#);
        assert_eq!(put(&mut server, "a", "1970").unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(server.get("/fhir/Patient/a").header("etag"), Some("W/\"1\""));
        assert_eq!(put(&mut server, "a", "1971").unwrap(), 200);
    }
}

#[test]
fn a_cut_before_the_commit_leaves_nothing() {
    let mut server = Server::start(Like::Spec);
    fault(&mut server, r#"{"path":"/Patient/a","method":"PUT","cut_before_commit":{"next":1}}"#);
    assert!(put(&mut server, "a", "1970").is_err());
    assert_eq!(server.get("/fhir/Patient/a").status, 404);
}

#[test]
fn a_late_twin_commits_after_its_connection_is_gone() {
    let mut server = Server::start(Like::Spec);
    fault(&mut server, r#"{"method":"PUT","lose_reply_after_commit":{"next":1},"late_ms":150}"#);
    assert!(put(&mut server, "a", "1970").is_err());
    assert_eq!(server.get("/fhir/Patient/a").status, 404);
    let limit = Instant::now() + Duration::from_secs(10);
    while server.get("/fhir/Patient/a").status != 200 {
        assert!(Instant::now() < limit, "the twin never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_stall_commits_and_says_nothing() {
    let mut server = Server::start(Like::Spec);
    fault(&mut server, r#"{"method":"PUT","stall":{"next":1},"stall_ms":60000}"#);
    server.client.patience(Duration::from_millis(200)).unwrap();
    let silent = put(&mut server, "a", "1970").unwrap_err().kind();
    assert!(matches!(silent, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silent}");
    assert_eq!(server.get("/fhir/Patient/a").status, 200);
}

#[test]
fn too_many_and_server_errors_leave_nothing_and_are_counted() {
    let mut server = Server::start(Like::Spec);
    fault(
        &mut server,
        r#"{"too_many":{"next":1},"retry_after_s":2,"server_error":{"next":1},"server_error_status":502}"#,
    );
    let busy = server.send("PUT", "/fhir/Patient/a", &[], &patient("a", "1970"));
    assert_eq!((busy.status, busy.header("retry-after")), (429, Some("2")));
    assert_eq!(put(&mut server, "a", "1970").unwrap(), 502);
    assert_eq!(server.get("/fhir/Patient/a").status, 404);
    assert_eq!(server.get("/_stats").json()["PUT 429"], 1);
    assert_eq!(server.get("/_faults").json()[0]["counts"]["server_error"], 1);
    assert_eq!(server.send("DELETE", "/_faults", &[], "").status, 204);
    assert_eq!(server.get("/_faults").text(), "[]");
    assert_eq!(server.send("POST", "/_faults", &[], r#"{"latency":1}"#).status, 400);
}

#[test]
fn latency_is_waited_for() {
    let mut server = Server::start(Like::Spec);
    fault(&mut server, r#"{"latency_ms":[60,80]}"#);
    let started = Instant::now();
    assert_eq!(put(&mut server, "a", "1970").unwrap(), 201);
    assert!(started.elapsed() >= Duration::from_millis(60));
}

#[test]
fn racing_creates_have_one_winner() {
    for (like, guard, loser) in [(Like::Spec, ("if-none-match", "*"), 412), (Like::Hapi, ("if-match", "W/\"0\""), 409)]
    {
        let server = Server::start(like);
        let address = server.address;
        let racers = (0..8).map(|racer| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address).unwrap();
                let body = patient("a", &format!("197{racer}"));
                client.send("PUT", "/fhir/Patient/a", &[guard], &body).unwrap().status
            })
        });
        let mut answers: Vec<u16> = racers.collect::<Vec<_>>().into_iter().map(|racer| racer.join().unwrap()).collect();
        answers.sort_unstable();
        assert_eq!(answers, [&[201][..], &[loser; 7]].concat());
    }
}

#[test]
fn a_file_brings_every_version_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { file: Some(folder.path().join("fhir.log")), ..Options::new(Like::Spec) };
    let before = {
        let mut server = Server::with(&options);
        server.put("a", "1970", &[]);
        server.put("a", "1971", &[]);
        server.delete("a", &[]);
        server.put("b", "1972", &[]);
        server.get("/fhir/_history").json()["entry"].clone()
    };
    // A frame that was torn by a power cut is cut, and what stands before it is served.
    let file = options.file.clone().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(&[9, 0, 0, 0, 1, 2, 3]);
    std::fs::write(&file, &bytes).unwrap();
    let mut server = Server::with(&options);
    let after = server.get("/fhir/_history").json()["entry"].clone();
    let bodies = |entries: &serde_json::Value| -> Vec<serde_json::Value> {
        entries.as_array().unwrap().iter().map(|entry| entry["resource"].clone()).collect()
    };
    assert_eq!(bodies(&before), bodies(&after));
    assert_eq!(server.put("a", "1973", &[]), (201, tag(4)));
    assert_eq!(server.put("b", "1973", &[("if-match", "W/\"1\"")]), (200, tag(2)));
}

/// The server as a program of its own, to be killed.
struct Program {
    child: Child,
    address: std::net::SocketAddr,
}

impl Program {
    fn start(file: &std::path::Path) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lockstep-sandbox"))
            .args(["--file", file.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("READY http://").unwrap();
        let address = base.strip_suffix("/fhir").unwrap().parse().unwrap();
        Program { child, address }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Kill is SIGKILL: the program gets no word in.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn what_was_answered_survives_kill_9_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fhir.log");
    let mut answered: Vec<(String, u64)> = Vec::new();
    for round in 0..3 {
        let program = Program::start(&file);
        let address = program.address;
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                std::thread::spawn(move || {
                    let mut client = Client::connect(address).unwrap();
                    let mut done = Vec::new();
                    for n in 0.. {
                        let id = format!("r{round}w{writer}n{n}");
                        match client.send("PUT", &format!("/fhir/Patient/{id}"), &[], &patient(&id, "1970")) {
                            Ok(answer) => done.push((id, u64::from(answer.status))),
                            Err(_) => break,
                        }
                    }
                    done
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(150));
        drop(program);
        answered.extend(writers.into_iter().flat_map(|writer| writer.join().unwrap()));
    }
    assert!(answered.len() > 20, "{} writes only", answered.len());
    let program = Program::start(&file);
    let mut client = Client::connect(program.address).unwrap();
    for (id, status) in answered {
        assert_eq!(status, 201);
        assert_eq!(client.send("GET", &format!("/fhir/Patient/{id}"), &[], "").unwrap().status, 200, "{id}");
    }
}
