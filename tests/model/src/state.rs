//! What a state of the model is made of. Everything is small and hashed, so numbers are bytes.

use crate::{
    config::{Edit, Tx},
    property::Property,
};

/// A place in the source's log; 0 is before the first transaction.
pub(crate) type Lsn = u8;
/// A place in a log of ours, from 0.
pub(crate) type Place = u8;
/// The number of a decision of a unit, from 1.
pub(crate) type Number = u8;
/// A version of a unit at the target, from 1; 0 is none.
pub(crate) type Version = u8;
/// Which unit.
pub(crate) type Unit = u8;
/// Which table, and so which row.
pub(crate) type Table = u8;

/// A row: low nibble one column, high nibble the other (0 is `Unchanged` in an event, unknown in the shadow); 0 is no row.
pub(crate) type Row = u8;
/// No event for that row.
pub(crate) const NONE: Row = 0xff;
/// What a unit says.
pub(crate) type Content = u16;
/// The root row is not there.
pub(crate) const INACTIVE: Content = 0x2000;
/// Decided by the other code.
pub(crate) const OTHER_CODE: Content = 0x8000;
/// The unit that joins both rows; unit 1 is row b alone.
pub(crate) const JOIN: usize = 0;

/// A row with an event on top.
pub(crate) fn merge(row: Row, event: Row) -> Row {
    if event != 0 && event >> 4 == 0 { event | (row & 0xf0) } else { event }
}

/// What the map makes of the rows.
pub(crate) fn map(unit: usize, rows: [Row; 2]) -> Content {
    let [a, b] = rows.map(Content::from);
    match unit {
        JOIN if a == 0 => INACTIVE,
        JOIN => 0x4000 | a | (b & 0xf) << 8,
        _ if b == 0 => INACTIVE,
        _ => 0x4000 | b,
    }
}

/// Whether the unit is made of that table's row.
pub(crate) fn reads(unit: usize, table: usize) -> bool {
    unit == JOIN || table == 1
}

/// An entry of the journal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Entry {
    Wanted,
    Started { at: Lsn },
    Chunk { table: Table, row: Row, low: Lsn, high: Lsn },
    Ready { table: Table },
    Row { table: Table, event: Row },
    Commit { at: Lsn, count: u8, table: Table, event: Row },
    Void,
    Heartbeat { at: Lsn },
    Acked { unit: Unit, number: Number, version: Version },
    Stale { unit: Unit, number: Number, current: Version, cite: Version, gone: bool },
    Resource { unit: Unit, version: Version },
}

/// What an effect is written over (J22).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Base {
    Create,
    After(Number),
    Version(Version),
}

/// A record of the decisions log: one step, one unit (J17).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Decision {
    pub(crate) input: Place,
    pub(crate) is_last: bool,
    pub(crate) unit: Unit,
    pub(crate) number: Number,
    pub(crate) base: Base,
    pub(crate) content: Content,
    pub(crate) cite: Version,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Outcome {
    Open,
    Acked(Version),
    Failed { current: Version, at: Place },
}

/// A line of the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Effect {
    pub(crate) decision: Decision,
    pub(crate) at: Place,
    pub(crate) outcome: Outcome,
}

/// What decide knows of a unit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Aggregate {
    pub(crate) content: Content,
    pub(crate) number: Number,
    pub(crate) base: Base,
    pub(crate) settled: Number,
    pub(crate) taken: Version,
    pub(crate) gone: bool,
    pub(crate) waiting: Vec<(Version, Number)>,
}

/// The state of the fold: a function of the journal up to `place` and of the recorded decisions.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Folded {
    pub(crate) place: Place,
    pub(crate) shadow: [Row; 2],
    pub(crate) as_of: [Lsn; 2],
    pub(crate) ready: [bool; 2],
    pub(crate) open: Vec<(Table, Row)>,
    pub(crate) passed: Lsn,
    pub(crate) marked: u8,
    pub(crate) forced: u8,
    pub(crate) cite: [Version; 2],
    pub(crate) units: [Aggregate; 2],
}

