//! Leg 3: the state at P against the target: each unit's version of P by its history, every version attributed, every
//! reference followed, and nothing of a mapped type that no unit owns.
//!
//! The target may move on meanwhile: a version above the one of P is not compared if the journal says whose it is.

use crate::{
    About, Class, Finding, Leg, OnProgress, Progress, Report,
    facts::{Fact, Facts, Says, VersionTag},
    references::{self, Owned},
    together, units,
    versions::{Owner, owners},
};
use flow::{Inspect, LedgerView};
use mapping::Map;
use model::{
    AggregateState, Base, EntityName, EntryId, Fields, Json, Means, Presence, ResourceType, SystemId, Unit, UnitId,
    Verdict, canonically_equal,
};
use ports::{Boxed, Fault, Readback, Version};
use schemas::r4::ElementTable;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Units of a page of the state.
const PAGE: usize = 256;

/// What is known of the target.
pub(crate) struct Settings {
    pub sink: SystemId,
    /// Whether old versions can be read; without them only current ones are attributed.
    pub history: bool,
    pub concurrency: usize,
}

/// The comparison under way.
pub(crate) struct Leg3 {
    inspect: Inspect,
    target: Arc<dyn Readback>,
    facts: Facts,
    settings: Settings,
    report: Report,
    map: Option<Arc<Map>>,
    /// Units that should be at the target and are not.
    absent: BTreeSet<Unit>,
    /// Resources that no unit owns and that somebody refers to: whether they are there.
    elsewhere: BTreeMap<Unit, bool>,
    /// References to those, of the units at hand.
    asked: Vec<(About, Version, String, Unit)>,
    /// Versions that carry a stamp without an outcome.
    stamped: Vec<(About, UnitId, Version)>,
}

/// What the target should show of a unit.
enum Want {
    /// The state's content, as this version.
    Content(Option<Box<str>>),
    /// Nothing.
    Absent,
    /// An effect has no outcome, or an outcome no decision.
    Unsettled,
    /// Something waits for the engine or for a person.
    Open,
}

impl Leg3 {
    pub(crate) fn new(
        inspect: Inspect,
        target: Arc<dyn Readback>,
        facts: Facts,
        settings: Settings,
        report: Report,
    ) -> Leg3 {
        let map = inspect.map().ok();
        let (absent, elsewhere) = (BTreeSet::new(), BTreeMap::new());
        let (asked, stamped) = (Vec::new(), Vec::new());
        Leg3 { inspect, target, facts, settings, report, map, absent, elsewhere, asked, stamped }
    }

    /// Compares everything.
    pub(crate) async fn compare(mut self, progress: OnProgress<'_>) -> Result<Report, Fault> {
        self.units(progress).await?;
        self.referrers();
        self.list(progress).await?;
        self.settle_stamped()?;
        Ok(self.report)
    }

