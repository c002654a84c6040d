//! What people are told of parts that stop and go on: a line when it begins, a line when it ends.
//!
//! * While the logs are folded nothing is told: a halt of the past that was mended in the past is no news. What still
//!   stands when the fold has caught up is.
//! * What mends itself is a warning, under the name of what it is about; everything else waits for a person, an error.
//! * A target that asks for patience again and again, a second of work between, is told once: it is over when it has not
//!   asked for a while.

use crate::clock::after;
use flow::Scope;
use model::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// A target that asked for patience has gone on when it has not asked for so long.
const CALM: Duration = Duration::from_secs(60);

/// What was heard of parts, and what was told.
#[derive(Default)]
pub(crate) struct Halts(BTreeMap<Scope, Standing>);

struct Standing {
    what: String,
    mends: Option<Scope>,
    told: bool,
    /// It goes on since then, and may stop again at once.
    calm: Option<Timestamp>,
}

/// One line for people; the flow's texts hold no patient's value.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Line {
    /// A part stopped; nobody but a person can help.
    Stopped { scope: String, what: String },
    /// A part waits, and goes on by itself.
    Waits { scope: String, what: String },
    /// It goes on.
    GoesOn { scope: String },
}

impl Halts {
    /// A part stopped, or with an empty text goes on. `mends`: it does so by itself, and that is what it is about.
    pub(crate) fn heard(&mut self, now: Timestamp, scope: Scope, what: String, mends: Option<Scope>) -> Option<Line> {
        if !what.is_empty() {
            let calm = self.0.get(&scope).is_some_and(|before| before.calm.is_some());
            // Again, before anybody was told that it was over: that is the same one, unless a person must help now.
            let told = self.0.get(&scope).is_some_and(|before| before.told) && calm && mends.is_some();
            self.0.insert(scope, Standing { what, mends, told, calm: None });
            return None;
        }
        let standing = self.0.get_mut(&scope)?;
        if standing.told && standing.mends.is_some() && matches!(scope, Scope::Sink(_)) {
            standing.calm = Some(now);
            return None;
        }
        let standing = self.0.remove(&scope)?;
        standing.told.then(|| Line::GoesOn { scope: standing.name(&scope) })
    }

    /// What is to be told now; nothing before the fold has caught up.
    pub(crate) fn due(&mut self, now: Timestamp, live: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        if !live {
            return lines;
        }
        self.0.retain(|scope, standing| {
            let name = standing.name(scope);
            if !std::mem::replace(&mut standing.told, true) {
                let what = standing.what.clone();
                lines.push(match &standing.mends {
                    Some(_) => Line::Waits { scope: name, what },
                    None => Line::Stopped { scope: name, what },
                });
            } else if standing.calm.is_some_and(|since| now >= after(since, CALM)) {
                lines.push(Line::GoesOn { scope: name });
                return false;
            }
            true
        });
        lines
    }

    /// Whether there is nothing to ask `due` about.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Standing {
    fn name(&self, scope: &Scope) -> String {
        scope_name(self.mends.as_ref().unwrap_or(scope))
    }
}

impl Line {
    /// Writes it to the log.
    pub(crate) fn log(&self) {
        match self {
            Line::Stopped { scope, what } => tracing::error!(scope, "stopped: {what}"),
            Line::Waits { scope, what } => tracing::warn!(scope, "goes on by itself: {what}"),
            Line::GoesOn { scope } => tracing::info!(scope, "goes on"),
        }
    }
}

/// A scope for people: `source:legacy`.
pub fn scope_name(scope: &Scope) -> String {
    match scope {
        Scope::Source(system) => format!("source:{system}"),
        Scope::Sink(system) => format!("sink:{system}"),
        Scope::Type(system, kind) => format!("sink:{system}/{kind}"),
        Scope::Table(table) => format!("table:{table}"),
        Scope::Entity(entity) => format!("entity:{entity}"),
        Scope::Map => "map".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{SystemId, TableName};

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn stopped(scope: &str, what: &str) -> Line {
        Line::Stopped { scope: scope.to_owned(), what: what.to_owned() }
    }

    fn waits(scope: &str, what: &str) -> Line {
        Line::Waits { scope: scope.to_owned(), what: what.to_owned() }
    }

    fn goes_on(scope: &str) -> Line {
        Line::GoesOn { scope: scope.to_owned() }
    }

    #[test]
    fn of_the_halts_of_a_fold_those_that_still_stand_are_told_when_it_is_live() {
        let mut halts = Halts::default();
        let table = |name: &str| Scope::Table(TableName::from(name));
        for (scope, what) in [(table("a"), "held"), (table("b"), "held"), (Scope::Map, "no table"), (Scope::Map, "")] {
            assert_eq!(halts.heard(at(1), scope, what.to_owned(), None), None);
            assert_eq!(halts.due(at(1), false), []);
        }
        assert_eq!(halts.heard(at(2), table("a"), String::new(), None), None);
        assert_eq!(halts.due(at(3), true), [stopped("table:b", "held")]);
        assert_eq!(halts.due(at(4), true), [], "once");
        assert_eq!(halts.heard(at(5), table("b"), String::new(), None), Some(goes_on("table:b")));
        assert!(halts.is_empty());
    }

    #[test]
    fn a_table_that_mends_itself_is_a_warning_under_its_own_name() {
        let mut halts = Halts::default();
        let source = || Scope::Source(SystemId::from("legacy"));
        let table = Scope::Table(TableName::from("public.visit"));
        halts.heard(at(1), source(), "public.visit: it was taken out".to_owned(), Some(table));
        assert_eq!(halts.due(at(1), true), [waits("table:public.visit", "public.visit: it was taken out")]);
        assert_eq!(halts.heard(at(2), source(), String::new(), None), Some(goes_on("table:public.visit")));
        halts.heard(at(3), source(), "the slot is gone".to_owned(), None);
        assert_eq!(halts.due(at(3), true), [stopped("source:legacy", "the slot is gone")]);
    }

    #[test]
    fn a_target_that_asks_for_patience_again_and_again_is_told_once() {
        let mut halts = Halts::default();
        let sink = || Scope::Sink(SystemId::from("cloud"));
        let mut lines = Vec::new();
        for second in 0..100 {
            lines.extend(halts.heard(at(2 * second), sink(), "HTTP 429".to_owned(), Some(sink())));
            lines.extend(halts.due(at(2 * second), true));
            lines.extend(halts.heard(at(2 * second + 1), sink(), String::new(), None));
            lines.extend(halts.due(at(2 * second + 1), true));
        }
        assert_eq!(lines, [waits("sink:cloud", "HTTP 429")]);
        assert_eq!(halts.due(at(230), true), []);
        assert_eq!(halts.due(at(260), true), [goes_on("sink:cloud")]);
        // Whatever a person must mend is told at once, whatever was told before.
        halts.heard(at(300), sink(), "HTTP 429".to_owned(), Some(sink()));
        assert_eq!(halts.due(at(300), true).len(), 1);
        halts.heard(at(301), sink(), String::new(), None);
        halts.heard(at(302), sink(), "HTTP 401".to_owned(), None);
        assert_eq!(halts.due(at(302), true), [stopped("sink:cloud", "HTTP 401")]);
    }
}
