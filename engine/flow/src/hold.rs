//! Activations, controls and holds: what people put in force, stop, and answer (J9, J31, J47, J49).

use crate::{
    heads, identity, index,
    input::{FlowOutput, Scope},
    ledger, readiness,
    reopen::SourceState,
    reshape,
    step::{Active, Flow, Then},
    stored,
    tables::Tables,
    work::Work,
};
use mapping::Map;
use model::{
    Activated, Answer, Control, ControlAct, EntityName, Entry, Hash, Incarnation, Kind, Principal, TableName,
    TableSchema, Unit,
};
use ports::{Failure, Fault, StateTxn};
use schemas::{keys, r4::ElementTable, wire_record};
use std::{collections::BTreeMap, sync::Arc};

const MAP: &str = "map";
const HOLDS: &str = "holds";

/// Entities that wait for a person, with the question.
#[derive(Default)]
pub(crate) struct Holds(BTreeMap<EntityName, Box<str>>);

struct HoldStored {
    entity: EntityName,
    question: Box<str>,
}

wire_record!(HoldStored { entity, question });

struct MapStored {
    name: Box<str>,
    hash: Hash,
    bytes: Box<[u8]>,
    /// The tables that it was compiled against; empty while it fits none.
    fits: Vec<TableSchema>,
}

wire_record!(MapStored { name, hash, bytes, fits });

impl Holds {
    pub(crate) fn entity(&self, name: &EntityName) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&EntityName, &str)> {
        self.0.iter().map(|(name, question)| (name, &**question))
    }

    /// Reads them back.
    pub(crate) fn load(state: &dyn StateTxn) -> Holds {
        let holds: Vec<HoldStored> = stored::get(state, &keys::meta(HOLDS)).unwrap_or_default();
        Holds(holds.into_iter().map(|hold| (hold.entity, hold.question)).collect())
    }

    fn save(&self, state: &mut dyn StateTxn) {
        let all: Vec<HoldStored> = self
            .0
            .iter()
            .map(|(entity, question)| HoldStored { entity: entity.clone(), question: question.clone() })
            .collect();
        stored::put(state, &keys::meta(HOLDS), &all);
    }
}

impl Flow {
    /// Takes map and holds from the state.
    pub(crate) fn load_map_and_holds(&mut self, state: &dyn StateTxn, out: &mut Vec<FlowOutput>) {
        self.holds = Holds::load(state);
        if let Some(MapStored { name, hash, bytes, fits }) = stored::get(state, &keys::meta(MAP)) {
            self.map = Some(Active { name, hash, bytes, map: None });
            if let Some(map) = self.compile(&fitting(fits, &self.tables), state, out) {
                self.indexes = index::wanted(&map);
            }
        }
    }

    /// A map that fits the tables gives way only to one that fits them too; the first may wait for its tables (J47).
    pub(crate) fn fits_if_one_is_in_force(&self, name: &str, bytes: &[u8], state: &dyn StateTxn) -> Result<(), Fault> {
        let unfitting =
            |what| Fault::new(Failure::Misconfigured, what).cure("lockstep check; the map before stays in force");
        match compiled(name, bytes, &self.tables.schemas()) {
            Ok(map) => heads::identities_stand(&map, state).map_err(unfitting),
            Err(what) if self.map.as_ref().is_some_and(|active| active.map.is_some()) => Err(unfitting(what)),
            Err(_) => Ok(()),
        }
    }

    /// A map is in force from here on: every unit of its open entities is mapped with it.
    pub(crate) fn activated(&mut self, activated: &Activated, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        if activated.kind != Kind::Map {
            return;
        }
        let id = self.place.input;
        if self.unfolded.contains(&id) {
            let name = &activated.name;
            let what = format!(
                "activating {name} (entry {id}) stopped the engine twice and was left out: the map before stays"
            );
            return self.halt(Scope::Map, what, out);
        }
        let (name, hash, bytes) = (activated.name.clone(), activated.hash, activated.bytes.clone());
        self.map = Some(Active { name, hash, bytes, map: None });
        for entity in std::mem::take(&mut self.holds).0.into_keys() {
            self.go_on(Scope::Entity(entity), out);
        }
        self.holds.save(state);
        self.put_in_force(state, out);
    }

