//! Gaps, prerequisites, and leaving nothing behind.

use crate::{
    capture::{Capture, Setup},
    cluster::{Cluster, cluster},
};
use lockstep_postgres::{Options, PostgresFences, PostgresSource};
use model::Entry;
use ports::{FenceSource as _, OpenFault, Source as _};

const TABLE: &str = "CREATE TABLE a (id int8 PRIMARY KEY, name text)";

async fn gap(capture: &mut Capture) -> String {
    match capture.try_open().await {
        Err(OpenFault::Gap { what, plan, .. }) => {
            assert!(plan.contains("lockstep held answer"), "{plan}");
            what
        }
        other => panic!("{other:?}"),
    }
}

async fn captured(setup: &Setup) -> Capture {
    let mut capture = setup.capture(&["public.a"]);
    capture.open().await;
    capture.until_ready().await;
    setup.run("INSERT INTO a VALUES (1, 'one')").await;
    capture.until_rows(1).await;
    capture.source = PostgresSource::new(capture.options.clone());
    capture.handle = None;
    // The walsender lets go a moment after its connection has.
    setup.cluster.sql(&setup.name).await.batch_execute("SELECT pg_sleep(0.2)").await.unwrap();
    capture
}

#[tokio::test]
async fn a_slot_that_does_not_fit_is_a_gap_and_is_not_touched() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut capture = captured(&setup).await;
    let slot = format!("lockstep_{}", setup.name);
    let resume = capture.resume.clone();
    assert_eq!(lockstep_postgres::goes_on(&capture.options, || Ok(resume)).await, Ok(()));
    assert_eq!(lockstep_postgres::goes_on(&capture.options, || Ok(ports::Resume::default())).await, Ok(()));
    let identity = capture.resume.identity.take();
    capture.resume.identity = Some("systemid=1 timeline=1".into());
    assert!(gap(&mut capture).await.contains("another server"));
    capture.resume.identity = identity;
    let passed = capture.resume.passed.replace(lockstep_postgres::position::Lsn(u64::MAX / 2).position());
    assert!(gap(&mut capture).await.contains("an older copy was restored"));
    capture.resume.passed = passed;
    setup.run("INSERT INTO a VALUES (2, 'two')").await;
    setup.run(&format!("SELECT pg_replication_slot_advance('{slot}', pg_current_wal_lsn())")).await;
    assert!(gap(&mut capture).await.contains("ahead of the journal"));
    // Asked beforehand, the answer is the same.
    let resume = capture.resume.clone();
    let asked = lockstep_postgres::goes_on(&capture.options, || Ok(resume)).await;
    assert!(matches!(asked, Err(OpenFault::Gap { what, .. }) if what.contains("ahead of the journal")));
    setup.run(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;
    assert!(gap(&mut capture).await.contains("is gone"));
    setup.run(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'test_decoding')")).await;
    assert!(gap(&mut capture).await.contains("another one"));
    // A person accepted it: wanted anew, made anew, read again.
    capture.want();
    capture.open().await;
    capture.until_ready().await;
    assert_eq!(capture.resume.incarnation.0, 2);
    assert_eq!(capture.count(|entry| matches!(entry, Entry::Chunk(chunk) if chunk.rows.len() == 2)), 1);
}

#[tokio::test]
async fn a_wanted_slot_that_was_made_and_not_written_down_is_made_anew() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut capture = setup.capture(&["public.a"]);
    capture.open().await;
    // Killed before the first batch was durable.
    capture.source = PostgresSource::new(capture.options.clone());
    setup.run("INSERT INTO a VALUES (1, 'one')").await;
    capture.open().await;
    capture.until_ready().await;
    assert_eq!(capture.count(|entry| matches!(entry, Entry::Chunk(chunk) if chunk.rows.len() == 1)), 1);
}

#[tokio::test]
async fn removing_leaves_nothing_of_ours() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut capture = setup.capture(&["public.a"]);
    capture.open().await;
    capture.until_ready().await;
    // Another process may still be attached: it is ended.
    let mut other = PostgresSource::new(capture.options.clone());
    let said = other.remove().await.unwrap().join("; ");
    assert!(said.contains("dropped the slot") && said.contains("publication"), "{said}");
    let left = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
    assert_eq!(setup.sql.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert!(other.remove().await.unwrap().join("; ").contains("there was no slot"));
}

