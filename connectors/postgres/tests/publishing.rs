//! What the log does not tell: a table that was out of the publication for a while, or is another one under its name.

use crate::{
    capture::{Capture, Setup, equals_source},
    cluster::cluster,
};
use lockstep_postgres::PostgresSource;
use model::{Entry, SnapshotMark, TableName};
use ports::{OpenFault, Source as _, TableResume, resume::IDENTITY_PREFIX};
use std::time::{Duration, Instant};

const TABLES: &str =
    "CREATE TABLE a (id int8 PRIMARY KEY, v text, n int4); CREATE TABLE b (id int8 PRIMARY KEY, v text);
    INSERT INTO a SELECT i, 'a' || i, i FROM generate_series(1, 120) i; INSERT INTO b VALUES (1, 'b');";
const BOTH: [&str; 2] = ["public.a", "public.b"];
/// Changes that nobody hears of while the table is out.
const CHANGES: &str = "INSERT INTO a VALUES (1000, 'new', 1); UPDATE a SET v = 'changed' WHERE id < 40; DELETE FROM a WHERE id BETWEEN 60 AND 65;";

/// A captured database whose publication names its tables.
async fn captured(tables: &str, names: &[&str]) -> Option<(Setup, Capture)> {
    let setup = Setup::new(cluster()?, tables).await;
    let (name, list) = (&setup.name, names.join(", "));
    setup
        .run(&format!(
            "DROP PUBLICATION lockstep_{name};
             CREATE PUBLICATION lockstep_{name} FOR TABLE {list} WITH (publish_via_partition_root = true)"
        ))
        .await;
    let mut capture = setup.capture(names);
    capture.open().await;
    capture.until_ready().await;
    Some((setup, capture))
}

/// What the watch says, within a few seconds.
async fn fault(capture: &mut Capture) -> OpenFault {
    let since = Instant::now();
    loop {
        match capture.try_pull().await {
            Err(fault) => return fault,
            Ok(_) => assert!(since.elapsed() < Duration::from_secs(30), "nobody noticed"),
        }
    }
}

async fn noticed(capture: &mut Capture, words: &str) {
    match fault(capture).await {
        OpenFault::Fault(fault) => {
            assert!(fault.what.contains(words), "{fault}");
            assert_eq!(fault.failure, ports::Failure::Transient, "{fault}");
        }
        gap => panic!("{gap:?}"),
    }
}

/// The tables that were started since, and the place in the journal from which to look next.
fn started(capture: &Capture, from: usize) -> Vec<TableName> {
    let started = capture.journal[from..].iter().filter_map(|entry| match entry {
        Entry::Snapshot { mark: SnapshotMark::Started { tables, .. }, .. } => Some(tables.clone()),
        _ => None,
    });
    started.flatten().collect()
}

