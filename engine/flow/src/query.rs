//! What people ask a running flow: answers hold names, counts and texts, never a patient's value.

use crate::{
    apply::Listed, grounds::Grounds, input::Scope, ledger, meta::Phase, readiness, recover::Stage, reopen::SourceState,
    step::Flow, stored,
};
use model::{
    AggregateState, Answer, EntityName, EntryId, Incarnation, SourcePosition, SystemId, TableName, Timestamp, Unit,
    Verdict,
};
use ports::{StateTxn, TableResume};
use schemas::keys;

/// Where everything stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// The source.
    pub source: SourceStatus,
    /// The journal is durable through here.
    pub journal: EntryId,
    /// The decisions log is durable through here.
    pub decisions: EntryId,
    /// The next entry to be folded.
    pub folding: EntryId,
    /// `appended_at` of the entry that is being folded, or was last.
    pub folded_at: Timestamp,
    /// Why nothing is decided at the moment, if nothing is.
    pub blocked: Option<Blocked>,
    /// Effects decided and durable, without an outcome.
    pub unsettled: u64,
    /// .. of which wait for another unit's first acknowledgement.
    pub waiting: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Effects accepted since this process began.
    pub accepted: u64,
    /// Changes dropped as `stale` since this process began: an alarm if not 0 (J7).
    pub stale: u64,
    /// Units that wait for a row, and how many rows they wait for.
    pub waiting_units: (u64, u64),
    /// Units parked.
    pub parked: u64,
    /// Units, tables and entities held.
    pub held: u64,
    /// The map in force: name and hash, or why there is none.
    pub map: Result<(Box<str>, model::Hash), String>,
    /// What a map is compiled and compared with.
    pub grounds: Grounds,
    /// Parts that stopped.
    pub halts: Vec<Halt>,
}

/// The source's state.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Its system.
    pub system: SystemId,
    /// `opening`, `streaming`, `down`, `stopped`.
    pub state: &'static str,
    /// The life of its log.
    pub incarnation: Incarnation,
    /// Durable up to here.
    pub passed: Option<SourcePosition>,
    /// When the source committed what was folded last, by its own clock.
    pub committed_at: Option<Timestamp>,
    /// Tables and whether they were read whole (`ready`), with rows' chunks so far.
    pub tables: Vec<(TableName, bool, u64)>,
}

/// Why the fold does not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocked {
    /// A transaction of so many rows is being folded.
    Transaction {
        /// How many.
        rows: u64,
    },
    /// `effects_ahead_max` effects wait for their outcomes.
    EffectsAhead,
    /// A checkpoint waits for the decisions log.
    Checkpoint,
    /// Recovery is still folding.
    Recovery,
}

/// A part that stopped, and the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Halt {
    /// Which part.
    pub scope: Scope,
    /// What happened, and what a person can do.
    pub what: String,
}

/// Parked units of one cause.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParkedItem {
    /// The cause.
    pub cause: Box<str>,
    /// How many units.
    pub count: u64,
    /// The first of them.
    pub first: Unit,
}

/// A thing that others wait for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Awaited {
    /// A row that no log has told of.
    Row {
        /// Its entity in the map.
        entity: EntityName,
        /// The unit that it will be, if the map in force has the entity.
        unit: Option<Unit>,
    },
    /// The first acknowledgement of this unit by the target.
    Unit(Unit),
}

/// One thing that is waited for, whatever the number of those who wait (J31).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitingItem {
    /// What.
    pub on: Awaited,
    /// Why it is not there.
    pub why: String,
    /// How many units wait for it.
    pub count: u64,
    /// The one that has waited longest.
    pub first: Unit,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The entry whose decision waits longest.
    pub entry: Option<EntryId>,
}

/// Something that waits for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldItem {
    /// Names the hold in `held answer`: `source:legacy`, `table:public.patient`, `entity:patient`, `unit:Patient/…`.
    pub name: Box<str>,
    /// What is asked.
    pub question: Box<str>,
    /// The answers that are possible; none where only another map helps.
    pub answers: Vec<model::Answer>,
}

/// What is known of one unit.
#[derive(Clone, Debug)]
pub struct UnitView {
    /// Which.
    pub unit: Unit,
    /// Which entity of the map made it.
    pub entity: EntityName,
    /// Decisions so far.
    pub n: u64,
    /// The last verdict.
    pub verdict: Option<Verdict>,
    /// Addresses of its mapped fields, keys hashed away.
    pub fields: Vec<String>,
    /// The version last acknowledged at the target.
    pub version: Option<Box<str>>,
    /// The answers that fit, where a person must give one or may.
    pub answers: &'static [model::Answer],
    /// Effects without an outcome: decision number and what they wait for.
    pub unsettled: Vec<(u64, String)>,
}

