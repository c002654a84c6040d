//! Writes to the legacy clinic the way its users would: seeded, in transactions, with rolled-back and held-open ones among them.
//!
//! Knows nothing of Lockstep and leaves nothing in the database but rows of `clinic.sql`. One connection works, a second one
//! holds transactions open; no two transactions ever wait for each other, because a held one only inserts.

mod plan;
mod rows;

use crate::random::Random;
use plan::{ACTS, Change, Clinic, HELD_ONE_IN};
use rows::Connection;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The clinic's tables.
pub const CLINIC_SQL: &str = include_str!("../clinic.sql");

/// How often each act comes, in parts of the sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(Vec<(&'static str, u32)>);

impl Default for Mix {
    fn default() -> Mix {
        Mix(ACTS.to_vec())
    }
}

impl std::str::FromStr for Mix {
    type Err = String;

    /// `vitals=40,correct=10`; what is not named does not come.
    fn from_str(text: &str) -> Result<Mix, String> {
        let mut mix = Vec::new();
        for pair in text.split(',') {
            let (name, weight) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not name=weight"))?;
            let known = ACTS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
                let names: Vec<&str> = ACTS.iter().map(|(name, _)| *name).collect();
                format!("`{name}` is none of {}", names.join(", "))
            })?;
            mix.push((known.0, weight.parse().map_err(|_| format!("`{weight}` is not a weight"))?));
        }
        if mix.iter().all(|(_, weight)| *weight == 0) { Err("every weight is 0".to_owned()) } else { Ok(Mix(mix)) }
    }
}

/// When the writer is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After so many transactions.
    Transactions(u64),
    /// After so long.
    Seconds(u64),
}

/// What to write.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The same seed over the same rows makes the same changes.
    pub seed: u64,
    /// Transactions a second; none = as fast as they go.
    pub rate: Option<f64>,
    /// When to end.
    pub limit: Limit,
    /// What comes how often.
    pub mix: Mix,
}

/// What was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Committed transactions.
    pub transactions: u64,
    /// Transactions that were rolled back.
    pub rolled_back: u64,
    /// Transactions that were held open while others went on.
    pub held_open: u64,
    /// Committed rows.
    pub inserted: u64,
    /// Committed rows.
    pub updated: u64,
    /// Committed rows.
    pub deleted: u64,
    /// How often each act came.
    pub acts: BTreeMap<&'static str, u64>,
}

/// Why the writer stopped early.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// No connection.
    #[error(
        "cannot connect to the clinic: {0}; is PostgreSQL up, and does the URL name a database with clinic.sql in it?"
    )]
    Connect(#[source] tokio_postgres::Error),
    /// The connection broke, or a statement was refused; the last commit may or may not stand.
    #[error("a statement failed ({source}); connect again to go on from what is there")]
    Lost {
        /// What was committed before.
        done: Box<Summary>,
        /// What the driver said.
        source: tokio_postgres::Error,
    },
}

/// A writer with its two connections.
pub struct Writer {
    main: Connection,
    side: Connection,
    clinic: Clinic,
}

/// A transaction that is open on the side connection.
struct Held {
    changes: Vec<Change>,
    /// Ends after so many more transactions.
    left: u64,
    commits: bool,
}

impl Writer {
    /// Connects to a database that holds the clinic's tables, and looks at what is in them.
    pub async fn connect(url: &str) -> Result<Writer, WriterError> {
        let main = Connection::open(url).await.map_err(WriterError::Connect)?;
        let side = Connection::open(url).await.map_err(WriterError::Connect)?;
        let clinic = main.clinic().await.map_err(WriterError::Connect)?;
        Ok(Writer { main, side, clinic })
    }

    /// Makes the tables in an empty database.
    pub async fn create_tables(url: &str) -> Result<(), WriterError> {
        rows::run(url, CLINIC_SQL).await.map_err(WriterError::Connect)
    }

    /// Writes until the limit, or until `stop` is set.
    pub async fn run(&mut self, plan: &Plan, stop: &AtomicBool) -> Result<Summary, WriterError> {
        let mut done = Summary::default();
        match self.work(plan, stop, &mut done).await {
            Ok(()) => Ok(done),
            Err(source) => Err(WriterError::Lost { done: Box::new(done), source }),
        }
    }

    async fn work(&mut self, plan: &Plan, stop: &AtomicBool, done: &mut Summary) -> Result<(), tokio_postgres::Error> {
        let (mut random, started) = (Random::new(plan.seed), Instant::now());
        let mut held: Option<Held> = None;
        let mut tried = 0;
        while !stop.load(Ordering::Relaxed) && !over(plan.limit, tried, started) {
            let act = choose(&plan.mix, &mut random);
            *done.acts.entry(act).or_default() += 1;
            for changes in plan::plan(act, &mut random, &mut self.clinic) {
                tried += 1;
                if let Some(rate) = plan.rate {
                    tokio::time::sleep_until(started + Duration::from_secs_f64(tried as f64 / rate)).await;
                }
                let inserts = changes.iter().all(|change| matches!(change, Change::Observation(_)));
                if held.is_none() && inserts && act == "vitals" && random.below(HELD_ONE_IN) == 0 {
                    self.side.begin(&changes).await?;
                    held = Some(Held { changes, left: 3 + random.below(30), commits: random.chance(0.7) });
                } else {
                    self.main.begin(&changes).await?;
                    self.main.end(act != "rolled_back").await?;
                    self.settle(&changes, act != "rolled_back", done);
                }
            }
            if let Some(open) = &mut held {
                open.left = open.left.saturating_sub(1);
            }
            if held.as_ref().is_some_and(|open| open.left == 0) {
                self.release(held.take(), done).await?;
            }
        }
        self.release(held, done).await
    }

    async fn release(&mut self, held: Option<Held>, done: &mut Summary) -> Result<(), tokio_postgres::Error> {
        let Some(held) = held else { return Ok(()) };
        self.side.end(held.commits).await?;
        done.held_open += 1;
        self.settle(&held.changes, held.commits, done);
        Ok(())
    }

    fn settle(&mut self, changes: &[Change], committed: bool, done: &mut Summary) {
        if !committed {
            done.rolled_back += 1;
            return;
        }
        done.transactions += 1;
        self.clinic.learn(changes);
        for change in changes.iter().take_while(|change| !matches!(change, Change::Savepoint)) {
            *rows::counted(change, done) += 1;
        }
    }
}

fn over(limit: Limit, tried: u64, started: Instant) -> bool {
    match limit {
        Limit::Transactions(most) => tried >= most,
        Limit::Seconds(most) => started.elapsed() >= Duration::from_secs(most),
    }
}

fn choose(mix: &Mix, random: &mut Random) -> &'static str {
    let sum: u64 = mix.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut left = random.below(sum);
    for (act, weight) in &mix.0 {
        match left.checked_sub(u64::from(*weight)) {
            Some(rest) => left = rest,
            None => return act,
        }
    }
    "admit"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_names_its_acts() {
        let mix: Mix = "vitals=3,correct=1".parse().unwrap();
        let mut random = Random::new(1);
        let chosen: Vec<&str> = (0..100).map(|_| choose(&mix, &mut random)).collect();
        assert!(chosen.iter().all(|act| matches!(*act, "vitals" | "correct")));
        assert!(chosen.contains(&"correct"));
        for wrong in ["vitals", "vitals=x", "nothing=1", "vitals=0"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }
}
