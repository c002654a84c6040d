//! The small workloads whose calls are enumerated. Each is the same at every run.

use e2e::{Cluster, Flag, Shape as Clinic, World};

/// What happens while calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The first one: a slot, the first read by small chunks, users at work, a clean end.
    First,
    /// A later one: recovery behind a kill, users at work with a transaction that fills a segment, a clean end.
    Later,
}

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// As `--at` spells it.
    pub name: &'static str,
    /// Whose answers the target gives.
    pub flag: Flag,
    /// What is counted.
    pub life: Life,
    /// How the target answers meanwhile.
    pub faults: &'static str,
}

/// Replies that never arrive, and errors: recovery finds outcomes that nobody knows.
const FAULTS: &str = r#"[{"seed": 7, "server_error": {"rate": 0.05}, "cut_before_commit": {"rate": 0.05},
 "lose_reply_after_commit": {"rate": 0.1}}]"#;

/// All of them; two lanes run side by side, one for each kind of target.
pub const SHAPES: [Shape; 4] = [
    Shape { name: "spec-first", flag: Flag::Spec, life: Life::First, faults: "[]" },
    Shape { name: "spec-later", flag: Flag::Spec, life: Life::Later, faults: FAULTS },
    Shape { name: "hapi-first", flag: Flag::Hapi, life: Life::First, faults: FAULTS },
    Shape { name: "hapi-later", flag: Flag::Hapi, life: Life::Later, faults: "[]" },
];

impl Shape {
    /// By its name.
    pub fn named(name: &str) -> Option<Shape> {
        SHAPES.into_iter().find(|shape| shape.name == name)
    }
}

/// A world that is begun again for each point.
pub fn world(flag: Flag) -> World {
    // Through the socket: by TCP every start would work out a password's hash, in a build for tests.
    let mut world = World::new(Clinic { preload: 15, chunk_rows: 20, socket: true, ..Clinic::new(flag) });
    world.engine.settings.segment_bytes = 1 << 20;
    // Nobody kills the database here.
    world.cluster.alter("fsync = off");
    world.cluster.run(KEEP);
    world
}

/// The rows of the beginning.
const KEEP: &str = "CREATE SCHEMA kept; \
    CREATE TABLE kept.patient AS TABLE patient; CREATE TABLE kept.patient_name AS TABLE patient_name; \
    CREATE TABLE kept.patient_address AS TABLE patient_address; CREATE TABLE kept.encounter AS TABLE encounter; \
    CREATE TABLE kept.observation AS TABLE observation; CREATE TABLE kept.deleted_observation AS TABLE deleted_observation";
/// Without the triggers, which have marked them already.
const BACK: &str = "SET session_replication_role = replica; BEGIN; \
    TRUNCATE patient, patient_name, patient_address, encounter, observation, deleted_observation; \
    INSERT INTO patient TABLE kept.patient; INSERT INTO patient_name TABLE kept.patient_name; \
    INSERT INTO patient_address TABLE kept.patient_address; INSERT INTO encounter TABLE kept.encounter; \
    INSERT INTO observation TABLE kept.observation; INSERT INTO deleted_observation TABLE kept.deleted_observation; COMMIT";

/// A new life: no data, no slot, an empty target, the rows of the beginning.
pub fn begin_again(world: &mut World) {
    world.engine.kill();
    world.cluster.wait_unused_slot();
    world.cluster.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots");
    world.cluster.run(BACK);
    if let Err(fault) = std::fs::remove_dir_all(world.engine.data_dir()) {
        assert_eq!(fault.kind(), std::io::ErrorKind::NotFound, "{fault}");
    }
    world.target.empty();
    world.engine.activate();
}

/// What users do while calls are counted, one transaction each; `#` is the number of the round.
const WORK: [&str; 9] = [
    "INSERT INTO encounter VALUES (7700000100#, 770000000001, 'A', 'I', '2025-01-02 00:00:00+00'::timestamptz + # * interval '1 hour', NULL, false)",
    "INSERT INTO observation SELECT 77000001#00 + n, 770000000001, 7700000100#, '8867-4', 'Heart rate', n, '/min', 'F', \
     '2025-02-02 00:00:00+00'::timestamptz + # * interval '1 hour' + n * interval '1 second', NULL, false FROM generate_series(1, 5) n",
    "UPDATE observation SET value = 100, status = 'C' WHERE observation_id = 77000001#01",
    "BEGIN; UPDATE observation SET value = 1 WHERE observation_id = 77000001#02; ROLLBACK",
    "UPDATE observation SET voided = true WHERE observation_id = 77000001#02",
    "DELETE FROM observation WHERE observation_id = 77000001#03",
    "UPDATE patient_name SET given = 'Run #' WHERE patient_id = 770000000001",
    // Child before parent.
    "INSERT INTO observation VALUES (77000001#09, 7700000200#, NULL, '8867-4', 'Heart rate', 60, '/min', 'F', \
     '2025-03-02 00:00:00+00'::timestamptz + # * interval '1 hour', NULL, false)",
    "INSERT INTO patient (patient_id, mrn, sex, born) VALUES (7700000200#, 'MRN-run-#', 'M', '1960-02-03'); \
     INSERT INTO patient_name VALUES (7700000300#, 7700000200#, 'L', 'Run', 'Number #')",
];
/// Fills a good part of a segment, so that some are begun.
const BULK: &str = "UPDATE patient SET photo = (SELECT string_agg(decode(md5(n::text), 'hex'), '') \
    FROM generate_series(1, 25000) n) WHERE patient_id = 770000000001";

/// A round of the work, which can be told apart from every other.
pub fn work(life: Life, round: u32) -> Vec<String> {
    let mut all: Vec<String> = WORK.iter().map(|sql| sql.replace('#', &format!("{round:02}"))).collect();
    all.extend((life == Life::Later && round.is_multiple_of(3)).then(|| BULK.to_owned()));
    all
}

/// Does them one after the other on one connection, each in a transaction of its own, as long as `goes_on` says so.
pub fn run(cluster: &Cluster, all: &[String], mut goes_on: impl FnMut() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&cluster.writer_url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(async move { connection.await.ok() });
        for sql in all.iter().take_while(|_| goes_on()) {
            client.simple_query(sql).await.unwrap();
        }
    });
}
