//! What a transaction becomes.

use crate::{
    capture::{Capture, Setup, int, text},
    cluster::cluster,
};
use model::{Entry, Value};
use std::time::Duration;

const TABLE: &str = "CREATE TABLE a (id int8 PRIMARY KEY, name text, big text);
    ALTER TABLE a ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE b (id int8 PRIMARY KEY, a int8)";

async fn ready(setup: &Setup) -> Capture {
    let mut capture = setup.capture(&["public.a", "public.b"]);
    capture.open().await;
    capture.until_ready().await;
    capture
}

#[tokio::test]
async fn every_operation_is_a_row_at_its_place() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut capture = ready(&setup).await;
    setup.run("INSERT INTO a VALUES (1, 'one', NULL)").await;
    setup.run("BEGIN; UPDATE a SET name = 'uno' WHERE id = 1; UPDATE a SET id = 2 WHERE id = 1; INSERT INTO b VALUES (7, 2); COMMIT").await;
    setup.run("BEGIN; INSERT INTO a VALUES (66, 'never', NULL); ROLLBACK").await;
    setup
        .run("BEGIN; SAVEPOINT s; INSERT INTO a VALUES (67, 'never', NULL); ROLLBACK TO s; DELETE FROM a; COMMIT")
        .await;
    capture.until_rows(5).await;
    let rows = capture.rows();
    let seen: Vec<_> = rows.iter().map(|row| (row.kind, row.before.clone(), row.after.clone())).collect();
    assert_eq!(
        seen,
        [
            ("insert", None, Some(vec![int(1), text("one"), Value::Null])),
            ("update", None, Some(vec![int(1), text("uno"), Value::Null])),
            (
                "update",
                Some(vec![int(1), Value::Unchanged, Value::Unchanged]),
                Some(vec![int(2), text("uno"), Value::Null])
            ),
            ("insert", None, Some(vec![int(7), int(2)])),
            ("delete", Some(vec![int(2), Value::Unchanged, Value::Unchanged]), None),
        ]
    );
    let alone: Vec<bool> = rows.iter().map(|row| row.commit.is_some()).collect();
    assert_eq!(alone, [true, false, false, false, true], "a row that is its whole transaction says so");
    assert_eq!(capture.commits().iter().map(|commit| commit.count).collect::<Vec<_>>(), [1, 3, 1]);
    let places: Vec<_> = capture
        .journal
        .iter()
        .filter_map(|entry| match entry {
            Entry::Row(row) => Some(row.position),
            Entry::Commit { position, .. } => Some(*position),
            _ => None,
        })
        .collect();
    assert!(places.is_sorted_by(|a, b| a < b));
    equals(&mut capture).await;
}

async fn equals(capture: &mut Capture) {
    crate::capture::equals_source(capture).await;
}

#[tokio::test]
async fn an_unchanged_toasted_value_is_unchanged_and_never_null() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut capture = ready(&setup).await;
    setup.run("INSERT INTO a VALUES (1, 'x', repeat('y', 20000))").await;
    setup.run("UPDATE a SET name = 'z'").await;
    setup.run("ALTER TABLE a REPLICA IDENTITY FULL").await;
    setup.run("UPDATE a SET name = 'w'").await;
    capture.until_rows(3).await;
    let rows = capture.rows();
    assert_eq!(rows[1].after.as_ref().unwrap()[2], Value::Unchanged);
    let full = rows[2].before.as_ref().unwrap();
    assert_eq!((&full[1], format!("{:?}", full[2])), (&text("z"), "text[20000]".to_owned()));
    assert_eq!(rows[2].after.as_ref().unwrap()[2], full[2], "the old row carries it");
    equals(&mut capture).await;
}

#[tokio::test]
async fn a_toasted_key_is_known_after_an_update_of_something_else() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(
        cluster,
        "CREATE TABLE k (id text PRIMARY KEY, n int4); ALTER TABLE k ALTER id SET STORAGE EXTERNAL",
    )
    .await;
    let mut capture = setup.capture(&["public.k"]);
    capture.open().await;
    capture.until_ready().await;
    setup.run("INSERT INTO k VALUES (repeat('k', 2300), 1)").await;
    setup.run("UPDATE k SET n = 2").await;
    capture.until_rows(2).await;
    assert_eq!(format!("{:?}", capture.rows()[1].after.as_ref().unwrap()[0]), "text[2300]");
    equals(&mut capture).await;
}

#[tokio::test]
async fn a_changed_shape_is_said_before_the_first_row_that_has_it() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut capture = ready(&setup).await;
    setup.run("INSERT INTO a VALUES (1, 'one', NULL)").await;
    setup.run("BEGIN; INSERT INTO a VALUES (2, 'two', NULL); ALTER TABLE a ADD born date; INSERT INTO a VALUES (3, 'three', NULL, '2001-02-03'); COMMIT").await;
    setup.run("ALTER TABLE a DROP COLUMN name; INSERT INTO a VALUES (4, NULL, NULL)").await;
    capture.until_rows(4).await;
    let widths: Vec<_> = capture.rows().iter().map(|row| row.after.as_ref().unwrap().len()).collect();
    assert_eq!(widths, [3, 3, 4, 3]);
    assert_eq!(capture.rows()[2].after.as_ref().unwrap()[3], Value::Date(11_356));
    let schemas = |capture: &Capture| {
        capture.count(|entry| matches!(entry, Entry::Schema { schema, .. } if schema.table.as_str() == "public.a"))
    };
    assert_eq!(schemas(&capture), 3);
    // A known shape is not said again after a restart.
    capture.crash_and_open().await;
    setup.run("INSERT INTO a VALUES (5, NULL, NULL)").await;
    capture.until_rows(5).await;
    assert_eq!(schemas(&capture), 3);
}

