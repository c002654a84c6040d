//! A database, a pipeline and a target, in a temporary folder that goes with them.

use crate::engine::{Engine, Settings};
use crate::postgres::{self, Cluster};
use crate::target::{Flag, Target};

/// What a test wants to be different.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Whose answers the target gives.
    pub flag: Flag,
    /// The source by its unix socket and not over TCP.
    pub socket: bool,
    /// Transactions that stand in the database before the engine ever looks.
    pub preload: u64,
    /// Rows of a chunk.
    pub chunk_rows: u32,
}

impl Shape {
    /// An empty clinic over TCP.
    pub fn new(flag: Flag) -> Shape {
        Shape { flag, socket: false, preload: 0, chunk_rows: 200 }
    }
}

/// All that a test needs; fields end in the order in which they stand here.
pub struct World {
    /// The pipeline.
    pub engine: Engine,
    /// The FHIR server.
    pub target: Target,
    /// The legacy database.
    pub cluster: Cluster,
    /// How often the slot was made, as far as the test knows.
    pub slots: usize,
    folder: tempfile::TempDir,
}

impl World {
    /// Everything up and activated, the engine not yet started.
    pub fn new(shape: Shape) -> World {
        let folder = tempfile::Builder::new().prefix("ls-e2e-").tempdir().unwrap();
        let cluster = Cluster::clinic();
        if shape.preload > 0 {
            crate::load::write(&cluster.writer_url(), 97, shape.preload);
        }
        let target = Target::start(folder.path(), shape.flag);
        World::around(shape, folder, cluster, target)
    }

    /// The same before a real HAPI FHIR JPA, whose resources are in a database of the same cluster.
    pub fn before_hapi(shape: Shape) -> World {
        let folder = tempfile::Builder::new().prefix("ls-e2e-").tempdir().unwrap();
        let cluster = Cluster::clinic();
        if shape.preload > 0 {
            crate::load::write(&cluster.writer_url(), 97, shape.preload);
        }
        let target = Target::hapi(folder.path(), cluster.database_for_hapi());
        World::around(Shape { flag: Flag::Hapi, ..shape }, folder, cluster, target)
    }

    fn around(shape: Shape, folder: tempfile::TempDir, cluster: Cluster, target: Target) -> World {
        let source = if shape.socket { cluster.socket_url() } else { cluster.tcp_url() };
        let settings =
            Settings { chunk_rows: shape.chunk_rows, ..Settings::new(source, target.base_url(), shape.flag.profile()) };
        let engine = Engine::create(folder.path(), settings);
        engine.activate();
        World { engine, target, cluster, slots: 1, folder }
    }

    /// The folder of configuration, data and outputs.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The highest position that the journal says is done with: its commits, heartbeats, and the start of its first read.
    pub fn passed(&self) -> u64 {
        let entries = self.engine.cli(&["journal", "ls", "--json", "--max", "100000000"]).exits(0).json();
        let position = |entry: &serde_json::Value| {
            let what = entry["what"].as_str().unwrap_or_default();
            let end = what.split("end ").nth(1).map(|rest| rest.trim_end_matches('"').split([',', ' ']).next());
            let at = match entry["kind"].as_str().unwrap_or_default() {
                "Commit" | "Row" => end.flatten().map(str::to_owned),
                "Heartbeat" => entry["position"].as_str().map(str::to_owned),
                "Snapshot" if what.starts_with("started") => entry["position"].as_str().map(str::to_owned),
                _ => None,
            };
            at.map(|at| postgres::lsn(at.split(':').next().unwrap_or_default()))
        };
        entries.iter().filter_map(position).max().unwrap_or(0)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The folder of a failed test is kept, for whoever looks for the reason.
        if std::thread::panicking() && std::env::var_os("LOCKSTEP_KEEP").is_some() {
            self.folder.disable_cleanup(true);
            let line = format!("-- kept: {}\n", self.folder.path().display());
            std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).ok();
        }
    }
}
