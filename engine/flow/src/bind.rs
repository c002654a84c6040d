//! Binding: a root key's unit id is minted at first sight and never changes (J41, clinical S1).

use crate::{rows, step::Flow};
use model::{Bound, Entry, Row, RowChange, RowKey, Unit, UnitId};
use ports::StateTxn;

/// Bindings remembered that are not folded yet.
const MINTED_MAX: usize = 100_000;

impl Flow {
    /// Mints and binds the units whose root rows `entry` shows for the first time.
    pub(crate) fn bind(&mut self, entry: &Entry, state: &dyn StateTxn, batch: &mut Vec<Entry>) {
        let Some(map) = self.map.as_ref().and_then(|active| active.map.clone()) else { return };
        let (fingerprint, rows): (_, Vec<&Row>) = match entry {
            Entry::Row(row) => match &row.change {
                RowChange::Insert(after) | RowChange::Update { after, .. } => (row.schema, vec![after]),
                RowChange::Delete { .. } => return,
            },
            Entry::Chunk(chunk) => (chunk.schema, chunk.rows.iter().collect()),
            _ => return,
        };
        let Some(plan) = self.ingest.plans.get(&fingerprint) else { return };
        let table = &plan.schema().table;
        if !map.entities().iter().any(|entity| entity.root == *table) {
            return;
        }
        let Some(columns) = self.tables.names_by(plan.schema()) else { return };
        let mut bound = Vec::new();
        for row in rows {
            // A row without a readable key is the fold's to refuse: it is nobody's root.
            let Ok(Some(key)) = plan.key(row) else { continue };
            let Some(key) = self.tables.name_of(plan, &key, row) else { continue };
            for entity in map.entities().iter().filter(|entity| entity.root == *table && entity.key == columns) {
                let name = (entity.name.clone(), key.clone());
                if self.ingest.minted.contains(&name) || rows::unit(state, &entity.name, &key).is_some() {
                    continue;
                }
                // A cache: a binding twice in the journal is the same, and the first of a key stands.
                if self.ingest.minted.len() >= MINTED_MAX {
                    self.ingest.minted.clear();
                }
                self.ingest.minted.insert(name);
                bound.push((entity, key.clone()));
            }
        }
        batch.extend(bound.into_iter().map(|(entity, key)| Entry::Bound(self.mint(entity, &key))));
    }

    /// The binding of a root key: an id minted from the surrogate key, once (clinical S1).
    pub(crate) fn mint(&self, entity: &mapping::Entity, key: &RowKey) -> Bound {
        let (system, version) = (&self.config.source.system, entity.key_version.to_be_bytes());
        let part = entity.part.as_deref().unwrap_or_default();
        let parts: [&[u8]; 6] = [
            self.config.site.as_bytes(),
            system.as_str().as_bytes(),
            entity.root.as_str().as_bytes(),
            key.as_bytes(),
            &version,
            part.as_bytes(),
        ];
        Bound {
            system: system.clone(),
            entity: entity.name.clone(),
            table: entity.root.clone(),
            key: key.clone(),
            key_version: entity.key_version,
            unit: Unit { resource_type: entity.resource_type.clone(), id: UnitId::mint(self.config.namespace, &parts) },
        }
    }
}
