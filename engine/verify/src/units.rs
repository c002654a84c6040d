//! Leg 2: what the map in force makes of the shadow now, against the state that the decisions left.
//!
//! The shadow stands at P and everything up to P is decided, so that each unit's state follows from its rows alone, but
//! for what a declared `stale: allowed` leaves at the unit's last mapping, and for what a person or the engine holds back.
//! A field that may hang on such a join and differs from the rows is compared with the recorded decision ([`crate::decided`]);
//! every other field of the unit is compared as ever.

use crate::{About, Class, Finding, Leg, OnProgress, Progress, ReadDecisions, Report, decided::AsDecided};
use flow::{INTERNAL, Inspect, WAITED_TOO_LONG};
use mapping::{Entity, Mapped};
use model::{
    AggregateState, Base, Cite, Content, FieldAddress, FieldChange, Fields, Json, Means, Presence, ResourceType,
    RowKey, Rule, SystemId, Unit, Verdict, field_equal,
};
use ports::Fault;
use schemas::r4::ElementTable;

/// Units and rows of a page.
const PAGE: usize = 1_000;

/// Compares every unit of every entity that is decided.
pub(crate) fn compare(
    inspect: &mut Inspect,
    source: &SystemId,
    decisions: &mut ReadDecisions,
    report: &mut Report,
    progress: OnProgress<'_>,
) -> Result<(), Fault> {
    let map = match inspect.map() {
        Ok(map) => map,
        Err(why) => {
            report.leave_out(Leg::Units, "map", &why);
            return Ok(());
        }
    };
    let mut decided = AsDecided::default();
    for (at, entity) in map.entities().iter().enumerate() {
        if inspect.closed(at) {
            report.leave_out(Leg::Units, entity.name.as_str(), "a table of it is not ready, or it waits for a person");
            continue;
        }
        unbound_rows(inspect, entity, report);
        let (mut after, mut done) = (None, 0);
        loop {
            let page = inspect.bindings(&entity.name, after.as_ref(), PAGE);
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            done += page.len() as u64;
            for (key, unit) in page {
                compare_unit(inspect, (at, entity), (&key, &unit), source, &mut decided, report);
            }
            progress(Progress { leg: Leg::Units, what: entity.name.as_str().into(), done });
        }
    }
    decided.compare((inspect, &map), decisions, report)
}

/// Root rows without a unit: nothing was ever decided of them.
fn unbound_rows(inspect: &Inspect, entity: &Entity, report: &mut Report) {
    let mut after = None;
    loop {
        let page = inspect.rows(&entity.root, after.as_ref(), PAGE);
        let Some((last, _)) = page.last() else { return };
        after = Some(last.clone());
        for (key, row) in page.iter().filter(|(_, row)| row.row.is_some()) {
            if inspect.unit_of(&entity.name, key, row).is_none() {
                let about = report.row(&entity.root, key);
                let entries = vec![row.cite.entry];
                let (leg, class) = (Leg::Units, Class::Undecided);
                report.find(Finding { leg, class, about, version: None, fields: Vec::new(), entries });
            }
        }
    }
}

fn compare_unit(
    inspect: &Inspect,
    (at, entity): (usize, &Entity),
    (key, unit): (&RowKey, &Unit),
    source: &SystemId,
    decided: &mut AsDecided,
    report: &mut Report,
) {
    let Some(mapped) = inspect.mapped(at, key, unit, source) else { return };
    let state = inspect.aggregate(&entity.name, key);
    *report.dispositions.entry(disposition(state.as_ref())).or_default() += 1;
    let (class, fields) = match judge(&mapped, state.as_ref()) {
        Ok(()) => return,
        Err(Doubt::Fields(fields)) => {
            let (stale, rest): (Vec<_>, Vec<_>) = fields.into_iter().partition(|address| entity.may_be_stale(address));
            if let Some(state) = state.as_ref().filter(|_| !stale.is_empty()) {
                decided.ask(state, !rest.is_empty());
            }
            if rest.is_empty() {
                return;
            }
            (Class::Different, named(&rest))
        }
        Err(Doubt::Content(_)) if entity.reads_stale() => {
            return state.iter().for_each(|state| decided.ask(state, false));
        }
        Err(Doubt::Content(what) | Doubt::Standing(what)) => (Class::Different, vec![format!("({what})")]),
        Err(Doubt::Undecided) => (Class::Undecided, Vec::new()),
    };
    let mut entries: Vec<_> = cites(&mapped).iter().map(|cite| cite.entry).collect();
    entries.sort();
    entries.dedup();
    let about = About::Unit { unit: unit.clone(), entity: entity.name.clone() };
    report.find(Finding { leg: Leg::Units, class, about, version: None, fields, entries });
}

/// Addresses in print, keys left out, each once.
pub(crate) fn named(addresses: &[FieldAddress]) -> Vec<String> {
    let mut names: Vec<String> = addresses.iter().map(|address| format!("{address:?}")).collect();
    names.dedup();
    names
}

fn disposition(state: Option<&AggregateState>) -> &'static str {
    match state.and_then(|state| state.verdict.as_ref()) {
        None => "undecided",
        Some(Verdict::Write) => "written",
        Some(Verdict::Delete) => "deleted",
        Some(Verdict::Unchanged) => "unchanged",
        Some(Verdict::Frozen) => "frozen",
        Some(Verdict::Parked(_)) => "parked",
        Some(Verdict::Held(_)) => "held",
        Some(Verdict::Waiting(_)) => "waiting",
    }
}

