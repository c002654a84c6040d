//! Leg 3: the state at P against the target: each unit's version of P by its history, every version attributed, every
//! reference followed, and nothing of a mapped type that no unit owns.
//!
//! The target may move on meanwhile: a version above the one of P is not compared if the journal says whose it is.

use crate::{
    About, Class, Finding, Leg, OnProgress, Progress, Report,
    facts::{Fact, Facts, Says, VersionTag},
    together, units,
    versions::{Owner, owners},
};
use flow::{Inspect, LedgerView};
use mapping::Map;
use model::{
    AggregateState, Base, EntityName, EntryId, Fields, Json, Means, Presence, RequestId, SystemId, Unit, UnitId,
    Verdict, canonically_equal,
};
use ports::{Boxed, Fault, Readback, Version};
use schemas::r4::ElementTable;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Units of a page of the state.
pub(crate) const PAGE: usize = 256;

/// What is known of the target.
pub(crate) struct Settings {
    pub sink: SystemId,
    /// Whether old versions can be read; without them only current ones are attributed.
    pub history: bool,
    pub concurrency: usize,
}

/// The comparison under way.
pub(crate) struct Leg3 {
    pub(crate) inspect: Inspect,
    pub(crate) target: Arc<dyn Readback>,
    pub(crate) facts: Facts,
    pub(crate) settings: Settings,
    pub(crate) report: Report,
    pub(crate) map: Option<Arc<Map>>,
    /// Units that should be at the target and are not.
    pub(crate) absent: BTreeSet<Unit>,
    /// Resources that no unit owns and that somebody refers to: whether they are there.
    pub(crate) elsewhere: BTreeMap<Unit, bool>,
    /// References to those, of the units at hand.
    pub(crate) asked: Vec<(About, Version, String, Unit)>,
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
        self.unrecorded();
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
        self.vanished(&one, &whose, upto);
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
        let mut made = BTreeSet::new();
        let at_p = fenced.and_then(|fenced| one.place(fenced)).unwrap_or(one.versions.len());
        for (at, (owner, version)) in whose.iter_mut().zip(one.versions).enumerate() {
            self.report.versions += 1;
            // A request that is under way made nothing below the version of P.
            if *owner == Owner::Stamped && at >= at_p {
                *owner = Owner::Nobody;
            }
            match owner {
                Owner::Ours(entry) => {
                    let request = one.request(*entry);
                    if request.is_some_and(|request| self.facts.recorded(one.state.unit.id, &request)) {
                        self.report.ours += 1;
                    }
                    if !made.insert(request) {
                        self.find(one, Class::Repeated, Some(version), Vec::new());
                    }
                }
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

    /// Outcomes that nobody decided: verify names each, also of units that the state does not know.
    fn unrecorded(&mut self) {
        for (unit, entry) in self.facts.unrecorded() {
            let entity = self.inspect.unit_key(unit.id).map(|(entity, _)| entity);
            let about = match entity {
                Some(entity) => About::Unit { unit, entity },
                None => self.report.resource(&unit.resource_type, &unit.id.to_string()),
            };
            let (leg, class, entries) = (Leg::Target, Class::Unrecorded, vec![entry]);
            self.report.find(Finding { leg, class, about, version: None, fields: Vec::new(), entries });
        }
    }

    /// What was accepted and is not in the history any more; and how many decisions wrote.
    fn vanished(&mut self, one: &One<'_>, whose: &[Owner], upto: EntryId) {
        let owned = whose.iter().filter_map(|owner| match owner {
            Owner::Ours(entry) => one.request(*entry),
            _ => None,
        });
        let mut wrote: BTreeSet<RequestId> = owned.collect();
        let purged = one.facts.iter().any(|fact| matches!(fact.says, Says::Gone { version: None }));
        let tags: BTreeSet<VersionTag> = one.versions.iter().map(|one| VersionTag::of(&one.version)).collect();
        for fact in one.facts.iter().filter(|fact| fact.entry < upto) {
            let Says::Accepted { version, request } = fact.says else { continue };
            self.report.accepted += 1;
            if tags.contains(&version) {
                wrote.insert(request);
            }
            if self.settings.history && !purged && !one.versions.is_empty() && !tags.contains(&version) {
                let (leg, class, about) = (Leg::Target, Class::Vanished, one.about());
                let entries = vec![fact.entry];
                self.report.find(Finding { leg, class, about, version: None, fields: Vec::new(), entries });
            }
        }
        wrote.retain(|request| self.facts.recorded(one.state.unit.id, request));
        self.report.wrote += wrote.len() as u64;
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

    pub(crate) fn missing(&mut self, one: &One<'_>, version: Option<&Version>) {
        self.absent.insert(one.state.unit.clone());
        self.find(one, Class::Missing, version, Vec::new());
    }

    pub(crate) fn find(&mut self, one: &One<'_>, class: Class, version: Option<&Version>, fields: Vec<String>) {
        let version = version.map(|version| version.version.clone());
        let entries = one.facts.last().map(|fact| fact.entry).into_iter().collect();
        self.report.find(Finding { leg: Leg::Target, class, about: one.about(), version, fields, entries });
    }
}

/// One unit at hand.
pub(crate) struct One<'a> {
    pub(crate) state: &'a AggregateState,
    entity: &'a EntityName,
    /// Newest first.
    versions: &'a [Version],
    facts: &'a [Fact],
}

impl One<'_> {
    pub(crate) fn about(&self) -> About {
        About::Unit { unit: self.state.unit.clone(), entity: self.entity.clone() }
    }

    /// Of the request whose outcome this entry tells.
    fn request(&self, entry: EntryId) -> Option<RequestId> {
        self.facts.iter().find(|fact| fact.entry == entry).and_then(|fact| match fact.says {
            Says::Accepted { request, .. } | Says::Stale { request, .. } => Some(request),
            Says::Gone { .. } | Says::Rejected | Says::Foreign { .. } => None,
        })
    }

    fn place(&self, version: &str) -> Option<usize> {
        self.versions.iter().position(|one| &*one.version == version)
    }
}