#[tokio::test]
async fn a_truncate_names_its_tables_and_is_closed_by_a_commit() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut capture = ready(&setup).await;
    setup.run("BEGIN; INSERT INTO a VALUES (1, 'one', NULL); TRUNCATE a, b; COMMIT").await;
    capture.until("a truncate", |capture| !capture.commits().is_empty()).await;
    let kinds: Vec<_> = capture
        .journal
        .iter()
        .rev()
        .take(3)
        .map(|entry| match entry {
            Entry::Commit { commit, .. } => format!("commit {}", commit.count),
            Entry::Truncate { tables, .. } => format!("truncate {}", tables.len()),
            Entry::Row(row) => format!("row {}", row.commit.is_some()),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["commit 1", "truncate 2", "row false"]);
}

#[tokio::test]
async fn a_large_transaction_comes_in_several_batches_and_is_whole() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut capture = ready(&setup).await;
    setup.run("INSERT INTO a SELECT i, 'name', repeat('x', 100) FROM generate_series(1, 20000) i").await;
    let mut batches = 0;
    while capture.commits().is_empty() {
        batches += usize::from(capture.pull().await > 0);
    }
    assert!(batches > 3, "{batches}");
    assert_eq!(capture.commits()[0].count, 20_000);
    equals(&mut capture).await;
}

#[tokio::test]
async fn nothing_is_lost_or_twice_when_connections_are_cut() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut capture = ready(&setup).await;
    let name = setup.name.clone();
    let writer = cluster.sql(&name).await;
    let writing = tokio::spawn(async move {
        for i in 0..300 {
            let sql = match i % 3 {
                0 => format!("INSERT INTO a SELECT {i}000 + j, 'n', 'b' FROM generate_series(1, {}) j", i % 7 + 1),
                1 => format!("UPDATE a SET name = 'n{i}' WHERE id % 5 = {}", i % 5),
                _ => format!("DELETE FROM a WHERE id % 11 = {}", i % 11),
            };
            writer.batch_execute(&sql).await.unwrap();
        }
    });
    for round in 0..6 {
        // Some rounds confirm nothing: the server sends again what is here already.
        capture.confirms = round % 2 == 0;
        for _ in 0..(round + 2) {
            capture.pull().await;
        }
        let pid = format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'lockstep_{name}' AND {}",
            round % 3 == 0
        );
        setup.run(&pid).await;
        capture.crash_and_open().await;
    }
    writing.await.unwrap();
    equals(&mut capture).await;
    let positions: Vec<_> = capture
        .journal
        .iter()
        .filter_map(|entry| match entry {
            Entry::Row(row) => Some(row.position),
            _ => None,
        })
        .collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "each row once, in order");
}

#[tokio::test]
async fn an_idle_source_writes_its_place_down_and_restarts_without_a_gap() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    setup.run("CREATE TABLE elsewhere (id int8)").await;
    let mut capture = ready(&setup).await;
    let before = capture.resume.passed;
    setup.run("INSERT INTO elsewhere SELECT generate_series(1, 1000)").await;
    capture.until("a heartbeat", |capture| capture.count(|entry| matches!(entry, Entry::Heartbeat { .. })) >= 1).await;
    assert!(capture.resume.passed > before);
    // The server hears of it.
    capture.pull().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let confirmed = format!(
        "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = 'lockstep_{}'",
        setup.name
    );
    let confirmed: String = setup.sql.query_one(&confirmed, &[]).await.unwrap().get(0);
    assert_eq!(confirmed, lockstep_postgres::position::show(&capture.resume.passed.unwrap()));
    capture.crash_and_open().await;
    setup.run("INSERT INTO a VALUES (1, 'one', NULL)").await;
    capture.until_rows(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_that_are_never_silent_do_not_keep_the_servers_log() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    setup.run("CREATE TABLE elsewhere (id int8)").await;
    let mut capture = ready(&setup).await;
    let busy = cluster.sql(&setup.name).await;
    let busy = tokio::spawn(async move {
        while busy.batch_execute("INSERT INTO elsewhere SELECT generate_series(1, 100)").await.is_ok() {}
    });
    capture.until("heartbeats", |capture| capture.count(|entry| matches!(entry, Entry::Heartbeat { .. })) >= 2).await;
    busy.abort();
}

#[tokio::test]
async fn status_updates_go_on_while_nobody_reads() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    setup.run(&format!("ALTER DATABASE {} SET wal_sender_timeout = '1s'", setup.name)).await;
    let mut capture = ready(&setup).await;
    setup.run("INSERT INTO a SELECT i, 'n', repeat('x', 1000) FROM generate_series(1, 30000) i").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    // Counted, not read: reading them all at every batch takes a busy machine longer than the server's patience.
    capture.until("rows", |capture| capture.count(|entry| matches!(entry, Entry::Row(_))) >= 30_000).await;
}
