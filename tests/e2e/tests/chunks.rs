//! A kill at every chunk boundary of the first read while users change what was read and what was not (J8).
//!
//! Every value of an observation is a counter that only rises, so an older value after a newer one is seen at the target.

use lockstep_e2e::{Flag, PATIENCE, Shape, Timed, World, check, long, wait_for};
use model::Json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Observations before the engine comes.
const COUNT: u32 = 400;

const FILL: &str = "
INSERT INTO observation SELECT 770000010000 + n, 770000000001, NULL, '8867-4', 'Heart rate', 1000, '/min', 'F',
  '2024-01-01 00:00:00+00'::timestamptz + n * interval '1 minute', NULL, false FROM generate_series(1, 400) n;
ALTER ROLE clinic SET synchronous_commit = local;
";

/// Counts up at random, deletes (never what the same transaction changed: its last value would be seen by nobody), and
/// inserts for a while: a first read by one chunk a life would never reach the end of
/// a table that grows faster.
const CHANGE: &str = "
BEGIN;
UPDATE observation SET value = value + 1, status = 'C'
 WHERE observation_id IN (SELECT 770000010000 + (random() * 400)::int FROM generate_series(1, 5));
COMMIT;
BEGIN;
DELETE FROM observation WHERE observation_id = 770000010000 + (random() * 400)::int AND random() < 0.3;
INSERT INTO observation SELECT 770000020000 + count(*) + 1, 770000000001, NULL, '8867-4', 'Heart rate', 1000, '/min', 'F',
  '2024-06-01 00:00:00+00'::timestamptz + count(*) * interval '1 minute', NULL, false
  FROM (SELECT FROM observation WHERE observation_id > 770000020000
        UNION ALL SELECT FROM deleted_observation WHERE observation_id > 770000020000) made
  HAVING count(*) < 80;
COMMIT;
";

struct Users {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

/// Users in a thread of their own.
fn users(url: String) -> Users {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(async move { connection.await.ok() });
            let mut done = 0;
            while !told.load(Ordering::Relaxed) {
                client.simple_query(CHANGE).await.unwrap();
                done += 1;
                tokio::time::sleep(Duration::from_millis(8)).await;
            }
            done
        })
    });
    Users { stop, thread }
}