impl Flow {
    /// Where everything stands.
    pub fn status(&self, state: &dyn StateTxn) -> Status {
        let listed = self.listed(state);
        let held =
            self.tables.state.values().filter(|table| table.question().is_some()).count() + self.holds.iter().count();
        let map = match &self.map {
            // Its activation may still be ahead in the fold.
            None if self.stage != Stage::Live => Err("not known yet: the logs are being folded".to_string()),
            None => Err("no map is in force: captures only; lockstep activate".to_string()),
            Some(active) if active.map.is_none() => {
                Err(self.halts.get(&Scope::Map).cloned().unwrap_or_else(|| "the map waits for its tables".into()))
            }
            Some(active) => Ok((active.name.clone(), active.hash)),
        };
        Status {
            source: self.source_status(),
            journal: self.journal_tail,
            decisions: self.decisions_tail,
            folding: self.place.input,
            folded_at: self.place.at,
            blocked: self
                .blocked
                .filter(|_| self.place.phase != Phase::Fresh || self.checkpoint_due || !self.is_live()),
            unsettled: self.deliver.unsettled as u64,
            waiting: self.deliver.waiting as u64,
            in_flight: self.deliver.in_flight as u64,
            accepted: self.deliver.accepted,
            stale: self.stale,
            waiting_units: self.count_waiting(state),
            parked: listed.iter().filter(|one| !one.held).count() as u64,
            held: (held + listed.iter().filter(|one| one.held).count()) as u64,
            map,
            grounds: self.grounds(),
            halts: self.halts(),
        }
    }

    fn source_status(&self) -> SourceStatus {
        let resume = &self.ingest.resume;
        let tables = resume.tables.iter().map(|(table, state)| match state {
            TableResume::Ready => (table.clone(), true, 0),
            TableResume::Open { next_chunk, .. } => (table.clone(), false, *next_chunk),
        });
        SourceStatus {
            system: self.config.source.system.clone(),
            state: match self.ingest.state {
                SourceState::Closed | SourceState::Preparing | SourceState::Opening => "opening",
                SourceState::Streaming => "streaming",
                SourceState::Down => "down",
                SourceState::Stopped => "stopped",
            },
            incarnation: resume.incarnation,
            passed: resume.passed,
            committed_at: self.committed_at,
            tables: tables.collect(),
        }
    }

    /// What is known of a unit; found by its id alone, so that the view names its true type.
    pub fn unit(&self, unit: &Unit, state: &dyn StateTxn) -> Option<UnitView> {
        let key = ledger::unit_key(unit.id, state)?;
        let aggregate: AggregateState = stored::get(state, &keys::aggregate(&key.entity, &key.key))?;
        let answers = reconcile::answers_of(&aggregate);
        Some(UnitView {
            unit: aggregate.unit,
            entity: key.entity.clone(),
            n: aggregate.n,
            verdict: aggregate.verdict,
            fields: aggregate.fields.0.keys().map(|address| format!("{address:?}")).collect(),
            version: ledger::held(&self.deliver.system, &key, state).version,
            answers,
            unsettled: self.deliver.describe(unit),
        })
    }

    /// Parked units, by cause.
    pub fn parked(&self, state: &dyn StateTxn) -> Vec<ParkedItem> {
        let mut items: Vec<ParkedItem> = Vec::new();
        for Listed { held, cause, unit } in self.listed(state) {
            match items.last_mut().filter(|item| item.cause == cause) {
                _ if held => {}
                Some(item) => item.count += 1,
                None => items.push(ParkedItem { cause, count: 1, first: unit }),
            }
        }
        items
    }

    /// Everything that waits for a person.
    pub fn held(&self, state: &dyn StateTxn) -> Vec<HeldItem> {
        let mut items = Vec::new();
        let mut add = |name: String, question: &str, answers: &[Answer]| {
            items.push(HeldItem { name: name.into(), question: question.into(), answers: answers.to_vec() });
        };
        if let Some((_, question)) = &self.ingest.gap {
            add(format!("source:{}", self.config.source.system), question, &[Answer::Accept]);
        }
        for (table, one) in &self.tables.state {
            if let Some(question) = one.question() {
                add(format!("table:{table}"), question, readiness::answers(table, &self.tables));
            }
        }
        // Going on with the map in force is an answer only where it fits the tables as they are now.
        let goes_on = self.holds.iter().next().is_some() && self.map_fits();
        for (entity, question) in self.holds.iter() {
            add(format!("entity:{entity}"), question, if goes_on { &[Answer::Release] } else { &[] });
        }
        for Listed { cause, unit, .. } in self.listed(state).into_iter().filter(|one| one.held) {
            add(format!("unit:{unit}"), &cause, reconcile::answers(&cause));
        }
        items
    }

    /// Units that are parked or held, by cause.
    fn listed(&self, state: &dyn StateTxn) -> Vec<Listed> {
        let (from, to) = keys::all_parked();
        let mut all = Vec::new();
        state.range(&from, &to, &mut |_, bytes| {
            all.push(stored::value(bytes));
            true
        });
        all
    }
}
