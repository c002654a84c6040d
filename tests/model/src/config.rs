//! The configurations: which peers, which faults, how much of each.

use crate::rules::{Rule, Rules};

/// Kinds of transaction that the source can commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tx {
    /// Sets row a.
    A,
    /// Sets row b.
    B,
    /// Deletes row a.
    DeleteA,
    /// Deletes row b.
    DeleteB,
    /// Sets both.
    Both,
    /// Sets row a and leaves its second column `Unchanged`.
    AUnchanged,
    /// Has no row of a captured table.
    Empty,
    /// Deletes row a and sets row b.
    DeleteASetB,
}

/// What others do at the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edit {
    /// A new content.
    Set,
    /// The content before the present one, as a new version.
    Undo,
    /// A deletion, which is a version.
    Delete,
    /// An expunge: version numbers begin again.
    Expunge,
    /// A create before ours.
    Create,
}

/// By what the target shows whose a version is (J28).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stamp {
    /// A stamp that is the effect's, the same at every attempt.
    Effect,
    /// A stamp that each start makes anew: what J28 forbids.
    Start,
    /// None: only the content can tell.
    Nothing,
}

/// Bounds and peers of one exploration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub name: &'static str,
    /// The rules in force.
    pub rules: Rules,
    /// What the source may commit.
    pub kinds: &'static [Tx],
    /// How many transactions.
    pub transactions: u8,
    /// How many different values.
    pub values: u8,
    /// The rows before the first transaction.
    pub rows: [u8; 2],
    /// How many crashes.
    pub crashes: u8,
    /// How many faults of the network.
    pub faults: u8,
    /// How many requests may be late at once.
    pub late: u8,
    /// How many edits by others.
    pub edits: u8,
    /// Which.
    pub edit_kinds: &'static [Edit],
    /// A restart may run code that decides otherwise.
    pub upgrade: bool,
    /// A crash may lose the slot.
    pub lose_slot: bool,
    /// A commit is visible later than it is in the log.
    pub slow_visible: bool,
    /// Appends are durable later than they are made.
    pub tails: bool,
    /// Fold and decide run at once.
    pub eager: bool,
    /// There is a target.
    pub target: bool,
    /// The first read is done.
    pub ready: bool,
    /// The target is a source, too.
    pub two_way: bool,
    /// Checkpoints are written.
    pub checkpoints: bool,
    /// The target honours a create guard.
    pub guard: bool,
    /// The target creates on `If-Match` of a missing resource.
    pub creates_by_match: bool,
    /// Nothing hinders a late twin.
    pub twins: bool,
    /// How versions are told apart.
    pub stamp: Stamp,
}

/// Capture alone, from the first slot on.
fn capture() -> Config {
    Config {
        name: "capture",
        rules: Rules::all(),
        kinds: &[Tx::A, Tx::B, Tx::DeleteA, Tx::DeleteB, Tx::Both],
        transactions: 2,
        values: 3,
        rows: [0x13, 0x13],
        crashes: 1,
        faults: 0,
        late: 0,
        edits: 0,
        edit_kinds: &[],
        upgrade: false,
        lose_slot: false,
        slow_visible: false,
        tails: true,
        eager: true,
        target: false,
        ready: false,
        two_way: false,
        checkpoints: false,
        guard: true,
        creates_by_match: false,
        twins: false,
        stamp: Stamp::Effect,
    }
}

/// Delivery behind a first read that is done, both logs durable at once.
fn target() -> Config {
    Config {
        name: "target",
        target: true,
        ready: true,
        eager: false,
        tails: false,
        rows: [0, 0],
        kinds: &[Tx::Both],
        ..capture()
    }
}

/// Delivery of one unit, with a crash, a lost reply and a late request.
fn one_unit(name: &'static str) -> Config {
    Config { name, kinds: &[Tx::B], faults: 1, late: 1, edits: 1, edit_kinds: &[Edit::Set], ..target() }
}

