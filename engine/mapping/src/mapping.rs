//! Maps one dirty unit: rows in, a candidate (or the reason why not) out.

use crate::{
    Mapped,
    eval::{Env, Stop, unknown},
    expr::Expr,
    fill::{self, Many},
    map::{Deletion, Entity, Map, Read, Reads},
    rows::{RowView, Rows},
    types::Val,
};
use model::{Candidate, Cell, Cite, Content, Fields, RowKey, SystemId, Unit};

/// Maps the unit of `entity` (its place in the map) with this root key. Total and deterministic.
pub fn map(rows: &dyn Rows, map: &Map, entity: usize, key: &RowKey, unit: &Unit, system: &SystemId) -> Mapped {
    let Some(entity) = map.entities.get(entity) else {
        return Mapped::Unmappable { cause: "the map in force has no such entity".into(), cites: Vec::new() };
    };
    let Some(root) = rows.root(&entity.root, key) else {
        return match rows.unit(&entity.name, key) {
            Some(_) => candidate(entity, unit, system, deleted(&entity.row_means), Vec::new()),
            None => Mapped::NeverSeen,
        };
    };
    let mut read = Pass { map, entity, rows, cites: vec![root.cite] };
    match read.content(&root) {
        Ok(content) => candidate(entity, unit, system, content, read.cites),
        Err(Stop::Unmappable(cause)) => Mapped::Unmappable { cause: cause.into(), cites: read.cites },
        Err(Stop::Waiting(on)) => Mapped::Waiting { on, cites: read.cites },
    }
}

fn candidate(entity: &Entity, unit: &Unit, system: &SystemId, content: Content, cites: Vec<Cite>) -> Mapped {
    Mapped::Candidate(Candidate {
        unit: unit.clone(),
        entity: entity.name.clone(),
        system: system.clone(),
        content,
        cites,
        // No source of v0 tells who wrote a row.
        author: None,
    })
}

fn deleted(deletion: &Deletion) -> Content {
    Content::Deleted { means: deletion.means, flag: deletion.flag.clone(), patch: deletion.patch.clone() }
}

/// One unit on its way through the map.
struct Pass<'a> {
    map: &'a Map,
    entity: &'a Entity,
    rows: &'a dyn Rows,
    cites: Vec<Cite>,
}

impl<'a> Pass<'a> {
    fn content(&mut self, root: &RowView) -> Result<Content, Stop> {
        let entity = self.entity;
        let root_cells = cells(root, &entity.reads[0])?;
        known(&root_cells, &entity.reads[0], |read| read.control)?;
        if let Some(deletion) = self.deletion(&root_cells)? {
            return Ok(deleted(deletion));
        }
        known(&root_cells, &entity.reads[0], |read| read.mapped)?;

        let joined: Vec<Vec<RowView>> = (0..entity.joins.len()).map(|join| self.joined(join, root)).collect();
        self.cites.extend(joined.iter().flatten().map(|row| row.cite));
        let mut sources: Vec<Vec<Vec<Cell<'_>>>> = vec![vec![root_cells]];
        for (views, reads) in joined.iter().zip(&entity.reads[1..]) {
            let rows = views.iter().map(|view| {
                let cells = cells(view, reads)?;
                known(&cells, reads, |read| read.mapped)?;
                Ok(cells)
            });
            sources.push(rows.collect::<Result<_, Stop>>()?);
        }
        self.single_rows(&joined)?;
        let fields = self.fields(&sources)?;
        if fields.0.is_empty() {
            return Err(Stop::Unmappable("nothing is left of the resource: every mapped column is null".to_owned()));
        }
        Ok(Content::Present(fields))
    }

    /// The rows of a join that content hangs on.
    fn joined(&self, join: usize, root: &RowView) -> Vec<RowView> {
        if self.entity.reads[join + 1].columns.is_empty() {
            Vec::new()
        } else {
            self.rows.joined(self.entity, join, root)
        }
    }

    fn single_rows(&self, joined: &[Vec<RowView>]) -> Result<(), Stop> {
        for (join, rows) in self.entity.joins.iter().zip(joined) {
            if !join.many && rows.len() > 1 {
                let cause = format!("join {} found {} rows, and at most one was expected", join.alias, rows.len());
                return Err(Stop::Unmappable(cause));
            }
        }
        Ok(())
    }

    /// The first deletion that the root row says: `when` no longer true, then the flags in the order of the map.
    fn deletion(&self, root: &[Cell<'_>]) -> Result<Option<&'a Deletion>, Stop> {
        let env = self.env(vec![Some(root)]);
        let is_true = |expr: &'a Expr, name: &str| match env.eval(expr) {
            Ok(value) => Ok(value == Val::Bool(true)),
            Err(Stop::Unmappable(cause)) => Err(Stop::Unmappable(format!("{name}: {cause}"))),
            Err(waiting) => Err(waiting),
        };
        if let Some((when, deletion)) = &self.entity.when
            && !is_true(when, "when")?
        {
            return Ok(Some(deletion));
        }
        for (flag, deletion) in &self.entity.flags {
            if is_true(flag, &deletion.flag)? {
                return Ok(Some(deletion));
            }
        }
        Ok(None)
    }

    fn fields(&self, sources: &Many<'_>) -> Result<Fields, Stop> {
        let mut at_hand = Vec::with_capacity(sources.len());
        for (n, rows) in sources.iter().enumerate() {
            let single = n == 0 || !self.entity.joins[n - 1].many;
            at_hand.push(if single { rows.first().map(Vec::as_slice) } else { None });
        }
        let resource = (&self.entity.resource_type, &self.entity.to);
        fill::fields(resource, self.map.elements, &mut self.env(at_hand), sources)
    }

    fn env<'e, 'r>(&'e self, at_hand: Vec<Option<&'e [Cell<'r>]>>) -> Env<'e, 'r>
    where
        'a: 'r,
    {
        Env { at_hand, reads: &self.entity.reads, codes: &self.map.tables, rows: self.rows }
    }
}

/// The cells of a row that are read, in the order of `reads`. A column that the row's schema lacks is unknown.
fn cells<'r>(view: &'r RowView, reads: &Reads) -> Result<Vec<Cell<'r>>, Stop> {
    let all = view.plan.cells(&view.row).map_err(|_| Stop::from("the row's bytes cannot be read under its schema"))?;
    if view.plan.fingerprint() == reads.fingerprint {
        let found = reads.columns.iter().map(|read| all.get(read.place).copied().unwrap_or(Cell::Unchanged));
        return Ok(found.collect());
    }
    let schema = view.plan.schema();
    let find =
        |read: &Read| schema.column(&read.name).and_then(|place| all.get(place).copied()).unwrap_or(Cell::Unchanged);
    Ok(reads.columns.iter().map(find).collect())
}

/// A unit with an unknown column that counts is not mapped (J7).
fn known(cells: &[Cell<'_>], reads: &Reads, counts: fn(&Read) -> bool) -> Result<(), Stop> {
    let missing = |(cell, read): &(&Cell<'_>, &Read)| matches!(cell, Cell::Unchanged) && counts(read);
    match cells.iter().zip(&reads.columns).find(missing) {
        Some((_, read)) => Err(Stop::Unmappable(unknown(&read.name))),
        None => Ok(()),
    }
}
