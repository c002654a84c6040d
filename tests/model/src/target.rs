//! The target: versions, guards, deletions, expunges.

use crate::{
    Model,
    config::Edit,
    fold::is_absence,
    property::Property,
    seen::Event,
    state::{By, Guard, Request, State, Stored, Version, len},
};

/// What the target answers to a write that it took.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) version: Version,
    /// 201, not 200.
    pub(crate) created: bool,
}

impl Model {
    /// Whether the target knows nothing of the unit, not even a deletion.
    pub(crate) fn is_missing(state: &State, unit: usize) -> bool {
        state.history[unit].last().is_none_or(|top| top.by == By::Expunged)
    }

    /// Whether that version is an absence; 0 is one.
    pub(crate) fn is_gone(state: &State, unit: usize, version: Version) -> bool {
        version == 0 || is_absence(state.history[unit][usize::from(version) - 1].by)
    }

    /// The number under which the server shows a version: it begins again behind an expunge.
    pub(crate) fn shown(state: &State, unit: usize, version: Version) -> Version {
        let below = &state.history[unit][..usize::from(version)];
        let wiped = below.iter().rposition(|stored| stored.by == By::Expunged).map_or(0, |at| at + 1);
        len(&below[wiped..])
    }

    /// The server takes the request, or its guard refuses it.
    pub(crate) fn handle(&self, state: &mut State, request: Request) -> Option<Taken> {
        let unit = usize::from(request.unit);
        let current = len(&state.history[unit]);
        let missing = Model::is_missing(state, unit);
        let top = state.history[unit].last().copied();
        let created = missing || top.is_some_and(|top| top.by == By::Deleted);
        let accepted = match request.guard {
            Guard::Bare => true,
            Guard::Create => missing,
            Guard::Match(_) if missing => {
                if self.config.creates_by_match {
                    self.saw(Event::CreatedByMatch);
                }
                self.config.creates_by_match
            }
            Guard::Match(version) => Model::shown(state, unit, version) == Model::shown(state, unit, current),
        };
        if request.late {
            self.saw(if accepted { Event::Late } else { Event::LateRefused });
        }
        if !accepted {
            self.saw(Event::Conflict);
            return None;
        }
        let equal = top.is_some_and(|top| top.content == request.content);
        if !created && equal && request.guard != Guard::Create {
            return Some(Taken { version: current, created: false }); // equal content makes no new version
        }
        self.judge(state, request, top, current);
        let by = By::Ours { number: request.number, start: request.start };
        state.history[unit].push(Stored { content: request.content, by });
        Some(Taken { version: current + 1, created })
    }

    /// What must not happen where every guard is honoured.
    fn judge(&self, state: &mut State, request: Request, top: Option<Stored>, current: Version) {
        let unit = usize::from(request.unit);
        let honest = !self.config.creates_by_match;
        let decision = state.ledger[unit].get(usize::from(request.number) - 1).map(|effect| effect.decision);
        let cited = decision.is_some_and(|decision| decision.cite == current);
        let over_foreign = top.is_some_and(|top| !matches!(top.by, By::Ours { .. }));
        if self.config.guard && honest && !cited && over_foreign {
            state.broken = Some(Property::ForeignCited);
        }
        let numbers = || state.history[unit].iter().filter_map(|stored| number(stored.by));
        let twice = numbers().any(|number| number == request.number);
        let newer = numbers().any(|number| number > request.number);
        if twice {
            self.saw(Event::TwinLanded);
        }
        if honest && !self.config.twins && (twice || newer) {
            state.broken = Some(if newer { Property::InOrder } else { Property::OneVersion });
        }
    }

    /// Somebody else edits.
    pub(crate) fn edit(state: &mut State, unit: usize, edit: Edit) {
        let history = &mut state.history[unit];
        let version = match edit {
            Edit::Undo => Stored { content: history[history.len() - 2].content, by: By::Foreign },
            Edit::Delete => Stored { content: 1, by: By::Deleted },
            Edit::Expunge => Stored { content: 2, by: By::Expunged },
            Edit::Set | Edit::Create => Stored { content: 0x1000 | u16::from(state.edits), by: By::Foreign },
        };
        history.push(version);
        state.edits += 1;
    }
}

fn number(by: By) -> Option<u8> {
    if let By::Ours { number, .. } = by { Some(number) } else { None }
}
