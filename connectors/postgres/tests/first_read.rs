//! Marked chunks under writers, kills and a commit that waits for a standby.

use crate::{
    capture::{Capture, Setup, equals_source},
    cluster::cluster,
};
use lockstep_postgres::position::Lsn;
use model::{Entry, SnapshotMark, TableName};
use ports::TableResume;
use std::time::{Duration, Instant};

const TABLES: &str = "CREATE TABLE a (id int8 PRIMARY KEY, name text, big text);
    ALTER TABLE a ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE c (k text, n int4, at timestamptz, v numeric, PRIMARY KEY (n, k));
    CREATE TABLE d (k numeric PRIMARY KEY, v float8);
    CREATE TABLE e (id uuid PRIMARY KEY);
    INSERT INTO a SELECT i * 3, 'name ' || i, CASE WHEN i % 50 = 0 THEN repeat('x', 3000) END FROM generate_series(1, 600) i;
    INSERT INTO c SELECT chr(64 + i % 30) || i, i % 9 - 4, '2020-01-01'::timestamptz + i * '1 hour'::interval, i / 7.0 FROM generate_series(1, 300) i;
    INSERT INTO d SELECT i / 3.0, i FROM generate_series(1, 120) i;";
const ALL: [&str; 4] = ["public.a", "public.c", "public.d", "public.e"];