    /// Compiles the map in force against the tables as they are now, and marks what it makes.
    pub(crate) fn put_in_force(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        let tables = self.tables.schemas();
        let compiled = self.compile(&tables, state, out);
        if let Some(Active { name, hash, bytes, .. }) = &self.map {
            let fits = if compiled.is_some() { tables.into_values().collect() } else { Vec::new() };
            let stored = MapStored { name: name.clone(), hash: *hash, bytes: bytes.clone(), fits };
            stored::put(state, &keys::meta(MAP), &stored);
        }
        let Some(map) = compiled else { return };
        self.hold_short(&map, state);
        heads::remember(&map, state);
        self.indexes = index::wanted(&map);
        self.begin_work(identity::rebuild(&self.indexes, &self.tables), state);
        let closed = self.closed_entities();
        for at in 0..map.entities().len() {
            if u16::try_from(at).is_ok_and(|at| !closed.contains(&at)) {
                self.mark_range(at, state);
            }
        }
    }

    /// None: the map does not fit these tables; what is missing stands among the halts, once every table was seen.
    fn compile(
        &mut self,
        tables: &BTreeMap<TableName, TableSchema>,
        state: &dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) -> Option<Arc<Map>> {
        let active = self.map.as_mut()?;
        let fitting = compiled(&active.name, &active.bytes, tables);
        if let Some(Err(what)) = fitting.as_ref().ok().map(|map| heads::identities_stand(map, state)) {
            self.halt(Scope::Map, what, out);
            return None;
        }
        match fitting {
            Ok(map) => {
                active.map = Some(map.clone());
                self.go_on(Scope::Map, out);
                Some(map)
            }
            // Before every table was seen a map is not wrong, it waits: no alarm at each first start.
            Err(_) if self.tables.is_partly_seen() => None,
            Err(what) => {
                self.halt(Scope::Map, what, out);
                None
            }
        }
    }

    /// A table has another shape: a map that waited for it is tried again; entities that use a column which was dropped,
    /// renamed or retyped are held (J49).
    pub(crate) fn refit_map(
        &mut self,
        old: Option<&TableSchema>,
        new: &TableSchema,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        let Some(active) = &self.map else { return };
        let Some(map) = active.map.clone() else {
            self.put_in_force(state, out);
            return;
        };
        let table = &new.table;
        let Some(old) = old else { return };
        let question = |entity: &mapping::Entity| {
            let what = reshape::told(old, new, entity.columns(table))?;
            Some((entity.name.clone(), format!("{table}: {what}: activate a map that fits")))
        };
        let held: Vec<(EntityName, String)> = map.entities().iter().filter_map(question).collect();
        self.hold_entities(table, held, state, out);
    }

    /// Holds entities with a question about this table each.
    pub(crate) fn hold_entities(
        &mut self,
        table: &TableName,
        held: Vec<(EntityName, String)>,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        if held.is_empty() {
            return;
        }
        for (entity, question) in held {
            let asked = self.holds.0.get(&entity).map(|asked| reshape::beside(asked, table, &question));
            let question = asked.unwrap_or(question);
            self.halt(Scope::Entity(entity.clone()), question.clone(), out);
            self.holds.0.insert(entity, question.into());
        }
        self.holds.save(state);
    }

    /// Folds an act of a person.
    pub(crate) fn controlled(&mut self, act: &ControlAct, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        match act {
            _ if self.unfolded.contains(&self.place.input) => {}
            ControlAct::Released { cause } => {
                self.begin_work(vec![Work::Release { cause: cause.clone(), after: Box::default() }], state);
            }
            ControlAct::Answered { hold, answer, about } => {
                if let Some(table) = hold.strip_prefix("table:") {
                    self.answer_table(&TableName::from(table), *answer, *about, state, out);
                } else if let Some(entity) = hold.strip_prefix("entity:") {
                    self.release_entity(&EntityName::from(entity), state, out);
                }
            }
            ControlAct::AcceptGap { .. } | ControlAct::Probed { .. } | ControlAct::Dropped { .. } => {}
        }
    }

    /// An entity goes on, if the map in force fits the tables as they are now; else it stays held, and it alone.
    fn release_entity(&mut self, entity: &EntityName, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) {
        let Some(active) = self.map.as_ref().filter(|_| self.holds.entity(entity)) else { return };
        if let Err(what) = compiled(&active.name, &active.bytes, &self.tables.schemas()) {
            self.halt(Scope::Entity(entity.clone()), what.clone(), out);
            self.holds.0.insert(entity.clone(), what.into());
            return self.holds.save(state);
        }
        self.holds.0.remove(entity);
        self.holds.save(state);
        self.go_on(Scope::Entity(entity.clone()), out);
        self.put_in_force(state, out);
    }

