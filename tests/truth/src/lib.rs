//! Truth against the database: random SQL from several sessions, kills of the engine, and after every round the journal,
//! folded by a fold of our own ([`fold`]), is what `SELECT *` says of every captured table ([`tables`]).
//!
//! A round: users and a DBA at work ([`sql`]) while the engine is killed and started; then quiet, until everything is read and
//! captured; then the engine is stopped or killed, and its journal is read. What a person is asked on the way (a truncated
//! table, too many rows gone) is answered as it is asked.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a harness: its panic is the report of the test")]

pub mod fold;
pub mod sql;
pub mod tables;
pub mod users;

use e2e::{Cluster, Engine, Flag, PATIENCE, Settings, Target, postgres};
use sandbox::Random;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Users beside each other.
const SESSIONS: u64 = 3;
/// How often the source looks at what is published, and a little more: an `ALTER TABLE` may be learnt from nothing else.
const LOOKED: Duration = Duration::from_millis(3_600);

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Rounds whose journal was the truth.
    pub rounds: u64,
    /// Statements that the server took.
    pub statements: u64,
    /// Those that it refused, or that were aborted with their transaction.
    pub refused: u64,
    /// Kills of the engine.
    pub kills: u64,
    /// Questions that were answered.
    pub answers: u64,
    /// Entries of the journal at the end.
    pub entries: u64,
    /// Rows that were compared, all rounds together.
    pub rows: u64,
}

/// A database, a pipeline that captures only, and what it needs.
pub struct Truth {
    engine: Engine,
    cluster: Cluster,
    _target: Target,
    dice: Random,
    seed: u64,
    summary: Summary,
    folder: tempfile::TempDir,
}

impl Truth {
    /// Everything up, the engine not yet started.
    pub fn new(seed: u64) -> Truth {
        let folder = tempfile::Builder::new().prefix("ls-truth-").tempdir().unwrap();
        let cluster = Cluster::start();
        cluster.try_sql("postgres", "CREATE DATABASE ehr").unwrap();
        cluster.run(tables::SQL);
        let all = tables::NAMES.join(", ");
        cluster.run(&format!("CREATE ROLE capture LOGIN REPLICATION PASSWORD '{}'", postgres::PASSWORD));
        cluster.run(&format!("GRANT SELECT ON {all} TO capture; CREATE PUBLICATION lockstep_clinic FOR TABLE {all}"));
        let target = Target::start(folder.path(), Flag::Spec);
        let mut settings = Settings::new(cluster.tcp_url(), target.base_url(), "sandbox");
        settings.tables = tables::NAMES.map(str::to_owned).to_vec();
        (settings.chunk_rows, settings.segment_bytes) = (37, 1 << 20);
        let engine = Engine::create(folder.path(), settings);
        Truth { engine, cluster, _target: target, dice: Random::new(seed), seed, summary: Summary::default(), folder }
    }

    /// So many rounds; every difference of the first round that has some.
    pub fn run(&mut self, rounds: u64, mut behind: impl FnMut(&Summary)) -> Result<Summary, String> {
        for round in 0..rounds {
            self.round(round);
            self.compare(round)?;
            self.summary.rounds += 1;
            behind(&self.summary);
        }
        Ok(self.summary)
    }

    /// Keeps the folder of configuration, data and outputs; its name.
    pub fn keep(&mut self) -> String {
        self.folder.disable_cleanup(true);
        self.folder.path().display().to_string()
    }

    fn round(&mut self, round: u64) {
        let users: Vec<users::User> = (0..SESSIONS)
            .map(|session| users::User::start(self.cluster.writer_url(), self.seed, round, session))
            .collect();
        for _ in 0..=self.dice.below(2) {
            self.engine.start();
            std::thread::sleep(Duration::from_millis(100 + self.dice.below(900)));
            self.engine.kill();
            self.summary.kills += 1;
        }
        self.engine.start();
        std::thread::sleep(Duration::from_millis(self.dice.below(500)));
        for user in users {
            let (taken, refused) = user.stop();
            self.summary.statements += taken;
            self.summary.refused += refused;
        }
        self.quiet();
        if self.dice.below(2) == 0 {
            self.engine.kill();
            self.summary.kills += 1;
        } else {
            self.engine.stop();
        }
    }

    /// Waits until everything is captured, every table is read, and nobody asks anything, for as long as a look takes.
    fn quiet(&mut self) {
        let (lsn, started) = (self.cluster.lsn(), Instant::now());
        let mut since = None;
        loop {
            assert!(started.elapsed() < PATIENCE, "{}", self.engine.log_text());
            assert!(!self.engine.has_ended(), "it ended\n{}", self.engine.log_text());
            std::thread::sleep(Duration::from_millis(100));
            let Some(status) = self.engine.status() else { continue };
            if status["held"].as_u64() > Some(0) {
                self.answer();
            }
            let streaming = status["source"]["state"] == "streaming";
            let halts = status["halts"].as_array().is_none_or(|halts| !halts.is_empty());
            if !streaming || halts || !e2e::engine::is_settled(&status, lsn) {
                since = None;
            } else if since.get_or_insert_with(Instant::now).elapsed() > LOOKED {
                return;
            }
        }
    }

    /// Answers everything that is asked, with any answer that fits.
    fn answer(&mut self) {
        let items = self.engine.cli(&["held", "ls", "--json"]).exits(0).json();
        for item in items.iter().flat_map(|item| item.as_array().cloned().unwrap_or_else(|| vec![item.clone()])) {
            let answers: Vec<&str> =
                item["answers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let (Some(hold), false) = (item["hold"].as_str(), answers.is_empty()) else { continue };
            let at = usize::try_from(self.dice.below(answers.len() as u64)).unwrap();
            let said = self.engine.cli(&["held", "answer", hold, answers[at], "--reason", "the truth is asked for"]);
            self.summary.answers += u64::from(said.code == 0);
        }
    }

    fn compare(&mut self, round: u64) -> Result<(), String> {
        let columns = tables::columns(&self.cluster);
        let (folded, entries) = fold::folded(&self.engine.data_dir().join("journal"), &columns);
        self.summary.entries = entries as u64;
        let mut differences = Vec::new();
        for (table, columns) in &columns {
            let (selected, folded) = (tables::selected(&self.cluster, table, columns), &folded[table]);
            self.summary.rows += selected.len() as u64;
            differences
                .extend(selected.difference(folded).map(|line| format!("{table}: in the database only: {line}")));
            differences
                .extend(folded.difference(&selected).map(|line| format!("{table}: in the journal only: {line}")));
        }
        if differences.is_empty() {
            return Ok(());
        }
        let (count, seed) = (differences.len(), self.seed);
        differences.truncate(12);
        let differences = differences.join("\n");
        Err(format!(
            "round {round} of seed {seed}: {count} differences\n{differences}\ncargo x truth --seed {seed} --rounds {}",
            round + 1
        ))
    }
}

/// A seed from the clock.
pub fn any_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| u64::try_from(since.as_micros() % 1_000_000_007).unwrap_or(1))
}
