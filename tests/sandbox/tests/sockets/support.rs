//! A server in its own runtime, and bodies to send to it.
//!
//! Tests stay blocking: the client is a plain socket, the server's threads are beside it.

use lockstep_sandbox::{Answer, Client, Like, Options, Sandbox};

/// A running server with one connection to it.
pub struct Server {
    pub client: Client,
    pub address: std::net::SocketAddr,
    // Order matters: the runtime must outlive the server.
    _sandbox: Sandbox,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub fn start(like: Like) -> Server {
        Server::with(&Options::new(like))
    }

    pub fn with(options: &Options) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        let address = sandbox.address();
        Server { client: Client::connect(address).unwrap(), address, _sandbox: sandbox, _runtime: runtime }
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.client.send(method, path, headers, body).unwrap()
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[("cache-control", "no-cache")], "")
    }

    /// PUT of a patient with that birth date; status and version.
    pub fn put(&mut self, id: &str, born: &str, headers: &[(&str, &str)]) -> (u16, Option<String>) {
        let answer = self.send("PUT", &format!("/fhir/Patient/{id}"), headers, &patient(id, born));
        (answer.status, answer.header("etag").map(str::to_owned))
    }

    pub fn delete(&mut self, id: &str, headers: &[(&str, &str)]) -> u16 {
        self.send("DELETE", &format!("/fhir/Patient/{id}"), headers, "").status
    }

    /// A second connection.
    pub fn again(&mut self) {
        self.client = Client::connect(self.address).unwrap();
    }
}

pub fn patient(id: &str, born: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","birthDate":"{born}"}}"#)
}

pub fn observation(id: &str, subject: &str, value: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"{subject}"}},"valueQuantity":{{"value":{value}}}}}"#
    )
}

/// `W/"n"` as an answer has it.
pub fn tag(version: u64) -> Option<String> {
    Some(format!("W/\"{version}\""))
}
