//! Folds a decision into the state, and the hash of a state.

use alloc::vec::Vec;
use model::{AggregateState, Base, Decision, Fields, Hash, Json, Means, Presence, Rule, Verdict};

/// The state behind `decision`. A function of both and of nothing else: the fold of the records is the state (J18).
pub fn evolve(state: AggregateState, decision: &Decision) -> AggregateState {
    let mut after = state;
    let moved = !decision.fields.is_empty() || decision.base.is_some() || after.presence != decision.presence;
    for change in &decision.fields {
        after.fields.set(&change.address, change.value.clone());
    }
    for change in &decision.foreign {
        after.foreign.set(&change.address, change.value.clone());
    }
    after.entity = decision.entity.clone();
    after.n = decision.n;
    after.presence = decision.presence;
    if let Some(effect) = decision.effect {
        after.last_effect = Some(effect);
        if decision.base == Some(Base::Create) {
            after.create = Some(effect);
        }
        after.base = Base::After(effect);
        after.met = match &decision.base {
            Some(Base::Version(version)) => Some(version.clone()),
            _ => None,
        };
        after.owed = false;
        after.retried = decision.rule == Rule::Refused;
    } else {
        if let Some(base) = &decision.base {
            after.base = base.clone();
        }
        after.owed = match &decision.verdict {
            Verdict::Unchanged => false,
            Verdict::Frozen => after.owed || decision.base.is_some() || !decision.fields.is_empty(),
            Verdict::Write | Verdict::Delete | Verdict::Parked(_) | Verdict::Held(_) | Verdict::Waiting(_) => {
                after.owed || moved
            }
        };
    }
    after.verdict = Some(decision.verdict.clone());
    after.rule = Some(decision.rule);
    after
}

/// The hash of a state (J21): over its exact values, so that a replay that differs in one byte is seen.
pub fn state_hash(state: &AggregateState) -> Hash {
    let AggregateState {
        unit,
        entity,
        n,
        fields,
        foreign,
        presence,
        verdict,
        rule,
        last_effect,
        base,
        create,
        owed,
        met,
        retried,
    } = state;
    let mut out = Bytes(Vec::with_capacity(2_048));
    out.text(unit.resource_type.as_str());
    out.0.extend_from_slice(unit.id.0.as_bytes());
    out.text(entity.as_str());
    out.number(*n);
    out.fields(fields);
    out.fields(foreign);
    out.0.push(match presence {
        Presence::Unknown => 0,
        Presence::Present => 1,
        Presence::Deleted(means) => 2 + means_number(*means),
    });
    out.verdict(verdict.as_ref());
    out.0.push(rule.map_or(0, rule_number));
    for effect in [last_effect, create] {
        out.0.push(u8::from(effect.is_some()));
        out.0.extend_from_slice(effect.as_ref().map_or(&[][..], |effect| &effect.0.0));
    }
    match base {
        Base::Create => out.0.push(0),
        Base::After(effect) => {
            out.0.push(1);
            out.0.extend_from_slice(&effect.0.0);
        }
        Base::Version(version) => {
            out.0.push(2);
            out.text(version);
        }
    }
    out.0.extend_from_slice(&[u8::from(*owed), u8::from(*retried), u8::from(met.is_some())]);
    out.text(met.as_deref().unwrap_or_default());
    Hash::of(&out.0)
}

fn means_number(means: Means) -> u8 {
    match means {
        Means::Retracted => 0,
        Means::Ended => 1,
        Means::Purged => 2,
        Means::Removed => 3,
    }
}

fn rule_number(rule: Rule) -> u8 {
    match rule {
        Rule::OneWay => 1,
        Rule::Equal => 2,
        Rule::ForeignMet => 3,
        Rule::Refused => 4,
        Rule::GoneStands => 5,
        Rule::Unmappable => 6,
        Rule::WaitsFor => 7,
        Rule::Purge => 8,
        Rule::Person => 9,
    }
}

/// Bytes that read in one way: every text has its length before it.
struct Bytes(Vec<u8>);

impl Bytes {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn fields(&mut self, fields: &Fields) {
        self.number(fields.0.len() as u64);
        for (address, value) in &fields.0 {
            self.text(address.as_str());
            self.json(value);
        }
    }

    fn json(&mut self, value: &Json) {
        let at = self.0.len();
        self.number(0);
        value.write(&mut self.0);
        let length = (self.0.len() - at - 8) as u64;
        self.0[at..at + 8].copy_from_slice(&length.to_be_bytes());
    }

    fn verdict(&mut self, verdict: Option<&Verdict>) {
        match verdict {
            None => self.0.push(0),
            Some(Verdict::Write) => self.0.push(1),
            Some(Verdict::Delete) => self.0.push(2),
            Some(Verdict::Unchanged) => self.0.push(3),
            Some(Verdict::Frozen) => self.0.push(4),
            Some(Verdict::Parked(cause)) => {
                self.0.push(5);
                self.text(cause);
            }
            Some(Verdict::Held(question)) => {
                self.0.push(6);
                self.text(question);
            }
            Some(Verdict::Waiting(on)) => {
                self.0.push(7);
                self.text(on.entity.as_str());
                self.bytes(on.key.as_bytes());
            }
        }
    }
}