impl Users {
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn world(chunk_rows: u32) -> World {
    let world = World::new(Shape { chunk_rows, ..Shape::new(Flag::Spec) });
    world.cluster.run(FILL);
    world
}

fn chunks(world: &World) -> usize {
    let entries = world.engine.cli(&["journal", "ls", "--json", "--max", "1000000"]).exits(0).json();
    entries.iter().filter(|entry| entry["kind"] == "Chunk").count()
}

fn all_ready(world: &World) -> bool {
    let entries = world.engine.cli(&["journal", "ls", "--json", "--max", "1000000"]).exits(0).json();
    entries.iter().filter(|entry| entry["kind"] == "Snapshot").count() == 6
}

/// No version of an observation holds an older value than the version before it.
fn values_only_rise(world: &World) -> usize {
    let mut rises = 0;
    for (unit, versions) in world.target.everything() {
        let mut last = 0;
        for body in versions.iter().filter_map(|version| version.body.as_ref()) {
            let value = body.get("valueQuantity").and_then(|quantity| quantity.get("value"));
            let Some(Json::Number(text)) = value else { continue };
            let value: u64 = text.parse().unwrap();
            assert!(value >= last, "{unit}: {value} after {last}");
            rises += usize::from(last > 0 && value > last);
            last = value;
        }
    }
    rises
}

/// One chunk a life until the first read is over, so that the engine dies at each boundary there is.
fn one_chunk_a_life(world: &mut World, mut meanwhile: impl FnMut(&mut World)) -> usize {
    let mut lives = 0;
    while !all_ready(world) {
        let before = chunks(world);
        world.engine.environment = vec![("LOCKSTEP_KILL_AT".to_owned(), "chunk".to_owned())];
        world.engine.start();
        meanwhile(world);
        assert_eq!(world.engine.ends(PATIENCE), -1);
        assert_eq!(chunks(world), before + 1, "it dies right behind one chunk");
        lives += 1;
    }
    world.engine.environment.clear();
    world.engine.start();
    std::thread::sleep(Duration::from_millis(800));
    lives
}

fn done(mut world: World, lives: usize, users: Users) {
    let done = users.stop();
    let checked = check(&mut world);
    let (rises, chunks) = (values_only_rise(&world), chunks(&world));
    println!("killed behind {lives} of {chunks} chunks, {done} transactions, {rises} rises, {checked:?}");
    assert!(lives == chunks && lives > 10 && rises > 20, "{lives} of {chunks}, {rises}");
}

#[test]
fn a_kill_at_every_chunk_boundary_repeats_no_older_value() {
    let _timed = Timed::new("chunk boundaries");
    let mut world = world(if long() { 10 } else { 40 });
    let users = users(world.cluster.writer_url());
    let lives = one_chunk_a_life(&mut world, |_| ());
    done(world, lives, users);
}

#[test]
fn a_kill_at_every_chunk_boundary_beside_commits_held_back_by_a_standby() {
    let _timed = Timed::new("chunk boundaries, held commits");
    let mut world = world(if long() { 10 } else { 40 });
    let users = users(world.cluster.writer_url());
    let mut writers: Vec<JoinHandle<()>> = Vec::new();
    let lives = one_chunk_a_life(&mut world, |world| {
        world.cluster.alter("synchronous_standby_names = 'nobody'");
        // In the log, and in no snapshot until the standby that is not there is not waited for any more.
        writers.push(held(world.cluster.writer_url()));
        std::thread::sleep(Duration::from_millis(400));
        world.cluster.alter("synchronous_standby_names = ''");
    });
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    done(world, lives, users);
}

/// A user whose commit waits for a standby.
fn held(url: String) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(async move { connection.await.ok() });
            let late = "UPDATE observation SET value = value + 1, status = 'C' \
                        WHERE observation_id IN (SELECT 770000010000 + n * 40 FROM generate_series(1, 10) n)";
            client.simple_query(&format!("SET synchronous_commit = on; {late}")).await.unwrap();
        });
    })
}

#[test]
fn a_commit_held_back_by_a_standby_is_never_undone_by_a_chunk() {
    let _timed = Timed::new("held commit");
    let mut world = world(5);
    let users = users(world.cluster.writer_url());
    world.engine.start();
    let some = if long() { 20 } else { 4 };
    wait_for("some chunks", PATIENCE, || chunks(&world) >= some);
    world.cluster.alter("synchronous_standby_names = 'nobody'");
    // Its commit is in the log, and no snapshot sees it until a standby answers, which is never.
    let url = world.cluster.writer_url();
    let held = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(async move { connection.await.ok() });
            let late = "UPDATE observation SET value = 5000, status = 'C' WHERE observation_id IN (770000010390, 770000010010); \
                        DELETE FROM observation WHERE observation_id = 770000010395";
            client.simple_query(&format!("SET synchronous_commit = on; {late}")).await.unwrap();
        });
    });
    let waits = |world: &World| {
        world.cluster.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != "0"
    };
    wait_for("the held commit", PATIENCE, || waits(&world));
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(!all_ready(&world), "the first read was over before the commit was held back");
    world.engine.kill();
    world.engine.start();
    std::thread::sleep(Duration::from_millis(1_000));
    assert!(!held.is_finished());
    world.cluster.alter("synchronous_standby_names = ''");
    held.join().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    world.engine.kill();
    world.engine.start();
    wait_for("the end of the first read", PATIENCE, || all_ready(&world));
    std::thread::sleep(Duration::from_millis(800));
    let done = users.stop();
    let checked = check(&mut world);
    let rises = values_only_rise(&world);
    println!("{COUNT} observations, {done} transactions, {rises} rises, {checked:?}");
    assert!(rises > 5, "{rises}");
}