    /// Whether the map in force fits the tables as they are now.
    pub(crate) fn map_fits(&self) -> bool {
        let fits = |active: &Active| compiled(&active.name, &active.bytes, &self.tables.schemas()).is_ok();
        self.map.as_ref().is_some_and(fits)
    }

    fn answer_table(
        &mut self,
        table: &TableName,
        answer: Answer,
        about: Hash,
        state: &mut dyn StateTxn,
        out: &mut Vec<FlowOutput>,
    ) {
        // Another question may have come between: it was not answered, whatever answers it takes.
        let same = about == self.asked(table) && readiness::answers(table, &self.tables).contains(&answer);
        let Some(one) = self.tables.state.get_mut(table).filter(|_| same || answer == Answer::ReadAgain) else {
            return;
        };
        let (truncated, incarnation) = (one.truncated, one.incarnation);
        // Another question may have taken the place of the one about the truncation: then that one was not answered.
        let asked_of_truncation = truncated.is_some() && !one.unread && !one.too_many;
        let rekeyed = one.rekeyed.is_some();
        let renamed = answer == Answer::Accept && rekeyed;
        (one.held, one.truncated, one.unread, one.too_many) = (None, None, false, false);
        // Rows of a truncated table that are still missing are what the question was about.
        let emptied = answer == Answer::ReadAgain && same && asked_of_truncation && !rekeyed;
        one.accept_next = emptied || (answer == Answer::Accept && !renamed);
        one.expanded = truncated.filter(|_| answer == Answer::Expand);
        // What is read again is not ready before it is: its `Started` follows (J12).
        one.ready &= answer == Answer::Expand;
        self.tables.save(state);
        self.go_on(Scope::Table(table.clone()), out);
        match answer {
            Answer::Accept if renamed => self.accept_key(table, state, out),
            Answer::Rebind if rekeyed => self.rebind(table, state, out),
            Answer::Unbind if rekeyed => self.unbind(table, state, out),
            _ => {}
        }
        self.mark_users_of(table, state);
        if let (Answer::Expand, Some(position)) = (answer, truncated) {
            let table = table.clone();
            self.begin_work(vec![Work::Expand { table, incarnation, position, after: None }], state);
        }
    }

    /// Checks an act and says which entries it is.
    pub(crate) fn control(&mut self, mut control: Control, token: u64) -> Result<(Vec<Entry>, Then), Fault> {
        match &mut control.act {
            ControlAct::AcceptGap { .. } => self.accept_gap(control, token),
            ControlAct::Answered { hold, answer, about } => {
                let table = hold.strip_prefix("table:").map(TableName::from);
                *about = table.map(|table| self.asked(&table)).unwrap_or_default();
                self.answerable(hold, *answer)?;
                self.read_again(Entry::Control(control), token)
            }
            ControlAct::Released { .. } | ControlAct::Probed { .. } | ControlAct::Dropped { .. } => {
                Ok((vec![Entry::Control(control)], Then::Answer(token)))
            }
        }
    }

    /// Whether this hold takes this answer now.
    pub(crate) fn answerable(&self, hold: &str, answer: Answer) -> Result<(), Fault> {
        let (table, entity) = (hold.strip_prefix("table:"), hold.strip_prefix("entity:"));
        let offered = match (table, entity) {
            (Some(table), _) => self.offered(&TableName::from(table), answer),
            (_, Some(entity)) => self.holds.entity(&EntityName::from(entity)) && answer == Answer::Release,
            _ => false,
        };
        if offered {
            return Ok(());
        }
        let what = format!("{hold} is not held, or does not take this answer");
        Err(Fault::new(Failure::Misconfigured, what).cure("lockstep held ls"))
    }

    /// The hash of what a person is asked of this table; of nothing, if nobody is.
    pub(crate) fn asked(&self, table: &TableName) -> Hash {
        let question = self.tables.state.get(table).and_then(|one| one.question());
        question.map(|question| Hash::of(question.as_bytes())).unwrap_or_default()
    }

