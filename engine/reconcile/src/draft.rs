//! A decision in the making.

use crate::{RuleSet, evolve::evolve, state_hash};
use alloc::{boxed::Box, vec::Vec};
use model::{
    AggregateState, Author, Base, Cite, Decision, EffectId, EntityName, FieldAddress, FieldChange, Fields, Hash, Json,
    Loser, Means, Presence, Rule, Verdict, field_equal,
};

pub(crate) struct Draft<'a> {
    pub state: &'a AggregateState,
    pub rules: &'a RuleSet<'a>,
    pub entity: EntityName,
    pub fields: Vec<FieldChange>,
    pub foreign: Vec<FieldChange>,
    pub losers: Vec<Loser>,
    pub trace: Vec<Box<str>>,
    pub cites: Vec<Cite>,
    pub author: Option<Author>,
    pub presence: Presence,
    /// None: the base is as before.
    pub base: Option<Base>,
}

impl<'a> Draft<'a> {
    pub fn new(state: &'a AggregateState, rules: &'a RuleSet<'a>, cites: Vec<Cite>) -> Draft<'a> {
        Draft {
            state,
            rules,
            entity: state.entity.clone(),
            fields: Vec::new(),
            foreign: Vec::new(),
            losers: Vec::new(),
            trace: Vec::new(),
            cites,
            author: None,
            presence: state.presence,
            base: None,
        }
    }

    pub fn trace(&mut self, words: impl Into<Box<str>>) {
        self.trace.push(words.into());
    }

    /// Whether two values of one field say the same.
    pub fn same(&self, address: &FieldAddress, a: Option<&Json>, b: Option<&Json>) -> bool {
        field_equal(&self.state.unit.resource_type, address, a, b, self.rules.elements)
    }

    /// Sets the field or removes it, if that says something new.
    pub fn change(&mut self, address: &FieldAddress, value: Option<&Json>) {
        if !self.same(address, self.state.fields.get(address), value) {
            self.fields.push(FieldChange { address: address.clone(), value: value.cloned() });
        }
    }

    /// Applies a deletion's patch. A removal takes whatever lies inside its address, also what others wrote there: R4
    /// forbids some elements beside `entered-in-error`, and forbids them whoever wrote them.
    pub fn patch(&mut self, patch: &[FieldChange]) {
        let state = self.state;
        let set =
            |address: &FieldAddress| patch.iter().any(|change| change.value.is_some() && change.address == *address);
        for change in patch {
            if change.value.is_some() {
                self.change(&change.address, change.value.as_ref());
                continue;
            }
            let goes = |address: &FieldAddress| change.address.covers(address) && !set(address);
            for address in state.fields.0.keys().filter(|address| goes(address)) {
                self.change(address, None);
            }
            for (address, value) in state.foreign.0.iter().filter(|(address, _)| goes(address)) {
                self.displace(address, value);
            }
        }
    }

    /// An element of somebody else's that has to go, kept as a loser.
    pub fn displace(&mut self, address: &FieldAddress, value: &Json) {
        self.foreign.push(FieldChange { address: address.clone(), value: None });
        self.lose(address, Some(value));
    }

    pub fn lose(&mut self, address: &FieldAddress, value: Option<&Json>) {
        let (address, value) = (address.clone(), value.cloned());
        self.losers.push(Loser { system: self.rules.system.clone(), address, value });
    }

    /// Elements of others which behind this decision lie in, or around, a field of ours.
    pub fn displace_overlapped(&mut self) {
        let set: Vec<&FieldAddress> =
            self.fields.iter().filter(|change| change.value.is_some()).map(|change| &change.address).collect();
        let overlapped: Vec<(&FieldAddress, &Json)> = self
            .state
            .foreign
            .0
            .iter()
            .filter(|(theirs, _)| set.iter().any(|ours| ours.covers(theirs) || theirs.covers(ours)))
            .filter(|(theirs, _)| !self.foreign.iter().any(|change| change.address == **theirs))
            .collect();
        for (address, value) in overlapped {
            self.displace(address, value);
        }
    }

    /// The elements of others behind this decision.
    pub fn foreign_after(&self) -> Fields {
        let mut after = self.state.foreign.clone();
        self.foreign.iter().for_each(|change| after.set(&change.address, change.value.clone()));
        after
    }

    /// One effect asks for the present state: a delete if it was removed and stands there, else the whole content.
    pub fn assert_present(mut self, rule: Rule) -> Vec<Decision> {
        let verdict = match self.presence {
            Presence::Deleted(Means::Removed) if *self.base.as_ref().unwrap_or(&self.state.base) == Base::Create => {
                self.trace("nothing of it stands at the target");
                Verdict::Unchanged
            }
            Presence::Deleted(Means::Removed) => Verdict::Delete,
            Presence::Unknown | Presence::Present | Presence::Deleted(_) => Verdict::Write,
        };
        self.finish(verdict, rule)
    }

    /// It stays as the last decision left it.
    pub fn stay(mut self, words: &str) -> Vec<Decision> {
        self.trace(words);
        let rule = self.state.rule.unwrap_or(Rule::OneWay);
        match &self.state.verdict {
            Some(verdict @ (Verdict::Parked(_) | Verdict::Held(_) | Verdict::Waiting(_) | Verdict::Frozen)) => {
                let verdict = verdict.clone();
                self.finish(verdict, rule)
            }
            Some(Verdict::Write | Verdict::Delete | Verdict::Unchanged) | None => self.finish(Verdict::Frozen, rule),
        }
    }

    pub fn finish(self, verdict: Verdict, rule: Rule) -> Vec<Decision> {
        let (state, rules) = (self.state, self.rules);
        let n = state.n + 1;
        let (effect, base) = match &verdict {
            Verdict::Write | Verdict::Delete => (
                Some(EffectId::derive(rules.pipeline, rules.system, &state.unit, rules.generation, n)),
                Some(self.base.unwrap_or_else(|| state.base.clone())),
            ),
            Verdict::Unchanged | Verdict::Frozen | Verdict::Parked(_) | Verdict::Held(_) | Verdict::Waiting(_) => {
                (None, self.base)
            }
        };
        let mut decision = Decision {
            unit: state.unit.clone(),
            entity: self.entity,
            aggregate: None,
            n,
            fields: self.fields,
            foreign: self.foreign,
            verdict,
            base,
            effect,
            cites: self.cites,
            author: self.author,
            rule,
            trace: self.trace,
            losers: self.losers,
            presence: self.presence,
            post: Hash::default(),
            ruleset: rules.ruleset,
            epoch: 0,
        };
        decision.post = state_hash(&evolve(state.clone(), &decision));
        alloc::vec![decision]
    }
}