/// Every configuration, whole.
pub fn all() -> Vec<Config> {
    let gap = &[Tx::A, Tx::DeleteA, Tx::Both];
    let edited: &[Edit] = &[Edit::Set, Edit::Delete];
    let raced: &[Edit] = &[Edit::Set, Edit::Create];
    vec![
        Config { crashes: 2, ..capture() },
        Config { name: "capture-unchanged", kinds: &[Tx::A, Tx::DeleteA, Tx::Both, Tx::AUnchanged], ..capture() },
        Config { name: "capture-visible", slow_visible: true, kinds: gap, ..capture() },
        Config { name: "capture-gap", lose_slot: true, kinds: gap, crashes: 2, ready: true, rows: [0, 0], ..capture() },
        Config { name: "capture-keepalive", kinds: &[Tx::A, Tx::Both, Tx::Empty], ..capture() },
        Config { name: "upgrade", kinds: &[Tx::A, Tx::Both, Tx::DeleteASetB], upgrade: true, tails: true, ..target() },
        Config { crashes: 0, faults: 1, late: 1, edits: 1, edit_kinds: edited, ..target() },
        Config {
            name: "target-deletes",
            kinds: &[Tx::B, Tx::DeleteB],
            faults: 2,
            late: 1,
            edits: 2,
            edit_kinds: edited,
            ..target()
        },
        Config { kinds: &[Tx::Both], edit_kinds: raced, transactions: 1, ..one_unit("target-create-race") },
        Config { name: "target-small", tails: true, kinds: &[Tx::B], checkpoints: true, ..target() },
        Config { tails: true, crashes: 2, edit_kinds: raced, transactions: 3, ..one_unit("target-tails") },
        Config { guard: false, edit_kinds: raced, ..one_unit("target-no-guard") },
        Config { rules: Rules::all().without(&[Rule::Lifetime]), twins: true, guard: false, ..one_unit("target-twin") },
        Config {
            creates_by_match: true,
            late: 0,
            edits: 2,
            edit_kinds: &[Edit::Set, Edit::Expunge],
            ..one_unit("target-creates-by-match")
        },
        Config {
            stamp: Stamp::Nothing,
            values: 2,
            edits: 2,
            edit_kinds: &[Edit::Set, Edit::Undo],
            transactions: 3,
            ..one_unit("target-hash")
        },
        Config { two_way: true, stamp: Stamp::Nothing, ..one_unit("two-way-hash") },
        Config { two_way: true, edits: 2, ..one_unit("two-way") },
    ]
}

/// Every configuration with few enough states for each run of the tests; those that are small already are whole.
pub fn bounded() -> Vec<Config> {
    all().into_iter().map(Config::bounded).collect()
}

impl Config {
    /// The same with fewer transactions, kinds or crashes where there are millions of states.
    fn bounded(self) -> Config {
        match self.name {
            "capture" => Config { crashes: 1, kinds: &[Tx::A, Tx::DeleteA, Tx::Both], transactions: 1, ..self },
            "capture-unchanged" => Config { kinds: &[Tx::A, Tx::AUnchanged], ..self },
            "capture-visible" => Config { kinds: &[Tx::A], ..self },
            "capture-gap" => Config { crashes: 1, kinds: &[Tx::DeleteA, Tx::Both], ..self },
            "capture-keepalive" => Config { kinds: &[Tx::A, Tx::Empty], ..self },
            "upgrade" => Config { transactions: 1, ..self },
            "target" => Config { late: 0, ..self },
            "target-tails" => Config { transactions: 2, ..self },
            _ => self,
        }
    }
}

/// The configuration in which the stamp is made anew at each start (J28 taken away).
pub fn stamp_of_the_start() -> Config {
    Config { stamp: Stamp::Start, ..one_unit("target-stamp-of-the-start") }
}

/// The configuration of this name, whole.
pub fn named(name: &str) -> Option<Config> {
    all().into_iter().chain([stamp_of_the_start()]).find(|config| config.name == name)
}