fn cites(mapped: &Mapped) -> &[Cite] {
    match mapped {
        Mapped::Candidate(candidate) => &candidate.cites,
        Mapped::Unmappable { cites, .. } | Mapped::Waiting { cites, .. } => cites,
        Mapped::NeverSeen => &[],
    }
}

/// How a state does not follow from the rows.
enum Doubt {
    /// These fields differ.
    Fields(Vec<FieldAddress>),
    /// The map can say what the content is, and the state stands as if not; or the other way round.
    Content(&'static str),
    /// The verdict or the presence is another one.
    Standing(&'static str),
    /// Nothing was decided.
    Undecided,
}

fn judge(mapped: &Mapped, state: Option<&AggregateState>) -> Result<(), Doubt> {
    let Some(state) = state else {
        // A row that came and went before its entity was decided leaves a binding and nothing to decide.
        let gone =
            matches!(mapped, Mapped::Candidate(candidate) if matches!(candidate.content, Content::Deleted { .. }));
        return if gone || *mapped == Mapped::NeverSeen { Ok(()) } else { Err(Doubt::Undecided) };
    };
    let parked = match (&state.verdict, state.rule) {
        (Some(Verdict::Parked(cause)), Some(Rule::Unmappable)) => Some(&**cause),
        _ => None,
    };
    match mapped {
        _ if parked == Some(INTERNAL) => Ok(()),
        Mapped::Unmappable { cause, .. } if parked == Some(cause) || holds(state) => Ok(()),
        Mapped::Unmappable { .. } => Err(Doubt::Content("the map cannot say, and the unit is not parked for that")),
        Mapped::Waiting { on, .. } => match &state.verdict {
            Some(Verdict::Waiting(waits)) if waits == on => Ok(()),
            _ if holds(state) || parked == Some(WAITED_TOO_LONG) => Ok(()),
            _ => Err(Doubt::Content("a reference has no row, and the unit does not wait for it")),
        },
        // Only a release maps it again.
        Mapped::Candidate(_) if parked == Some(WAITED_TOO_LONG) => Ok(()),
        Mapped::Candidate(_) if parked.is_some() => Err(Doubt::Content("parked, and the map can say")),
        Mapped::Candidate(_) if matches!(state.verdict, Some(Verdict::Waiting(_))) => {
            Err(Doubt::Content("waiting, and every reference has its row"))
        }
        Mapped::Candidate(candidate) => match &candidate.content {
            Content::Present(fields) => present(fields, state),
            Content::Deleted { means, patch, .. } => deleted(*means, patch, state),
        },
        Mapped::NeverSeen => Err(Doubt::Standing("decided, and never seen")),
    }
}

/// Whether only a person's answer moves the unit on.
pub(crate) fn holds(state: &AggregateState) -> bool {
    match (&state.verdict, state.rule) {
        (Some(Verdict::Held(_)), _) => true,
        (Some(Verdict::Parked(_)), Some(Rule::ForeignMet)) => true,
        (Some(Verdict::Frozen), Some(Rule::Person)) => true,
        (Some(Verdict::Delete), Some(Rule::Person)) => state.presence != Presence::Deleted(Means::Removed),
        _ => false,
    }
}

fn present(fields: &Fields, state: &AggregateState) -> Result<(), Doubt> {
    if state.presence != Presence::Present {
        return Err(Doubt::Standing("present in the rows, not in the state"));
    }
    let different = differing_addresses(&state.unit.resource_type, fields, &state.fields);
    if different.is_empty() { Ok(()) } else { Err(Doubt::Fields(different)) }
}

fn deleted(means: Means, patch: &[FieldChange], state: &AggregateState) -> Result<(), Doubt> {
    if state.presence != Presence::Deleted(means) {
        return Err(Doubt::Standing("deleted in the rows, not in the state"));
    }
    // What never stood at the target is not patched.
    if state.base == Base::Create {
        return Ok(());
    }
    let same = |address: &FieldAddress, value: Option<&Json>| {
        let ours = state.fields.get(address);
        field_equal(&state.unit.resource_type, address, ours, value, ElementTable::r4())
    };
    let set = |address: &FieldAddress| patch.iter().any(|change| change.value.is_some() && change.address == *address);
    let done = |change: &&FieldChange| match &change.value {
        Some(value) => same(&change.address, Some(value)),
        None => !state.fields.0.keys().any(|address| change.address.covers(address) && !set(address)),
    };
    let open: Vec<_> = patch.iter().filter(|change| !done(change)).map(|one| one.address.clone()).collect();
    if open.is_empty() { Ok(()) } else { Err(Doubt::Fields(open)) }
}

/// Addresses, keys left out, at which two sets of fields say different things.
pub(crate) fn differing(kind: &ResourceType, a: &Fields, b: &Fields) -> Vec<String> {
    named(&differing_addresses(kind, a, b))
}

pub(crate) fn differing_addresses(kind: &ResourceType, a: &Fields, b: &Fields) -> Vec<FieldAddress> {
    let mut addresses: Vec<&FieldAddress> = a.0.keys().chain(b.0.keys()).collect();
    addresses.sort();
    addresses.dedup();
    let same = |address: &FieldAddress| field_equal(kind, address, a.get(address), b.get(address), ElementTable::r4());
    addresses.into_iter().filter(|address| !same(address)).cloned().collect()
}