fn writer(setup: &Setup, seed: u64, rounds: u64) -> tokio::task::JoinHandle<()> {
    let (cluster, name) = (setup.cluster, setup.name.clone());
    tokio::spawn(async move {
        let sql = cluster.sql(&name).await;
        let mut dice = seed;
        for round in 0..rounds {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (pick, id) = (dice >> 61, (dice >> 33) % 1800);
            let statement = match pick {
                0 => format!(
                    "INSERT INTO a VALUES ({id}, 'new {round}', NULL) ON CONFLICT (id) DO UPDATE SET name = 'again {round}'"
                ),
                1 => format!("UPDATE a SET name = 'changed {round}' WHERE id BETWEEN {id} AND {id} + 40"),
                2 => format!("DELETE FROM a WHERE id = {id}; UPDATE c SET v = v + 1 WHERE n = {}", id % 9),
                3 => format!("UPDATE a SET id = -id WHERE id = {id} AND NOT EXISTS (SELECT FROM a WHERE id = -{id})"),
                4 => format!("BEGIN; UPDATE a SET name = 'never'; DELETE FROM c WHERE n = {}; ROLLBACK", id % 9),
                5 => format!("DELETE FROM c WHERE k = 'A' || {id}; INSERT INTO e VALUES (gen_random_uuid())"),
                6 => format!("UPDATE d SET v = v / 3 WHERE k < {id}"),
                _ => format!(
                    "BEGIN; INSERT INTO c VALUES ('z{seed}_{round}', 3, now(), {id}); SELECT pg_sleep(0.01); COMMIT"
                ),
            };
            // Two writers may meet in a deadlock or on one key; that is their business.
            let _ = sql.batch_execute(&statement).await;
            let _ = sql.batch_execute("ROLLBACK").await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_read_under_writers_gives_the_tables_as_they_are() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLES).await;
    let mut capture = setup.capture(&ALL);
    capture.open().await;
    let writers = [writer(&setup, 1, 400), writer(&setup, 2, 400)];
    capture.until_ready().await;
    for writer in writers {
        writer.await.unwrap();
    }
    let shadow = equals_source(&mut capture).await;
    assert_eq!(shadow.inferred, 0);
    let progress = capture.handle.as_ref().unwrap().progress();
    assert!(progress.iter().all(|table| table.rows_done <= table.rows_estimate), "{progress:?}");
    assert!(capture.count(|entry| matches!(entry, Entry::Chunk(chunk) if chunk.rows.len() <= 50)) >= 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_every_chunk_boundary_loses_and_repeats_nothing() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLES).await;
    let mut capture = setup.capture(&ALL);
    capture.open().await;
    let writing = writer(&setup, 3, 900);
    let chunks = |capture: &Capture| capture.count(|entry| matches!(entry, Entry::Chunk(_)));
    let ready = |capture: &Capture| {
        !capture.resume.tables.is_empty() && capture.resume.tables.values().all(|table| *table == TableResume::Ready)
    };
    while !ready(&capture) {
        let before = chunks(&capture);
        capture.until("a chunk", |capture| chunks(capture) > before || ready(capture)).await;
        // Cut right behind the chunk: `Ready`, where it came along, is not durable. What was confirmed stays.
        if chunks(&capture) > before {
            while matches!(capture.journal.last(), Some(Entry::Snapshot { mark: SnapshotMark::Ready { .. }, .. })) {
                capture.journal.pop();
            }
        }
        capture.crash_and_open().await;
    }
    writing.await.unwrap();
    let shadow = equals_source(&mut capture).await;
    assert_eq!(shadow.inferred, 0);
    let mut numbers = std::collections::BTreeMap::<_, Vec<u64>>::new();
    for entry in &capture.journal {
        if let Entry::Chunk(chunk) = entry {
            numbers.entry(chunk.schema).or_default().push(chunk.number);
        }
    }
    for numbers in numbers.values() {
        assert!(numbers.iter().enumerate().all(|(at, number)| *number == at as u64), "{numbers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_waits_for_a_standby_is_not_read_past() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLES).await;
    let mut capture = setup.capture(&["public.a"]);
    capture.options.chunk_rows = 10;
    capture.source = lockstep_postgres::PostgresSource::new(capture.options.clone());
    capture.open().await;
    // The wait after connecting is over: from here on only the chunk's own snapshot can tell.
    capture.until("a chunk", |capture| capture.count(|entry| matches!(entry, Entry::Chunk(_))) >= 1).await;
    // Committed in the log, delivered by the stream, invisible to every snapshot until somebody lets it go.
    let held = cluster.sql(&setup.name).await;
    held.batch_execute("SET synchronous_commit = on").await.unwrap();
    let cancel = held.cancel_token();
    let waiting =
        tokio::spawn(async move { held.batch_execute("UPDATE a SET name = 'held back' WHERE id >= 900").await });
    capture.until("the held transaction", |capture| capture.commits().iter().any(|commit| commit.count > 10)).await;
    let chunks = |capture: &Capture| capture.count(|entry| matches!(entry, Entry::Chunk(_)));
    // What was read before it may still come; then nothing.
    let mut seen = Vec::new();
    for _ in 0..3 {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(1) {
            tokio::time::timeout(Duration::from_millis(100), capture.pull()).await.ok();
        }
        seen.push(chunks(&capture));
    }
    assert_eq!(seen[1], seen[2], "no chunk while it waits");
    assert_ne!(capture.resume.tables[&TableName::from("public.a")], TableResume::Ready);
    let _ = cancel.cancel_query(tokio_postgres::NoTls).await;
    let _ = waiting.await;
    capture.until_ready().await;
    equals_source(&mut capture).await;
}

#[tokio::test]
async fn an_empty_table_is_one_empty_chunk_and_a_new_table_is_read_later() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLES).await;
    let mut capture = setup.capture(&["public.e"]);
    capture.open().await;
    capture.until_ready().await;
    let kinds = |capture: &Capture| {
        capture
            .journal
            .iter()
            .map(|entry| match entry {
                Entry::Slot { .. } => "slot",
                Entry::Snapshot { mark: SnapshotMark::Started { .. }, .. } => "started",
                Entry::Snapshot { .. } => "ready",
                Entry::Message { .. } => "message",
                Entry::Schema { .. } => "schema",
                Entry::Chunk(chunk) if chunk.rows.is_empty() => "empty chunk",
                Entry::Chunk(_) => "chunk",
                _ => "other",
            })
            .filter(|kind| *kind != "other")
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&capture), ["slot", "started", "message", "schema", "empty chunk", "ready"]);
    let identity = capture.resume.identity.as_deref().unwrap();
    let (server, tables) = identity.split_once('\n').unwrap();
    assert!(server.starts_with("systemid=") && server.ends_with(" timeline=1"), "{identity}");
    assert!(tables.lines().all(|line| line.starts_with("oid=") && line.contains(" table=public.")), "{identity}");
    capture.options.tables = vec!["public.d".into(), "public.e".into()];
    capture.crash_and_open().await;
    capture.until("the new table", |capture| capture.resume.tables.len() == 2).await;
    capture.until_ready().await;
    assert_eq!(
        kinds(&capture)[6..],
        ["started", "message", "schema", "chunk", "ready"],
        "a numeric key has no order of ours: one chunk"
    );
    equals_source(&mut capture).await;
}

#[tokio::test]
async fn a_table_that_was_left_out_for_a_while_is_read_again() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLES).await;
    let mut capture = setup.capture(&["public.a", "public.e"]);
    capture.open().await;
    capture.until_ready().await;
    capture.options.tables = vec!["public.e".into()];
    capture.crash_and_open().await;
    setup.run("DELETE FROM a WHERE id < 30; UPDATE a SET name = 'missed' WHERE id > 900").await;
    let missed: String = setup.sql.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
    let missed = Lsn::parse(&missed).unwrap().position();
    equals_source(&mut capture).await;
    capture.until("the place behind what was missed", |capture| capture.resume.passed >= Some(missed)).await;
    assert_ne!(capture.resume.tables[&TableName::from("public.a")], TableResume::Ready, "what it missed is gone");
    capture.options.tables = vec!["public.a".into(), "public.e".into()];
    capture.crash_and_open().await;
    capture.until_ready().await;
    assert_eq!(equals_source(&mut capture).await.inferred, 9, "rows that were deleted unseen");
}