/// Opens again, and says which tables are read again.
async fn reopened(capture: &mut Capture) -> Vec<TableName> {
    let from = capture.journal.len();
    capture.crash_and_open().await;
    let from = from.min(capture.journal.len());
    capture.pull().await;
    capture.until_ready().await;
    started(capture, from)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_was_taken_out_changed_and_put_back_is_read_again_alone() {
    let Some((setup, mut capture)) = captured(TABLES, &BOTH).await else { return };
    let name = &setup.name;
    setup.run(&format!("ALTER PUBLICATION lockstep_{name} DROP TABLE a")).await;
    setup.run(CHANGES).await;
    setup.run(&format!("ALTER PUBLICATION lockstep_{name} ADD TABLE a")).await;
    noticed(&mut capture, "public.a: it was put into the publication").await;
    assert_eq!(reopened(&mut capture).await, [TableName::from("public.a")]);
    assert_eq!(equals_source(&mut capture).await.inferred, 6);
    assert_eq!(reopened(&mut capture).await, [], "once is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_dropped_and_created_again_is_read_again() {
    let Some(cluster) = cluster() else { return };
    // A publication of everything has the new table at once.
    let setup = Setup::new(cluster, TABLES).await;
    let mut capture = setup.capture(&BOTH);
    capture.open().await;
    capture.until_ready().await;
    setup
        .run("DROP TABLE a; CREATE TABLE a (id int8 PRIMARY KEY, v text, n int4); INSERT INTO a VALUES (7, 'seven', 7)")
        .await;
    noticed(&mut capture, "public.a: it was dropped and created again").await;
    assert_eq!(reopened(&mut capture).await, [TableName::from("public.a")]);
    equals_source(&mut capture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_runs_on_behind_the_change_is_waited_for() {
    let Some((setup, mut capture)) = captured(TABLES, &BOTH).await else { return };
    let (name, slow) = (&setup.name, setup.cluster.sql(&setup.name).await);
    setup.run(&format!("ALTER PUBLICATION lockstep_{name} DROP TABLE a")).await;
    slow.batch_execute(&format!("BEGIN; {CHANGES}")).await.unwrap();
    // Putting it back waits for nobody.
    setup.run(&format!("ALTER PUBLICATION lockstep_{name} ADD TABLE a")).await;
    noticed(&mut capture, "public.a").await;
    let from = capture.journal.len();
    capture.crash_and_open().await;
    capture.pull().await;
    slow.batch_execute("COMMIT").await.unwrap();
    let since = Instant::now();
    while capture.resume.tables[&TableName::from("public.a")] != TableResume::Ready {
        assert!(since.elapsed() < Duration::from_secs(40), "never ready");
        if capture.try_pull().await.is_err() {
            capture.crash_and_open().await;
        }
    }
    assert!(started(&capture, from.min(capture.journal.len())).contains(&"public.a".into()));
    equals_source(&mut capture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_out_stops_alone_and_is_read_when_it_is_back() {
    let Some((setup, mut capture)) = captured(TABLES, &BOTH).await else { return };
    let name = &setup.name;
    setup.run(&format!("ALTER PUBLICATION lockstep_{name} DROP TABLE a; {CHANGES}")).await;
    noticed(&mut capture, "public.a: it was taken out").await;
    capture.crash_and_open().await;
    setup.run("INSERT INTO b VALUES (2, 'goes on')").await;
    let rows = capture.rows().len();
    capture.until_rows(rows + 1).await;
    stands_still(&capture, "ADD TABLE \"public\".\"a\"");
    assert_eq!(reopened_stopped(&mut capture).await, [], "it is started once");
    setup.run(&format!("ALTER PUBLICATION lockstep_{name} ADD TABLE a")).await;
    noticed(&mut capture, "public.a: it was put into").await;
    reopened(&mut capture).await;
    assert_eq!(equals_source(&mut capture).await.inferred, 6);
}

/// `a` stands still, alone, and says its cure.
#[track_caller]
fn stands_still(capture: &Capture, cure: &str) {
    let progress = capture.handle.as_ref().unwrap().progress();
    let stopped: Vec<_> = progress.iter().filter_map(|table| Some((&table.table, table.stopped.clone()?))).collect();
    assert_eq!(stopped.len(), 1, "{progress:?}");
    assert!(*stopped[0].0 == "public.a".into() && stopped[0].1.contains(cure), "{progress:?}");
}

/// A role of its own captures `a`, 120 rows in chunks of four, and may read nothing more after the first chunk: then the
/// reading of `a` stops alone, goes on where it was when `cure` was done, and a table that is ready is none of its business.
async fn hidden_while_read(hide: &str, cure: &str, says: &str) {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLES).await;
    let role = format!("reader_{}", setup.name);
    let with = |sql: &str| sql.replace("ROLE", &role);
    setup.run(&format!("CREATE ROLE {role} LOGIN REPLICATION; GRANT SELECT ON a, b TO {role}")).await;
    let mut options = setup.options(&BOTH);
    (options.address.user, options.chunk_rows) = (role.clone(), 4);
    let mut capture = Capture::new(options);
    capture.open().await;
    capture.until("a chunk", |capture| capture.count(|entry| matches!(entry, Entry::Chunk(_))) > 0).await;
    setup.run(&with(hide)).await;
    // What was read ahead may still come.
    let said = format!("{:?}", fault(&mut capture).await);
    assert!(said.contains("42501"), "{said}");
    let chunks = capture.count(|entry| matches!(entry, Entry::Chunk(_)));
    assert!(capture.resume.tables[&TableName::from("public.a")] != TableResume::Ready, "nothing was hidden");
    capture.crash_and_open().await;
    stands_still(&capture, &with(says));
    let ready = |capture: &Capture| capture.resume.tables[&TableName::from("public.b")] == TableResume::Ready;
    capture.until("the other table", ready).await;
    setup.run("INSERT INTO b VALUES (2, 'goes on'); UPDATE a SET v = 'meanwhile' WHERE id IN (3, 110)").await;
    capture.until_rows(3).await;
    let problems = PostgresSource::new(capture.options.clone()).prerequisites().await.unwrap();
    assert!(problems.iter().any(|fault| fault.to_string().contains(&with(says))), "{problems:?}");

    setup.run(&with(cure)).await;
    noticed(&mut capture, "public.a: it can be captured again").await;
    let from = capture.journal.len();
    capture.crash_and_open().await;
    capture.until_ready().await;
    assert_eq!(started(&capture, from.min(capture.journal.len())), [], "it goes on, and begins nothing anew");
    assert!(capture.count(|entry| matches!(entry, Entry::Chunk(_))) > chunks);
    assert_eq!(equals_source(&mut capture).await.inferred, 0);

    // Read once, it needs nobody's leave.
    capture.source = PostgresSource::new(capture.options.clone());
    setup.run(&with(hide)).await;
    capture.crash_and_open().await;
    assert!(capture.handle.as_ref().unwrap().progress().is_empty());
    setup.run("UPDATE a SET v = 'streamed' WHERE id = 7").await;
    let rows = capture.rows().len();
    capture.until_rows(rows + 1).await;
    capture.options.address.user = "postgres".into();
    assert_eq!(equals_source(&mut capture).await.inferred, 0);
    setup.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_may_not_be_read_any_more_stops_alone() {
    let (hide, cure) = ("REVOKE SELECT ON a FROM ROLE", "GRANT SELECT ON a TO ROLE");
    hidden_while_read(hide, cure, "GRANT SELECT ON \"public\".\"a\" TO \"ROLE\";").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_under_row_security_stops_alone() {
    let hide = "ALTER TABLE a ENABLE ROW LEVEL SECURITY; ALTER USER ROLE NOBYPASSRLS";
    hidden_while_read(hide, "ALTER USER ROLE BYPASSRLS", "BYPASSRLS;").await;
}

async fn reopened_stopped(capture: &mut Capture) -> Vec<TableName> {
    let from = capture.journal.len();
    capture.crash_and_open().await;
    capture.pull().await;
    started(capture, from.min(capture.journal.len()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_gone_stops_alone_and_is_read_when_it_is_back() {
    let Some((setup, mut capture)) = captured(TABLES, &BOTH).await else { return };
    setup.run("DROP TABLE a").await;
    noticed(&mut capture, "public.a: it is gone").await;
    capture.crash_and_open().await;
    let rows = capture.rows().len();
    setup.run("INSERT INTO b VALUES (2, 'goes on')").await;
    capture.until_rows(rows + 1).await;
    setup.run("CREATE TABLE a (id int8 PRIMARY KEY, v text, n int4); INSERT INTO a VALUES (7, 'seven', 7)").await;
    noticed(&mut capture, "public.a: it was created").await;
    setup.run(&format!("ALTER PUBLICATION lockstep_{} ADD TABLE a", setup.name)).await;
    reopened(&mut capture).await;
    equals_source(&mut capture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_that_was_away_is_a_gap_or_reads_everything_again() {
    let Some((setup, mut capture)) = captured(TABLES, &BOTH).await else { return };
    let name = &setup.name;
    setup.run(&format!("DROP PUBLICATION lockstep_{name}")).await;
    setup.run(CHANGES).await;
    setup.run(&format!("CREATE PUBLICATION lockstep_{name} FOR TABLE a, b")).await;
    // The server's complaint comes first or the watch does; then it cannot send what was changed meanwhile.
    let mut gap = None;
    for _ in 0..3 {
        match fault(&mut capture).await {
            OpenFault::Gap { what, .. } => {
                gap = Some(what);
                break;
            }
            OpenFault::Fault(_) if setup.cluster.version().await >= 180_000 => {
                assert_eq!(reopened(&mut capture).await.len(), 2);
                break;
            }
            OpenFault::Fault(_) => capture.crash_and_open().await,
        }
    }
    if setup.cluster.version().await < 180_000 {
        assert!(gap.is_some_and(|what| what.contains("was missing for a while")));
        capture.want();
        capture.source = PostgresSource::new(capture.options.clone());
        capture.open().await;
        capture.until_ready().await;
    }
    equals_source(&mut capture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_log_does_not_tell_is_found_at_the_next_open() {
    let Some((setup, mut capture)) = captured(TABLES, &BOTH).await else { return };
    let publication = format!("lockstep_{}", setup.name);
    let alter = format!("ALTER PUBLICATION {publication}");
    let narrow = setup.cluster.version().await >= 150_000;
    let (a, both) = (vec!["public.a"], vec!["public.a", "public.b"]);
    let cases = [
        (format!("{alter} DROP TABLE a; {CHANGES} {alter} ADD TABLE a"), &a, true),
        (format!("{alter} SET (publish = 'insert'); DELETE FROM a WHERE id = 70; {alter} SET (publish = 'insert, update, delete, truncate')"), &both, true),
        (format!("{alter} SET TABLE a WHERE (id < 0), b; UPDATE a SET v = 'filtered' WHERE id = 80; {alter} SET TABLE a, b"), &a, narrow),
        (format!("BEGIN; DROP PUBLICATION {publication}; CREATE PUBLICATION {publication} FOR TABLE a, b; COMMIT"), &both, true),
        (format!("DROP TABLE a; CREATE TABLE a (id int8 PRIMARY KEY, v text, n int4); INSERT INTO a SELECT i, 'x', i FROM generate_series(1, 90) i; {alter} ADD TABLE a"), &a, true),
        ("ALTER TABLE a DROP CONSTRAINT a_pkey; INSERT INTO a VALUES (2000, 'keyless', 0); ALTER TABLE a ADD PRIMARY KEY (id)".to_owned(), &a, true),
        ("ALTER TABLE a ALTER v TYPE text USING upper(v)".to_owned(), &a, true),
        ("ALTER TABLE a ALTER n TYPE numeric(5,1)".to_owned(), &a, true),
        ("ALTER TABLE a ALTER n TYPE numeric(5,0)".to_owned(), &a, true),
        ("ALTER TABLE a ADD filled int4 DEFAULT 7".to_owned(), &a, true),
        ("ALTER TABLE a RENAME v TO w".to_owned(), &a, true),
        ("ALTER TABLE a DROP COLUMN filled, ADD filled int4".to_owned(), &a, true),
        ("ALTER TABLE a REPLICA IDENTITY FULL; UPDATE a SET n = 3 WHERE id < 20; DELETE FROM a WHERE id = 33; ALTER TABLE a REPLICA IDENTITY DEFAULT".to_owned(), &vec![], true),
        ("VACUUM FULL a".to_owned(), &vec![], true),
        ("REINDEX TABLE CONCURRENTLY a; ANALYZE a; GRANT SELECT ON a TO PUBLIC".to_owned(), &vec![], true),
        (format!("CREATE TABLE other (id int8 PRIMARY KEY); {alter} ADD TABLE other"), &vec![], true),
        ("ALTER TABLE a ADD empty int4; UPDATE a SET empty = 1 WHERE id = 50; ALTER TABLE a DROP COLUMN empty".to_owned(), &vec![], true),
        ("TRUNCATE a; INSERT INTO a VALUES (9, 'nine', 9)".to_owned(), &vec![], true),
    ];
    for (sql, again, fits) in cases {
        if !fits {
            println!("skipped: {sql}");
            continue;
        }
        capture.source = PostgresSource::new(capture.options.clone());
        for statement in sql.split("; ") {
            setup.run(statement).await;
        }
        let again: Vec<TableName> = again.iter().map(|table| TableName::from(*table)).collect();
        assert_eq!(reopened(&mut capture).await, again, "{sql}");
        // This shadow folds no truncation, and has each row in the shape in which it came.
        if !sql.starts_with("TRUNCATE") && !sql.contains("ADD empty") {
            equals_source(&mut capture).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_come_with_rows_go_with_rows_or_are_emptied_are_noticed() {
    let tables = "CREATE TABLE p (id int8 PRIMARY KEY, v text) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
        CREATE TABLE p3 (id int8 PRIMARY KEY, v text); INSERT INTO p SELECT i, 'p' FROM generate_series(1, 150) i;
        INSERT INTO p3 VALUES (210, 'attached'), (220, 'attached');";
    let Some((setup, mut capture)) = captured(tables, &["public.p"]).await else { return };
    for (sql, again) in [
        ("ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (200) TO (300)", true),
        ("TRUNCATE p2", true),
        ("ALTER TABLE p DETACH PARTITION p1", true),
        ("UPDATE p SET v = 'streamed' WHERE id = 210", false),
    ] {
        capture.source = PostgresSource::new(capture.options.clone());
        setup.run(sql).await;
        assert_eq!(!reopened(&mut capture).await.is_empty(), again, "{sql}");
        equals_source(&mut capture).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_the_start_and_what_it_began_under_reads_once_more() {
    let Some((setup, mut capture)) = captured(TABLES, &BOTH).await else { return };
    let alter = format!("ALTER PUBLICATION lockstep_{}", setup.name);
    capture.source = PostgresSource::new(capture.options.clone());
    setup.run(&format!("{alter} DROP TABLE a")).await;
    setup.run(CHANGES).await;
    setup.run(&format!("{alter} ADD TABLE a")).await;
    capture.crash_and_open().await;
    capture.pull().await;
    let cut = capture
        .journal
        .iter()
        .rposition(|entry| matches!(entry, Entry::Message { prefix, .. } if **prefix == *IDENTITY_PREFIX));
    capture.journal.truncate(cut.unwrap());
    assert!(matches!(capture.journal.last(), Some(Entry::Snapshot { mark: SnapshotMark::Started { .. }, .. })));
    capture.confirms = false;
    // Nobody wrote down what it is read under: it is started once more, and written down now.
    assert_eq!(reopened(&mut capture).await, [TableName::from("public.a")]);
    assert_eq!(equals_source(&mut capture).await.inferred, 6);
    assert_eq!(reopened(&mut capture).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_was_out_before_its_first_chunk_is_started_again() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLES).await;
    let name = &setup.name;
    setup
        .run(&format!("DROP PUBLICATION lockstep_{name}; CREATE PUBLICATION lockstep_{name} FOR TABLE a, b WITH (publish_via_partition_root = true)"))
        .await;
    let mut capture = setup.capture(&BOTH);
    capture.open().await;
    let identity = |entry: &Entry| matches!(entry, Entry::Message { prefix, .. } if **prefix == *IDENTITY_PREFIX);
    while !capture.journal.iter().any(identity) {
        capture.pull().await;
    }
    // Killed before the first chunk: rows may have come by the stream, and their unknown columns would be filled from them.
    let chunk = |entry: &Entry| matches!(entry, Entry::Chunk { .. });
    if let Some(first) = capture.journal.iter().position(chunk) {
        capture.journal.truncate(first);
    }
    capture.source = PostgresSource::new(capture.options.clone());
    setup.run(&format!("ALTER PUBLICATION lockstep_{name} DROP TABLE a")).await;
    setup.run(CHANGES).await;
    setup.run(&format!("ALTER PUBLICATION lockstep_{name} ADD TABLE a")).await;
    assert_eq!(reopened(&mut capture).await, [TableName::from("public.a")]);
    equals_source(&mut capture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_comes_as_another_shape_behind_a_new_reading() {
    let Some((setup, mut capture)) = captured(TABLES, &BOTH).await else { return };
    for sql in [
        "ALTER TABLE a ALTER n SET NOT NULL",
        "CREATE UNIQUE INDEX a_n ON a (n)",
        "ALTER TABLE a REPLICA IDENTITY USING INDEX a_n",
        "UPDATE a SET v = 'changed' WHERE id = 5",
    ] {
        setup.run(sql).await;
    }
    noticed(&mut capture, "public.a: its key").await;
    assert_eq!(reopened(&mut capture).await, [TableName::from("public.a")]);
    let last = capture.journal.iter().rev().find_map(|entry| match entry {
        Entry::Schema { schema, .. } if schema.table.as_str() == "public.a" => Some(schema.clone()),
        _ => None,
    });
    let schema = last.expect("its shape was told");
    assert_eq!(schema.key.iter().map(|at| &*schema.columns[usize::from(*at)].name).collect::<Vec<_>>(), ["n"]);
}
