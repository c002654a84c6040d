//! The suite of the port, on this connector.

use crate::{
    capture::Setup,
    cluster::{Cluster, cluster},
};
use conformance::source::{Fenced, System, suite};
use lockstep_postgres::{Options, PostgresFences, PostgresSource};
use model::{SystemId, TableName};
use ports::{Boxed, FenceSource, Source};
use std::{collections::BTreeMap, time::Duration};

const TABLES: &str = "CREATE TABLE a (id int8 PRIMARY KEY, name text); CREATE TABLE b (id int8 PRIMARY KEY, n numeric)";
const CAPTURED: [&str; 2] = ["public.a", "public.b"];

/// A database with two tables; few rows a chunk, so that a first read has several.
struct Database {
    setup: Setup,
    options: Options,
}

impl Database {
    async fn new(cluster: &'static Cluster) -> Database {
        let setup = Setup::new(cluster, TABLES).await;
        let heartbeat = Duration::from_millis(200);
        let options = Options { chunk_rows: 7, heartbeat, ..setup.options(&CAPTURED) };
        Database { setup, options }
    }
}

impl System for Database {
    fn name(&self) -> SystemId {
        "legacy".into()
    }

    fn wanted(&self) -> Box<str> {
        self.options.name().into()
    }

    fn source(&mut self) -> Box<dyn Source> {
        Box::new(PostgresSource::new(self.options.clone()))
    }

    fn commit(&mut self, n: u64, rows: u64) -> Boxed<'_, ()> {
        Box::pin(async move {
            let mut sql = String::from("BEGIN;");
            for row in 0..rows {
                let id = n * 10 + row;
                let set = "ON CONFLICT (id) DO UPDATE SET";
                sql += &format!("INSERT INTO a VALUES ({id}, 'n{n}') {set} name = excluded.name;");
                sql += &match row % 3 {
                    0 => format!("INSERT INTO b VALUES ({}, {n}.5) {set} n = excluded.n;", id % 17),
                    1 => format!("UPDATE a SET name = 'again' WHERE id = {};", id.saturating_sub(20)),
                    _ => format!("DELETE FROM a WHERE id % 7 = {};", n % 7),
                };
            }
            self.setup.run(&(sql + "COMMIT")).await;
        })
    }

    fn fence(&mut self) -> Boxed<'_, Fenced> {
        Box::pin(async move {
            let mut fence = PostgresFences::new(self.options.clone()).fence(&mut |_| {}).await.unwrap();
            let mut tables = BTreeMap::new();
            for table in CAPTURED.map(TableName::from) {
                let page = fence.rows(&table, None, 10_000).await.unwrap();
                tables.insert(table, page.rows.into_iter().collect());
            }
            Fenced { position: fence.position(), tables }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connector_keeps_the_contract() {
    let Some(cluster) = cluster() else { return };
    suite(async || Database::new(cluster).await).await;
}