    /// A gap is accepted: a new slot, and every table read again (J10).
    fn accept_gap(&mut self, mut control: Control, token: u64) -> Result<(Vec<Entry>, Then), Fault> {
        let source = self.config.source.system.clone();
        if self.ingest.captures > 0 {
            let what = format!("entries of source {source} are still being written");
            return Err(Fault::new(Failure::Transient, what).cure("answer again"));
        }
        let Some((slot, _)) = self.ingest.gap.take() else {
            return Err(
                Fault::new(Failure::Misconfigured, format!("source {source} has no gap")).cure("lockstep held ls")
            );
        };
        let passed = self.ingest.resume.passed.unwrap_or_default();
        control.act = ControlAct::AcceptGap { source, passed, slot };
        let next = Incarnation(self.ingest.resume.incarnation.0 + 1);
        let slot = self.want_slot(next);
        self.ingest.state = SourceState::Preparing;
        Ok((vec![Entry::Control(control), slot], Then::AnswerAndOpen(token)))
    }

    /// Checks an answer about a unit.
    pub(crate) fn review(
        &self,
        by: Principal,
        unit: Unit,
        answer: Answer,
        reason: Box<str>,
        token: u64,
        state: &dyn StateTxn,
    ) -> Result<(Vec<Entry>, Then), Fault> {
        let key = ledger::unit_key(unit.id, state);
        let known =
            key.and_then(|key| stored::get::<model::AggregateState>(state, &keys::aggregate(&key.entity, &key.key)));
        let held = |known: &model::AggregateState| {
            matches!(known.verdict, Some(model::Verdict::Held(_) | model::Verdict::Parked(_)))
        };
        match known {
            Some(known) if held(&known) || reconcile::answers_of(&known).contains(&answer) => {
                Ok((vec![Entry::Reviewed { by, unit, answer, reason }], Then::Answer(token)))
            }
            _ => Err(Fault::new(Failure::Misconfigured, format!("{unit} is neither held nor parked"))
                .cure("lockstep held ls; lockstep parked ls")),
        }
    }

    /// At a pending fence: checkpoint, and let a view be taken before anything is folded (J45). True: not now.
    pub(crate) fn fenced(&mut self, state: &mut dyn StateTxn, out: &mut Vec<FlowOutput>) -> bool {
        let Some((token, position)) = self.fences.front().copied() else { return false };
        let next = self.visible.peek().and_then(|(_, entry)| ends_at(entry));
        // A fence is told of when the source has its snapshot: the fold may be behind it already.
        if [next, self.folded_to].into_iter().flatten().all(|end| end <= position) {
            return false;
        }
        self.checkpoint_due = true;
        if self.checkpoint(state, out) {
            self.fences.pop_front();
            out.push(FlowOutput::Fenced { token });
            out.push(FlowOutput::Again);
        }
        true
    }
}

/// The tables that a stored map was compiled against; those of now, if it fitted none yet.
fn fitting(fits: Vec<TableSchema>, tables: &Tables) -> BTreeMap<TableName, TableSchema> {
    if fits.is_empty() {
        return tables.schemas();
    }
    fits.into_iter().map(|schema| (schema.table.clone(), schema)).collect()
}

/// Compiles a map; the fault holds every reason.
pub(crate) fn compiled(
    name: &str,
    bytes: &[u8],
    tables: &BTreeMap<TableName, TableSchema>,
) -> Result<Arc<Map>, String> {
    let text = String::from_utf8_lossy(bytes);
    Map::compile(name, &text, tables, ElementTable::r4()).map(Arc::new).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        format!("the map in force does not fit the tables seen so far: {}", faults.join(" | "))
    })
}

/// Where the source's log stands behind an entry that says so.
pub(crate) fn ends_at(entry: &Entry) -> Option<model::SourcePosition> {
    match entry {
        Entry::Row(row) => row.commit.as_ref().map(|commit| commit.end),
        Entry::Commit { commit, .. } => Some(commit.end),
        Entry::Heartbeat { position, .. } => Some(*position),
        _ => None,
    }
}

/// The hash of the map in force of a state, whether it fits or not.
pub(crate) fn hash_in_force(state: &dyn StateTxn) -> Option<Hash> {
    stored::get::<MapStored>(state, &keys::meta(MAP)).map(|stored| stored.hash)
}

/// The map in force of a state, or why there is none.
pub(crate) fn map_in_force(tables: &Tables, state: &dyn StateTxn) -> Result<Arc<Map>, String> {
    match stored::get(state, &keys::meta(MAP)) {
        Some(MapStored { name, bytes, fits, .. }) => {
            let map = compiled(&name, &bytes, &fitting(fits, tables))?;
            heads::identities_stand(&map, state).map(|()| map)
        }
        None => Err("no map is in force; lockstep activate".into()),
    }
}