async fn problems(options: Options) -> String {
    let problems = PostgresSource::new(options).prerequisites().await.unwrap();
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[tokio::test]
async fn everything_missing_is_said_at_once_with_its_cure() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(
        cluster,
        "CREATE TABLE fine (id int8 PRIMARY KEY); CREATE TABLE keyless (x int4); CREATE UNLOGGED TABLE fast (id int8 PRIMARY KEY);
         CREATE TABLE mute (id int8 PRIMARY KEY); ALTER TABLE mute REPLICA IDENTITY NOTHING;
         CREATE TABLE hidden (id int8 PRIMARY KEY); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
         CREATE TABLE filtered (id int8 PRIMARY KEY, x int4); CREATE TABLE listed (id int8 PRIMARY KEY, x int4);
         CREATE TABLE parts (id int8 PRIMARY KEY) PARTITION BY RANGE (id); CREATE VIEW seen AS SELECT 1;
         CREATE TABLE secret (id int8 PRIMARY KEY);",
    )
    .await;
    let (name, role) = (setup.name.clone(), format!("poor_{}", setup.name));
    setup.run(&format!("DROP PUBLICATION lockstep_{name}; CREATE ROLE {role} LOGIN;")).await;
    for table in ["fine", "keyless", "fast", "mute", "hidden", "filtered", "listed", "parts", "seen"] {
        setup.run(&format!("GRANT SELECT ON {table} TO {role}")).await;
    }
    let tables = [
        "public.fine",
        "public.keyless",
        "public.fast",
        "public.mute",
        "public.hidden",
        "public.filtered",
        "public.listed",
        "public.parts",
        "public.seen",
        "public.secret",
        "public.nowhere",
    ];
    let mut options = setup.options(&tables);
    options.address.user = role.clone();
    let said = problems(options.clone()).await;
    for cure in [
        format!("ALTER ROLE \"{role}\" REPLICATION;"),
        "the publication".to_owned(),
        format!("CREATE PUBLICATION lockstep_{name} FOR TABLE"),
        "WITH (publish_via_partition_root = true);".to_owned(),
        "public.nowhere does not exist".to_owned(),
        format!("GRANT SELECT ON \"public\".\"secret\" TO \"{role}\";"),
        "public.keyless has no primary key".to_owned(),
        "ALTER TABLE \"public\".\"fast\" SET LOGGED;".to_owned(),
        "ALTER TABLE \"public\".\"mute\" REPLICA IDENTITY DEFAULT;".to_owned(),
        format!("ALTER ROLE \"{role}\" BYPASSRLS;"),
        "public.seen is not a table".to_owned(),
    ] {
        assert!(said.contains(&cure), "{cure} is not in:\n{said}");
    }
    // Before 15 a publication can neither filter rows nor list columns.
    let narrow = cluster.version().await >= 150_000;
    let (filter, list) = if narrow { (" WHERE (id > 5)", " (id)") } else { ("", "") };
    setup.run(&format!("CREATE PUBLICATION lockstep_{name} FOR TABLE filtered{filter}, listed{list}, parts WITH (publish = 'insert')")).await;
    let said = problems(options.clone()).await;
    for cure in ["filters rows of public.filtered", "leaves out columns of public.listed"] {
        assert_eq!(said.contains(cure), narrow, "{cure}:\n{said}");
    }
    for cure in [
        "SET (publish = 'insert, update, delete, truncate')",
        "SET (publish_via_partition_root = true)",
        "lacks public.fast, public.fine,",
        "ADD TABLE \"public\".\"fast\", \"public\".\"fine\",",
    ] {
        assert!(said.contains(cure), "{cure} is not in:\n{said}");
    }
    // What was printed is what cures.
    setup.run(&format!("DROP PUBLICATION lockstep_{name}; CREATE PUBLICATION lockstep_{name} FOR TABLE \"public\".\"fine\"; ALTER ROLE {role} REPLICATION")).await;
    options.tables = vec!["public.fine".into()];
    assert_eq!(problems(options).await, "");
    setup.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_database_without_any_of_the_tables_is_asked_about_and_no_sql_names_what_is_not_there() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let named = format!("none of the tables exists in the database {}: public.b, public.c", setup.name);
    let said = problems(setup.options(&["public.b", "public.c"])).await;
    assert!(said.contains(&named) && said.contains("is it the right one?"), "{said}");
    assert!(!said.contains("FOR TABLE"), "there is a publication:\n{said}");
    setup.run(&format!("DROP PUBLICATION lockstep_{}", setup.name)).await;
    let said = problems(setup.options(&["public.b", "public.c"])).await;
    assert!(said.contains("does not exist; make it once the tables are there"), "{said}");
    assert!(said.contains(&named) && !said.contains("FOR TABLE"), "{said}");
    let said = problems(setup.options(&["public.b"])).await;
    assert!(said.contains("the table public.b does not exist in the database"), "{said}");
    // A source that was captured before is told of its tables, too, and not only of what stops all of it.
    let mut capture = setup.capture(&["public.b", "public.c"]);
    (capture.resume.started, capture.resume.passed) = (true, Some(lockstep_postgres::position::Lsn(1).position()));
    for table in ["public.b", "public.c"] {
        capture.resume.tables.insert(table.into(), ports::TableResume::Ready);
    }
    let said = format!("{:?}", capture.try_open().await);
    assert!(said.contains(&named) && said.contains("the publication"), "{said}");
}

