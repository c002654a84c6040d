//! Leg 3's other direction: resources of mapped types at the target that no unit owns.

use crate::{Class, Finding, Leg, OnProgress, Progress, references, target::Leg3};
use model::{ResourceType, Unit, UnitId};
use ports::{Fault, Version};
use std::collections::BTreeSet;

impl Leg3 {
    /// Resources of mapped types that no unit owns.
    pub(crate) async fn list(&mut self, progress: OnProgress<'_>) -> Result<(), Fault> {
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
}
