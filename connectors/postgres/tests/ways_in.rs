//! TCP, Unix socket, TLS, SCRAM; and what is said when the way is barred.

use crate::{
    capture::{Capture, Setup},
    cluster::cluster,
};
use lockstep_postgres::{Options, Place, PostgresSource, Secret, Tls};
use model::Entry;
use ports::{Failure, OpenFault, Source as _};
use std::time::{Duration, Instant};

const TABLE: &str = "CREATE TABLE a (id int8 PRIMARY KEY, name text); INSERT INTO a VALUES (1, 'one')";

async fn works(options: Options, setup: &Setup) {
    let mut capture = Capture::new(options);
    capture.open().await;
    capture.until_ready().await;
    setup.run("INSERT INTO a SELECT max(id) + 1, 'more' FROM a").await;
    capture.until_rows(1).await;
    capture.source.remove().await.unwrap();
}

async fn with_role(setup: &Setup, role: &str) -> Options {
    let known = setup.sql.query("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&role]).await.unwrap();
    if known.is_empty() {
        let _ = setup
            .sql
            .batch_execute(&format!("CREATE ROLE {role} LOGIN SUPERUSER REPLICATION PASSWORD 'correct horse'"))
            .await;
    }
    let mut options = setup.options(&["public.a"]);
    options.address.user = role.to_owned();
    options
}

#[tokio::test]
async fn a_unix_socket_works() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut options = setup.options(&["public.a"]);
    options.address.place = Place::Unix(cluster.dir.clone(), cluster.port);
    works(options, &setup).await;
}

/// TCP in the clear and the Unix socket: what a thread of its own reads.
fn plain_ways(setup: &Setup) -> [Options; 2] {
    let tcp = setup.options(&["public.a"]);
    let mut unix = tcp.clone();
    unix.address.place = Place::Unix(setup.cluster.dir.clone(), setup.cluster.port);
    [tcp, unix]
}

/// A closed source lets go of its slot, which can then be dropped.
async fn gone(setup: &Setup) {
    let drop = format!("SELECT pg_drop_replication_slot('lockstep_{}')", setup.name);
    let since = Instant::now();
    while setup.sql.batch_execute(&drop).await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(10), "a closed source holds its slot");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_change_after_a_silence_or_a_flood_comes_at_once() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    for options in plain_ways(&setup) {
        let mut capture = Capture::new(options);
        capture.open().await;
        capture.until_ready().await;
        let (mut rows, mut quickest) = (0, Duration::MAX);
        for round in 0..12 {
            if round == 6 {
                setup
                    .run("INSERT INTO a SELECT (SELECT max(id) FROM a) + n, 'many' FROM generate_series(1, 5000) n")
                    .await;
                rows += 5000;
                capture.until_rows(rows).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            setup.run("INSERT INTO a SELECT max(id) + 1, 'one' FROM a").await;
            let committed = Instant::now();
            rows += 1;
            while capture.count(|entry| matches!(entry, Entry::Row(_))) < rows {
                capture.pull().await;
            }
            quickest = quickest.min(committed.elapsed());
        }
        // A tenth of the second after which an idle source says so.
        assert!(quickest < Duration::from_millis(100), "{quickest:?}");
        drop(capture);
        gone(&setup).await;
    }
}

#[tokio::test]
async fn a_source_that_is_closed_lets_go_of_its_slot_and_a_cut_is_noticed() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    for options in plain_ways(&setup) {
        let mut capture = Capture::new(options);
        capture.open().await;
        capture.until_ready().await;
        let active = format!("FROM pg_replication_slots WHERE slot_name = 'lockstep_{}'", setup.name);
        setup.run(&format!("SELECT pg_terminate_backend(active_pid) {active}")).await;
        let since = Instant::now();
        while capture.source.next_batch().await.is_ok() {
            assert!(since.elapsed() < Duration::from_secs(10), "a cut connection goes unnoticed");
        }
        capture.crash_and_open().await;
        drop(capture);
        gone(&setup).await;
    }
}

#[tokio::test]
async fn scram_works_and_a_wrong_password_is_called_that() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut options = with_role(&setup, "scram").await;
    let refused = |options: Options| async move {
        match PostgresSource::new(options).open(ports::Resume::default()).await {
            Err(OpenFault::Fault(fault)) => fault,
            _ => panic!("let in"),
        }
    };
    let none = refused(options.clone()).await;
    assert!(none.failure == Failure::Misconfigured && none.to_string().contains("password"), "{none}");
    options.password = Some(Secret::new("wrong horse"));
    let wrong = refused(options.clone()).await;
    assert!(wrong.failure == Failure::Misconfigured && !wrong.unreachable, "{wrong}");
    assert!(wrong.what.contains("28P01") && wrong.cure.contains("password"), "{wrong}");
    options.password = Some(Secret::new("correct horse\n"));
    works(options, &setup).await;
}

#[tokio::test]
async fn tls_works_and_an_impostor_is_refused() {
    let Some(cluster) = cluster() else { return };
    if !cluster.tls {
        println!("skipped: this build of PostgreSQL has no TLS");
        return;
    }
    let setup = Setup::new(cluster, TABLE).await;
    let mut options = with_role(&setup, "tls").await;
    options.address.tls = Tls::Require;
    works(options.clone(), &setup).await;
    setup.run(&format!("CREATE PUBLICATION lockstep_{} FOR ALL TABLES", setup.name)).await;
    options.address.tls = Tls::VerifyFull;
    let ca = std::process::Command::new("cat").arg(cluster.dir.join("ca.pem")).output().unwrap().stdout;
    options.ca = Some(ca);
    works(options.clone(), &setup).await;
    // The same server under a name that its certificate does not have.
    options.address.place = Place::Tcp("localhost".into(), cluster.port);
    let problems = PostgresSource::new(options.clone()).prerequisites().await.unwrap();
    assert!(problems.len() == 1 && problems[0].what.contains("TLS"), "{problems:?}");
    // And without TLS the server itself refuses.
    options.address.place = Place::Tcp("127.0.0.1".into(), cluster.port);
    options.address.tls = Tls::Disable;
    let problems = PostgresSource::new(options).prerequisites().await.unwrap();
    assert!(problems.len() == 1 && problems[0].cure.contains("pg_hba.conf"), "{problems:?}");
}

#[tokio::test]
async fn a_server_that_is_down_or_has_no_such_database_is_told_apart() {
    let Some(cluster) = cluster() else { return };
    let setup = Setup::new(cluster, TABLE).await;
    let mut options = setup.options(&["public.a"]);
    options.address.database = "nowhere".into();
    let problems = PostgresSource::new(options.clone()).prerequisites().await.unwrap();
    assert!(problems.len() == 1 && problems[0].cure.contains("database") && !problems[0].unreachable, "{problems:?}");
    options.address.place = Place::Tcp("127.0.0.1".into(), 1);
    let problems = PostgresSource::new(options).prerequisites().await.unwrap();
    assert!(
        problems.len() == 1 && problems[0].unreachable && problems[0].failure == Failure::Transient,
        "{problems:?}"
    );
}