#[tokio::test]
async fn a_publication_of_generated_columns_is_refused() {
    let Some(cluster) = cluster() else { return };
    if cluster.version().await < 180_000 {
        println!("skipped: before PostgreSQL 18 no publication has generated columns");
        return;
    }
    let setup =
        Setup::new(cluster, "CREATE TABLE a (id int8 PRIMARY KEY, twice int8 GENERATED ALWAYS AS (id * 2) STORED)")
            .await;
    let set =
        |what: &str| format!("ALTER PUBLICATION lockstep_{} SET (publish_generated_columns = {what})", setup.name);
    setup.run(&set("stored")).await;
    let said = problems(setup.options(&["public.a"])).await;
    assert!(said.contains(&set("none")), "{said}");
    setup.run(&set("none")).await;
    assert_eq!(problems(setup.options(&["public.a"])).await, "");
}

#[tokio::test]
async fn opening_without_what_it_needs_is_one_clear_fault() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    setup.run(&format!("DROP PUBLICATION lockstep_{}", setup.name)).await;
    let mut capture = setup.capture(&["public.a"]);
    match capture.try_open().await {
        Err(OpenFault::Fault(fault)) => {
            assert_eq!(fault.failure, ports::Failure::Misconfigured);
            assert!(fault.cure.contains("CREATE PUBLICATION") && !fault.unreachable, "{fault}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_not_set_up_says_each_setting() {
    let unfit = "wal_level = replica\nmax_replication_slots = 0\nmax_wal_senders = 0";
    let Some(cluster) = Cluster::start(unfit) else { return };
    // The server is stopped when the test ends; a setup may borrow it until then.
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let setup = Setup::new(cluster, TABLE).await;
    let said = problems(setup.options(&["public.a"])).await;
    for cure in ["SET wal_level = 'logical'", "SET max_replication_slots", "SET max_wal_senders"] {
        assert!(said.contains(cure), "{cure} is not in:\n{said}");
    }
    setup.run("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0").await;
    let mut options = setup.options(&["public.a"]);
    options.address.database = "bytes".into();
    assert!(problems(options).await.contains("SQL_ASCII"));
}

#[tokio::test]
async fn a_fence_names_the_processes_that_it_waits_for() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let slow = cluster.sql(&setup.name).await;
    slow.batch_execute("BEGIN; INSERT INTO a VALUES (1, 'not yet')").await.unwrap();
    let pid: i32 = slow.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let options = setup.options(&["public.a"]);
    let opening = tokio::spawn(async move {
        let mut fences = PostgresFences::new(options);
        let mut waiting = |pids: Vec<i32>| drop(told.send(pids));
        let mut fence = fences.fence(&mut waiting).await.unwrap();
        fence.rows(&"public.a".into(), None, 10).await.unwrap().rows.len()
    });
    // Other tests have transactions of their own: ours is among the processes sooner or later.
    while !heard.recv().await.expect("the fence waits").contains(&pid) {}
    slow.batch_execute("COMMIT").await.unwrap();
    assert_eq!(opening.await.unwrap(), 1);
}
