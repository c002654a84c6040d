//! A strict FHIR R4 server, a legacy clinic and a writer for it: what the tests run against.
//!
//! The server refuses what R4 does not know, keeps every version for ever, and fails on demand. It answers by the
//! specification, or as HAPI FHIR JPA was measured to answer ([`Like`]). Never for real patients: it logs nothing, but it
//! protects nothing either. [`Writer`] changes a legacy clinic (`clinic.sql`) the way its users would.

mod client;
mod durable;
mod faults;
#[doc(hidden)]
pub mod fuzz;
mod json;
mod primitives;
mod random;
mod read;
mod reply;
mod rules;
mod server;
mod store;
mod strict;
mod write;
mod writer;

pub use client::{Answer, Client};
use hyper_util::rt::{TokioIo, TokioTimer};
pub use random::Random;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
pub use writer::{CLINIC_SQL, Limit, Mix, Plan, Summary, Writer, WriterError};

/// Whose answers the server gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Like {
    /// As FHIR R4 says.
    #[default]
    Spec,
    /// As HAPI FHIR JPA 8.8.0 was measured to answer.
    Hapi,
}

/// How a server is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Whose answers to give.
    #[arg(long, value_enum, default_value = "spec")]
    pub like: Like,
    /// Keeps every write in this file, synced before it is answered; without it all is gone at the end.
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// The bearer token that every request must bring, `/fhir/metadata` aside.
    #[arg(long)]
    pub token: Option<String>,
}

impl Options {
    /// On a free port of this machine, in memory, for everybody.
    pub fn new(like: Like) -> Options {
        Options { listen: SocketAddr::from(([127, 0, 0, 1], 0)), like, file: None, token: None }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}; give another --listen")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be used.
    #[error("cannot use the file: {0}; give another --file, or remove it")]
    File(std::io::Error),
}

/// A running server; it ends when this is dropped or stopped.
pub struct Sandbox {
    address: SocketAddr,
    accept: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Sandbox {
    /// Starts a server in the current tokio runtime.
    pub async fn start(options: &Options) -> Result<Sandbox, StartError> {
        let failed = |source| StartError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let service = server::Service::open(options, format!("http://{address}/fhir")).map_err(StartError::File)?;
        let (end, ended) = oneshot::channel();
        let accept = tokio::spawn(accept(listener, Arc::new(service), ended));
        Ok(Sandbox { address, accept, end })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The FHIR base: `http://127.0.0.1:PORT/fhir`.
    pub fn base_url(&self) -> String {
        format!("http://{}/fhir", self.address)
    }

    /// Serves for as long as the runtime runs.
    pub async fn wait(self) {
        let Sandbox { accept, end, .. } = self;
        drop(accept.await);
        drop(end);
    }

    /// Cuts every connection; port and file are free when this is back.
    pub async fn stop(self) {
        let Sandbox { accept, end, .. } = self;
        drop(end);
        drop(accept.await);
    }
}

/// Takes connections until `ended`, which is also what a dropped [`Sandbox`] says.
async fn accept(listener: TcpListener, service: Arc<server::Service>, mut ended: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut ended => break,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // Small answers must not wait for each other; a socket that refuses the option still works.
                drop(stream.set_nodelay(true));
                connections.spawn(connection(stream, Arc::clone(&service)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

/// Serves one connection to its end. An error is a cut, ours or theirs: there is nobody to tell.
async fn connection(stream: TcpStream, service: Arc<server::Service>) {
    let serve = hyper::service::service_fn(move |request| Arc::clone(&service).serve(request));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).half_close(false);
    drop(http.serve_connection(TokioIo::new(stream), serve).await);
}