impl Folded {
    pub(crate) fn nothing() -> Folded {
        let unit = Aggregate {
            content: 0,
            number: 0,
            base: Base::Create,
            settled: 0,
            taken: 0,
            gone: false,
            waiting: Vec::new(),
        };
        Folded {
            place: 0,
            shadow: [0; 2],
            as_of: [0; 2],
            ready: [false; 2],
            open: Vec::new(),
            passed: 0,
            marked: 0,
            forced: 0,
            cite: [0; 2],
            units: [unit.clone(), unit],
        }
    }
}

/// Whose a version at the target is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum By {
    Ours { number: Number, start: u8 },
    Foreign,
    Deleted,
    Expunged,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Stored {
    pub(crate) content: Content,
    pub(crate) by: By,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Guard {
    Create,
    Match(Version),
    Bare,
}

/// A request on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Request {
    pub(crate) unit: Unit,
    pub(crate) number: Number,
    pub(crate) guard: Guard,
    pub(crate) content: Content,
    pub(crate) start: u8,
    pub(crate) late: bool,
}

/// What deliver does about a unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Flight {
    Idle,
    Waiting,
    NothingThere,
    Done,
}

/// A marked chunk that is being read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Reader {
    pub(crate) table: Table,
    pub(crate) stage: Stage,
    pub(crate) low: Lsn,
    pub(crate) row: Row,
    pub(crate) high: Lsn,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Stage {
    LowMarked,
    Read,
    HighMarked,
}

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    // The source: its log, up to where it is visible, what its slot has confirmed.
    pub(crate) log: Vec<[Row; 2]>,
    pub(crate) visible: Lsn,
    pub(crate) slot: Option<Lsn>,
    // Capture: the next transaction (0 is not streaming), rows of it that are appended, the exported snapshot, the reader.
    pub(crate) next: Lsn,
    pub(crate) rows_done: u8,
    pub(crate) exported: Option<Lsn>,
    pub(crate) reader: Option<Reader>,
    // The logs and up to where they are durable.
    pub(crate) journal: Vec<Entry>,
    pub(crate) journal_durable: Place,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) decisions_durable: Place,
    pub(crate) checkpoint: Place,
    pub(crate) folded: Folded,
    // Deliver.
    pub(crate) ledger: [Vec<Effect>; 2],
    pub(crate) ledger_place: Place,
    pub(crate) flight: [Flight; 2],
    pub(crate) suspect: [bool; 2],
    pub(crate) sent: Vec<(Unit, Number, Content)>,
    // The target and the way there.
    pub(crate) history: [Vec<Stored>; 2],
    pub(crate) net: Vec<Request>,
    // What happened so far.
    pub(crate) other_code: bool,
    pub(crate) crashes: u8,
    pub(crate) faults: u8,
    pub(crate) edits: u8,
    pub(crate) broken: Option<Property>,
}

/// One act: of the system, or of the world around it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Transaction(Tx),
    Publish,
    Want,
    CreateSlot,
    Start,
    ReadExported(Table),
    MarkLow(Table),
    ReadRows,
    MarkHigh,
    AppendChunk,
    AppendReady(Table),
    Ingest,
    Heartbeat,
    Confirm,
    SyncJournal,
    SyncDecisions,
    Fold,
    Decide,
    Checkpoint,
    Send(Unit),
    Arrive(u8),
    ReplyLost(u8),
    Lost(u8),
    Timeout(u8),
    LateArrives(u8),
    LateDropped(u8),
    LookForTwin(Unit),
    Capture(Unit),
    Edit(Unit, Edit),
    Crash { journal: Place, decisions: Place, other_code: bool, slot_lost: bool },
}

/// The length of a log or history that has a few dozen lines at most.
pub(crate) fn len<T>(lines: &[T]) -> u8 {
    u8::try_from(lines.len()).expect("a few dozen")
}
