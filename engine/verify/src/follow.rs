//! Leg 3's references: each one names something that is there, and stays inside one patient.

use crate::{
    About, Class, Finding, Leg,
    references::{self, Owned},
    target::{Leg3, One, PAGE},
};
use model::Json;
use ports::{Fault, Version};

impl Leg3 {
    /// References resolve and stay inside one patient.
    pub(crate) fn follow(&mut self, one: &One<'_>, version: &Version, body: &Json) {
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
    pub(crate) async fn ask_elsewhere(&mut self) -> Result<(), Fault> {
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
    pub(crate) fn referrers(&mut self) {
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
}