    async fn units(&mut self, progress: OnProgress<'_>) -> Result<(), Fault> {
        let (mut from, mut done) = (None::<Box<[u8]>>, 0);
        loop {
            let page = self.inspect.aggregates(from.as_deref(), PAGE);
            for states in page.units.chunks(self.settings.concurrency) {
                // Only what was acknowledged before a history was read must be in it.
                let upto = self.facts.read_upto();
                let target = self.target.clone();
                let histories: Vec<Boxed<'_, _>> = states.iter().map(|state| target.versions(&state.unit)).collect();
                for (state, versions) in states.iter().zip(together::all(histories).await) {
                    self.unit(state, &versions?, upto)?;
                }
                self.ask_elsewhere().await?;
                done += states.len() as u64;
                progress(Progress { leg: Leg::Target, what: "units".into(), done });
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    fn unit(&mut self, state: &AggregateState, versions: &[Version], upto: EntryId) -> Result<(), Fault> {
        let Some((entity, key)) = self.inspect.unit_key(state.unit.id) else { return Ok(()) };
        let ledger = self.inspect.ledger(&self.settings.sink, &entity, &key);
        let mut facts = self.facts.of(state.unit.id);
        let mut whose = owners(versions, &facts);
        if whose.iter().any(|owner| matches!(owner, Owner::Nobody | Owner::Stamped)) {
            self.facts.advance()?;
            facts = self.facts.of(state.unit.id);
            whose = owners(versions, &facts);
        }
        let fenced = match &state.base {
            Base::Version(version) => Some(version.clone()),
            Base::Create | Base::After(_) => ledger.version.clone(),
        };
        let one = One { state, entity: &entity, versions, facts: &facts };
        whose = self.attribute(&one, whose, fenced.as_deref());
        self.vanished(&one, upto);
        match self.want(state, &ledger, &facts, fenced) {
            Want::Unsettled => self.report.unsettled += 1,
            Want::Open => {
                self.report.open += 1;
                if ledger.exists && versions.first().is_none_or(|current| current.body.is_none()) {
                    self.missing(&one, versions.first());
                }
            }
            Want::Absent => self.absent_there(&one, &whose),
            Want::Content(version) => self.content(&one, &whose, version.as_deref()),
        }
        Ok(())
    }

    /// Counts whose the versions are and names those that are nobody's.
    fn attribute(&mut self, one: &One<'_>, mut whose: Vec<Owner>, fenced: Option<&str>) -> Vec<Owner> {
        let at_p = fenced.and_then(|fenced| one.place(fenced)).unwrap_or(one.versions.len());
        for (at, (owner, version)) in whose.iter_mut().zip(one.versions).enumerate() {
            self.report.versions += 1;
            // A request that is under way made nothing below the version of P.
            if *owner == Owner::Stamped && at >= at_p {
                *owner = Owner::Nobody;
            }
            match owner {
                Owner::Ours(_) => self.report.ours += 1,
                Owner::Others(_) => self.report.others += 1,
                Owner::Stamped => {
                    let version = Version { body: None, ..version.clone() };
                    self.stamped.push((one.about(), one.state.unit.id, version));
                }
                Owner::Nobody => self.find(one, Class::Unattributed, Some(version), Vec::new()),
            }
        }
        whose
    }

    /// What was accepted and is not in the history any more.
    fn vanished(&mut self, one: &One<'_>, upto: EntryId) {
        let purged = one.facts.iter().any(|fact| matches!(fact.says, Says::Gone { version: None }));
        let tags: BTreeSet<VersionTag> = one.versions.iter().map(|one| VersionTag::of(&one.version)).collect();
        for fact in one.facts.iter().filter(|fact| fact.entry < upto) {
            let Says::Accepted { version, .. } = fact.says else { continue };
            self.report.accepted += 1;
            if self.settings.history && !purged && !one.versions.is_empty() && !tags.contains(&version) {
                let (leg, class, about) = (Leg::Target, Class::Vanished, one.about());
                let entries = vec![fact.entry];
                self.report.find(Finding { leg, class, about, version: None, fields: Vec::new(), entries });
            }
        }
    }

    fn want(&self, state: &AggregateState, ledger: &LedgerView, facts: &[Fact], fenced: Option<Box<str>>) -> Want {
        // The ledger takes outcomes as they come; what they ask of decide may lie behind P.
        let (folding, ledger_upto) = (self.inspect.folding(), self.inspect.ledger_upto());
        let undecided = facts.iter().any(|fact| {
            let asks = matches!(fact.says, Says::Stale { .. } | Says::Gone { .. } | Says::Rejected);
            asks && fact.entry >= folding && fact.entry.seq <= ledger_upto
        });
        if !ledger.unsettled.is_empty() || undecided {
            return Want::Unsettled;
        }
        if units::holds(state) && !ledger.exists {
            return Want::Absent;
        }
        let waits = matches!(state.verdict, Some(Verdict::Held(_) | Verdict::Parked(_) | Verdict::Waiting(_)));
        let removed = state.presence == Presence::Deleted(Means::Removed);
        match &state.verdict {
            _ if waits || state.owed => Want::Open,
            _ if removed || state.verdict == Some(Verdict::Delete) => Want::Absent,
            _ if state.last_effect.is_none() && state.base == Base::Create => Want::Absent,
            _ => Want::Content(fenced),
        }
    }

    /// Nothing should be there; what the journal knows of was judged when it was decided.
    fn absent_there(&mut self, one: &One<'_>, whose: &[Owner]) {
        if let (Some(current), Some(Owner::Nobody)) = (one.versions.first(), whose.first())
            && current.body.is_some()
        {
            self.find(one, Class::Extra, Some(current), Vec::new());
        }
    }

    fn content(&mut self, one: &One<'_>, whose: &[Owner], fenced: Option<&str>) {
        let Some(current) = one.versions.first() else { return self.missing(one, None) };
        let Some(at) = fenced.and_then(|fenced| one.place(fenced)) else {
            return match whose.first() {
                // Without a history, a version behind P hides the one of P.
                Some(Owner::Ours(_) | Owner::Stamped | Owner::Others(_)) if !self.settings.history => {
                    self.report.unsettled += 1;
                }
                _ => self.missing(one, Some(current)),
            };
        };
        let before = self.report.differences();
        self.shown(one, &one.versions[at]);
        if at > 0 && whose.first() == Some(&Owner::Nobody) {
            self.shown(one, current);
        }
        self.report.equal += u64::from(self.report.differences() == before);
    }

    /// Compares one version with the state, and follows its references.
    fn shown(&mut self, one: &One<'_>, version: &Version) {
        let Some(body) = &version.body else { return self.missing(one, Some(version)) };
        let elements = ElementTable::r4();
        let ours = reconcile::body(one.state);
        if !canonically_equal(&ours, body, elements) {
            let fields = |resource: &Json| {
                let mut fields = Fields::from_resource(resource, elements);
                fields.0.retain(|address, _| !matches!(address.as_str(), "text" | "contained"));
                fields
            };
            let mut different = units::differing(&one.state.unit.resource_type, &fields(&ours), &fields(body));
            if different.is_empty() {
                different.push("(resource)".into());
            }
            self.find(one, Class::Different, Some(version), different);
        }
        self.follow(one, version, body);
    }

    /// References resolve and stay inside one patient.
    fn follow(&mut self, one: &One<'_>, version: &Version, body: &Json) {
        let owner = self.map.as_ref().and_then(|map| references::owner(one.state, map, &self.inspect));
        for reference in references::collect(body) {
            self.report.references += 1;
            let element = owner.as_ref().and_then(|owner| owner.element.as_deref());
            let names_subject = element == Some(&*reference.path);
            if let Some(owner) = owner.as_ref().filter(|_| names_subject)
                && reference.unit.as_ref() != Some(&owner.subject)
            {
                self.find(one, Class::WrongPatient, Some(version), vec![reference.path.clone()]);
            }
            let Some(unit) = reference.unit.filter(|unit| *unit != one.state.unit) else { continue };
            let Some(known) = references::known(&unit, &self.inspect) else {
                self.asked.push((one.about(), version.clone(), reference.path, unit));
                continue;
            };
            if !self.inspect.ledger(&self.settings.sink, &known.entity, &known.key).exists {
                self.find(one, Class::Dangling, Some(version), vec![reference.path.clone()]);
            }
            if let Some(owner) = &owner
                && !names_subject
                && self.strays(owner, &known)
            {
                self.find(one, Class::WrongPatient, Some(version), vec![reference.path]);
            }
        }
    }

    /// Whether a unit belongs to another subject of the same kind. A subject that is referred to is nobody's record.
    fn strays(&self, owner: &Owned, known: &references::Known) -> bool {
        let theirs = || {
            let state = self.inspect.aggregate(&known.entity, &known.key)?;
            references::owner(&state, self.map.as_ref()?, &self.inspect)
        };
        theirs().is_some_and(|theirs| {
            theirs.element.is_some() && theirs.entity == owner.entity && theirs.subject != owner.subject
        })
    }

    /// Asks the target for what no unit of ours is.
    async fn ask_elsewhere(&mut self) -> Result<(), Fault> {
        for (about, version, path, unit) in std::mem::take(&mut self.asked) {
            let there = match self.elsewhere.get(&unit) {
                Some(there) => *there,
                None => {
                    let target = self.target.clone();
                    let versions = target.versions(&unit).await?;
                    let there = versions.first().is_some_and(|current| current.body.is_some());
                    self.elsewhere.insert(unit, there);
                    there
                }
            };
            if !there {
                let (leg, class, version) = (Leg::Target, Class::Dangling, Some(version.version));
                let (fields, entries) = (vec![path], Vec::new());
                self.report.find(Finding { leg, class, about, version, fields, entries });
            }
        }
        Ok(())
    }

    /// Who refers to a unit that should be at the target and is not: known only when every unit was looked at.
    fn referrers(&mut self) {
        let mut from = None::<Box<[u8]>>;
        while !self.absent.is_empty() {
            let page = self.inspect.aggregates(from.as_deref(), PAGE);
            for state in page.units.iter().filter(|state| !self.absent.contains(&state.unit)) {
                let dangling = |reference: &references::Reference| {
                    reference.unit.as_ref().is_some_and(|unit| self.absent.contains(unit))
                };
                let fields: Vec<String> = references::collect(&reconcile::body(state))
                    .into_iter()
                    .filter(dangling)
                    .map(|reference| reference.path)
                    .collect();
                if !fields.is_empty() && state.last_effect.is_some() {
                    let about = About::Unit { unit: state.unit.clone(), entity: state.entity.clone() };
                    let (leg, class, entries) = (Leg::Target, Class::Dangling, Vec::new());
                    self.report.find(Finding { leg, class, about, version: None, fields, entries });
                }
            }
            from = page.next;
            if from.is_none() {
                return;
            }
        }
    }

    /// Resources of mapped types that no unit owns.
    async fn list(&mut self, progress: OnProgress<'_>) -> Result<(), Fault> {
        let Some(map) = self.map.clone() else {
            self.report.leave_out(Leg::Target, "extra resources", "no map says which types are ours");
            return Ok(());
        };
        let kinds: BTreeSet<ResourceType> = map.entities().iter().map(|entity| entity.resource_type.clone()).collect();
        let target = self.target.clone();
        for kind in kinds {
            let (mut next, mut done) = (None::<Box<str>>, 0);
            loop {
                let page = target.list(&kind, next.as_deref()).await?;
                self.report.listed += page.resources.len() as u64;
                done += page.resources.len() as u64;
                self.extra(&kind, &page.resources)?;
                progress(Progress { leg: Leg::Target, what: kind.as_str().into(), done });
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn extra(&mut self, kind: &ResourceType, resources: &[(Box<str>, Version)]) -> Result<(), Fault> {
        let unit = |id: &str| {
            let id = UnitId(uuid::Uuid::try_parse(id).ok()?);
            Some(Unit { resource_type: kind.clone(), id })
        };
        let ours = |id: &str| unit(id).is_some_and(|unit| references::known(&unit, &self.inspect).is_some());
        let others: Vec<&(Box<str>, Version)> = resources.iter().filter(|(id, _)| !ours(id)).collect();
        if others.is_empty() {
            return Ok(());
        }
        // A unit is bound in the journal before it is sent: what we made behind P is known by now.
        self.facts.advance()?;
        for (id, version) in others {
            if unit(id).is_none_or(|unit| !self.facts.bound_since(unit.id)) {
                let about = self.report.resource(kind, id);
                let (leg, class, version) = (Leg::Target, Class::Extra, Some(version.version.clone()));
                let (fields, entries) = (Vec::new(), Vec::new());
                self.report.find(Finding { leg, class, about, version, fields, entries });
            }
        }
        Ok(())
    }

    /// Versions whose request had no outcome when they were read: by now it has one, or it is still under way.
    fn settle_stamped(&mut self) -> Result<(), Fault> {
        self.facts.advance()?;
        for (about, unit, version) in std::mem::take(&mut self.stamped) {
            let whose = owners(std::slice::from_ref(&version), &self.facts.of(unit));
            match whose.first() {
                Some(Owner::Ours(_)) => self.report.ours += 1,
                Some(Owner::Others(_)) => self.report.others += 1,
                Some(Owner::Stamped) | None => self.report.in_flight += 1,
                Some(Owner::Nobody) => {
                    let (leg, class, version) = (Leg::Target, Class::Unattributed, Some(version.version));
                    let (fields, entries) = (Vec::new(), Vec::new());
                    self.report.find(Finding { leg, class, about, version, fields, entries });
                }
            }
        }
        Ok(())
    }

    fn missing(&mut self, one: &One<'_>, version: Option<&Version>) {
        self.absent.insert(one.state.unit.clone());
        self.find(one, Class::Missing, version, Vec::new());
    }

    fn find(&mut self, one: &One<'_>, class: Class, version: Option<&Version>, fields: Vec<String>) {
        let version = version.map(|version| version.version.clone());
        let entries = one.facts.last().map(|fact| fact.entry).into_iter().collect();
        self.report.find(Finding { leg: Leg::Target, class, about: one.about(), version, fields, entries });
    }
}

/// One unit at hand.
struct One<'a> {
    state: &'a AggregateState,
    entity: &'a EntityName,
    /// Newest first.
    versions: &'a [Version],
    facts: &'a [Fact],
}

impl One<'_> {
    fn about(&self) -> About {
        About::Unit { unit: self.state.unit.clone(), entity: self.entity.clone() }
    }

    fn place(&self, version: &str) -> Option<usize> {
        self.versions.iter().position(|one| &*one.version == version)
    }
}
