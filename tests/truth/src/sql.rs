//! Random statements of users and of a DBA, from a seed. Values are numbers of the seed, long texts begin with what they are.

use sandbox::Random;
use std::fmt::Write as _;

/// A session's own statements.
pub struct Statements {
    dice: Random,
    session: u64,
    made: u64,
}

/// What a session does next.
pub enum Next {
    /// One statement.
    Run(String),
    /// So many milliseconds of thinking, in the middle of whatever is open.
    Wait(u64),
    /// The connection is dropped with whatever is open.
    Leave,
}

const TABLES: [&str; 4] = ["wide", "pair", "whole", "slow"];
/// Each takes the text `7`.
const TYPES: [&str; 6] = ["int", "text", "numeric", "jsonb", "bytea", "bigint"];
/// Wider than before, or the same again.
const WIDER: [&str; 7] = [
    "wide ALTER COLUMN a TYPE bigint",
    "pair ALTER COLUMN n TYPE int",
    "pair ALTER COLUMN n TYPE bigint",
    "pair ALTER COLUMN b TYPE varchar(900)",
    "pair ALTER COLUMN b TYPE text",
    "slow ALTER COLUMN a TYPE numeric",
    "wide ALTER COLUMN h TYPE double precision",
];

impl Statements {
    /// Of the session with this number in this round.
    pub fn new(seed: u64, round: u64, session: u64) -> Statements {
        let dice = Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (round << 8) ^ session);
        Statements { dice, session: round * 10 + session, made: 0 }
    }

    /// One transaction, from its beginning to its end; one in five is aborted.
    pub fn transaction(&mut self) -> Vec<Next> {
        let mut all = Vec::new();
        if self.one_in(4) {
            all.push(Next::Run(self.change()));
            return all;
        }
        all.push(Next::Run("BEGIN".to_owned()));
        for _ in 0..=self.dice.below(6) {
            self.inside(&mut all, 0);
        }
        all.push(match self.dice.below(20) {
            0 => Next::Leave,
            1..=3 => Next::Run("ROLLBACK".to_owned()),
            _ => Next::Run("COMMIT".to_owned()),
        });
        all
    }

    /// A statement, a pause, or a savepoint with more of them.
    fn inside(&mut self, all: &mut Vec<Next>, depth: u64) {
        match self.dice.below(12) {
            0 => {
                let most = if self.one_in(6) { 900 } else { 40 };
                all.push(Next::Wait(self.dice.below(most)));
            }
            1 | 2 if depth < 3 => {
                all.push(Next::Run(format!("SAVEPOINT s{depth}")));
                for _ in 0..=self.dice.below(3) {
                    self.inside(all, depth + 1);
                }
                let end = if self.one_in(2) { "ROLLBACK TO" } else { "RELEASE" };
                all.push(Next::Run(format!("{end} s{depth}")));
            }
            3 if self.one_in(3) => all.push(Next::Run(guarded(&self.ddl()))),
            _ => all.push(Next::Run(guarded(&self.change()))),
        }
    }

    /// What a DBA does on its own.
    pub fn ddl(&mut self) -> String {
        let (table, x, y) = (self.table(), self.dice.below(5), self.dice.below(5));
        match self.dice.below(10) {
            0..=2 => {
                let default = if self.one_in(2) { " DEFAULT '7'" } else { "" };
                format!("ALTER TABLE {table} ADD COLUMN x{x} {}{default}", self.one_of(&TYPES))
            }
            3 | 4 => format!("ALTER TABLE {table} DROP COLUMN x{x}"),
            5 | 6 => format!("ALTER TABLE {table} RENAME x{x} TO x{y}"),
            7 => format!("ALTER TABLE {}", self.one_of(&WIDER)),
            8 => format!("ALTER TABLE {table} REPLICA IDENTITY {}", self.one_of(&["FULL", "DEFAULT"])),
            _ if self.one_in(4) => format!("TRUNCATE {table}"),
            _ => format!("ALTER TABLE {table} ALTER COLUMN x{x} SET DEFAULT '8'"),
        }
    }

    fn change(&mut self) -> String {
        let table = self.table();
        let some = self.some();
        match self.dice.below(13) {
            0..=2 => self.insert(table),
            3 => self.copy(table),
            4 | 5 => format!("UPDATE {table} SET a = a + {} WHERE {some}", self.dice.below(100)),
            6 => format!("UPDATE {table} SET b = {} WHERE {some}", self.long()),
            7 => self.new_key(table),
            8 => format!("DELETE FROM {table} WHERE {some}"),
            9 => format!("UPDATE {table} SET x{} = '7{}' WHERE {some}", self.dice.below(5), self.dice.below(9)),
            10 => self.ugly(),
            11 => format!("DELETE FROM {table} WHERE {some}; {}", self.insert(table)),
            _ => self.upsert(table),
        }
    }

    /// Values at the edges of their types.
    fn ugly(&mut self) -> String {
        let value = self.one_of(&[
            "d = 'infinity', e = '-infinity'",
            "d = '0001-01-01', e = '0001-01-01 00:00:00+00'",
            "c = 'NaN'",
            "c = 0.000000000000000000000000000001",
            "c = 12345678901234567890.10",
            "a = NULL, b = NULL, c = NULL, d = NULL, e = NULL, f = NULL, g = NULL, h = NULL, j = NULL, k = NULL",
            "b = ''",
            "b = E'tab\\t nl\\n quote'' back\\\\slash \\u00e9 \\u4e2d \\U0001F600'",
            "f = ''",
            "h = 'NaN'",
            "h = 0.1",
            "j = '{\"b\": 1, \"a\": [null, 1.50, \"x\"]}'",
            "k = '{1,NULL,3}'",
            "k = '{}'",
            "t = '23:59:59.999999', z = '9999-12-31 23:59:59.999999'",
            "t = '24:00', z = 'infinity'",
            "g = NOT g",
            "e = '2024-02-29 12:34:56.789+05:30'",
        ]);
        let value = value.replace("z = 'infinity'", "z = '1582-10-04'").replace("t = '24:00'", "t = '00:00'");
        format!("UPDATE wide SET {value} WHERE {}", self.some())
    }

    /// Some rows of any table: all have `id` and `a`.
    fn some(&mut self) -> String {
        let from = self.dice.below(200);
        match self.dice.below(4) {
            0 => format!("id = {from}"),
            1 => format!("id BETWEEN {from} AND {}", from + self.dice.below(30)),
            2 => format!("id % 17 = {}", from % 17),
            _ => format!("a % 13 = {}", from % 13),
        }
    }

    fn insert(&mut self, table: &str) -> String {
        let from = self.dice.below(200);
        let to = from + if self.one_in(3) { self.dice.below(40) } else { 0 };
        let (columns, values) = self.row(table, "n");
        format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series({from}, {to}) n ON CONFLICT DO NOTHING"
        )
    }

    fn upsert(&mut self, table: &str) -> String {
        let from = self.dice.below(200);
        let (columns, values) = self.row(table, "n");
        let key = match table {
            "wide" => "id",
            "pair" => "id, k2",
            _ => "key",
        };
        format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series({from}, {}) n ON CONFLICT ({key}) \
             DO UPDATE SET a = {table}.a + 1, b = excluded.b",
            from + self.dice.below(12)
        )
    }

    /// Columns and values of the row with this number.
    fn row(&mut self, table: &str, n: &str) -> (&'static str, String) {
        let (a, long, moment) = (self.dice.below(1000), self.long(), self.dice.below(1_000_000_000));
        match table {
            "wide" => (
                "id, a, b, c, d, e, f, g, h, j, k, t, z",
                format!(
                    "{n}, {a}, {long}, {n} * 1.10, date '2020-01-01' + {n}::int, to_timestamp({moment} + {n} * 0.001), \
                     decode(md5({n}::text), 'hex'), {n} % 2 = 0, {n} / 7.0, jsonb_build_object('n', {n}), ARRAY[{n}::int, 2], \
                     time '01:02:03.5', timestamp '2021-01-01' + {n} * interval '1 hour'"
                ),
            ),
            "pair" => ("id, k2, a, b, n", format!("{n} % 40, 'k' || {n}, {a}, left({long}, 400), {n} % 100")),
            "whole" => ("key, id, a, b", format!("md5({n}::text)::uuid, {n}, {a}, {long}")),
            _ => ("key, id, a, b", format!("'Key ' || {n}, {n}, {a}, {long}")),
        }
    }

    fn copy(&mut self, table: &str) -> String {
        let from = 200 + self.dice.below(100);
        let line = match table {
            "wide" => "id, a, b) FROM PROGRAM 'for i in LIST; do printf \"%d\\t5\\tcopied %d\\n\" $i $i; done'",
            "pair" => "id, k2, a, b) FROM PROGRAM 'for i in LIST; do printf \"%d\\tc%d\\t5\\tcopied\\n\" $i $i; done'",
            "whole" => {
                "key, id, a) FROM PROGRAM 'for i in LIST; do printf \"00000000-0000-4000-8000-%012d\\t%d\\t5\\n\" $i $i; done'"
            }
            _ => "key, id, a, b) FROM PROGRAM 'for i in LIST; do printf \"copied %d\\t%d\\t5\\t\\n\" $i $i; done'",
        };
        let list = (from..=from + self.dice.below(6)).fold(String::new(), |mut list, n| {
            write!(list, "{n} ").expect("a string takes all");
            list
        });
        format!("COPY {table} ({}", line.replace("LIST", &list))
    }

    /// Rows get another key; what had it before may be there in another row by then.
    fn new_key(&mut self, table: &str) -> String {
        let (some, by) = (self.some(), 1 + self.dice.below(300));
        match table {
            "wide" => format!("UPDATE wide SET id = id + {by} WHERE {some}"),
            "pair" => format!("UPDATE pair SET k2 = k2 || '{by}', a = a + 1 WHERE {some}"),
            "whole" => format!("UPDATE whole SET key = md5(key::text || '{by}')::uuid WHERE {some}"),
            _ => format!("UPDATE slow SET key = left(key, 40) || ' {by}' WHERE {some}"),
        }
    }

    /// A text that no other statement makes; often one that is stored out of line.
    fn long(&mut self) -> String {
        self.made += 1;
        let times = if self.one_in(3) { 100 + self.dice.below(200) } else { 1 };
        format!("repeat(md5('{} {}'), {times})", self.session, self.made)
    }

    fn table(&mut self) -> &'static str {
        self.one_of(&TABLES)
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.dice.below(all.len() as u64)).unwrap_or(0);
        all[at]
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.dice.below(n) == 0
    }
}

/// Whose failure does not abort what is open: a subtransaction of its own.
fn guarded(sql: &str) -> String {
    format!("DO $do$ BEGIN {sql}; EXCEPTION WHEN OTHERS THEN NULL; END $do$")
}
