//! Leg 1: the source's rows at P against the row shadow, both streamed in key order, a page of each in memory.

use crate::{Class, Finding, Leg, OnProgress, Progress, Report, fence::Moved};
use flow::{Inspect, ShadowRow, TableView};
use model::{Cell, Row, RowKey, TableName, TableSchema};
use ports::{Fault, Fence};
use schemas::Plan;
use std::{cmp::Ordering, collections::VecDeque, sync::Arc};

/// Rows of each side in memory.
const PAGE: usize = 1_000;

/// Compares every table that was read whole. The view goes through by value: a borrow of it may not cross a wait.
pub(crate) async fn compare(
    fence: &mut dyn Fence,
    mut inspect: Inspect,
    (tables, moved): (&[TableName], &Moved),
    report: &mut Report,
    progress: OnProgress<'_>,
) -> Result<Inspect, Fault> {
    let known = inspect.tables();
    for table in tables {
        let view = known.iter().find(|view| view.table == *table);
        match view.map_or(Err("no row of it was read yet".into()), |view| comparable(view, moved)) {
            Ok(()) => {
                let merge = Merge { table, source: VecDeque::new(), shadow: VecDeque::new(), plan: None, moved };
                merge.run(fence, &mut inspect, report, progress).await?;
            }
            Err(why) => report.leave_out(Leg::Rows, table.as_str(), &why),
        }
    }
    Ok(inspect)
}

/// Whether the shadow claims to hold the table, or why not.
fn comparable(view: &TableView, moved: &Moved) -> Result<(), String> {
    match (&view.held, &view.schema) {
        (Some(question), _) => Err(format!("it is held: {question}")),
        (None, _) if moved.table(&view.table) => Err("it was read anew just behind the fence".into()),
        (None, _) if !view.ready => Err("it is not read whole yet".into()),
        (None, Some(schema)) if schema.key.is_empty() => Err("it has no key: append-only, each row a fact".into()),
        (None, _) => Ok(()),
    }
}

/// Two streams of one table, walked in step.
struct Merge<'a> {
    table: &'a TableName,
    source: VecDeque<(RowKey, Row)>,
    shadow: VecDeque<(RowKey, ShadowRow)>,
    /// How the source's rows are read.
    plan: Option<Plan>,
    moved: &'a Moved,
}

impl Merge<'_> {
    async fn run(
        mut self,
        fence: &mut dyn Fence,
        inspect: &mut Inspect,
        report: &mut Report,
        progress: OnProgress<'_>,
    ) -> Result<(), Fault> {
        let (mut source_after, mut shadow_after) = (None, None);
        let (mut source_ended, mut shadow_ended) = (false, false);
        let mut done = 0;
        loop {
            if self.source.is_empty() && !source_ended {
                let page = fence.rows(self.table, source_after.as_ref(), PAGE).await?;
                source_ended = page.rows.is_empty();
                source_after = page.rows.last().map(|(key, _)| key.clone()).or(source_after);
                self.read_as(&page.schema);
                self.source.extend(page.rows);
                progress(Progress { leg: Leg::Rows, what: self.table.as_str().into(), done });
            }
            // A page of tombstones alone is not the end.
            while self.shadow.is_empty() && !shadow_ended {
                let page = inspect.rows(self.table, shadow_after.as_ref(), PAGE);
                shadow_ended = page.is_empty();
                shadow_after = page.last().map(|(key, _)| key.clone()).or(shadow_after);
                self.shadow.extend(page.into_iter().filter(|(_, row)| row.row.is_some()));
            }
            if self.source.is_empty() && self.shadow.is_empty() {
                return Ok(());
            }
            let from_source = !self.source.is_empty();
            self.next(inspect, report);
            done += u64::from(from_source);
        }
    }

    fn read_as(&mut self, schema: &TableSchema) {
        if self.plan.as_ref().is_none_or(|plan| plan.schema() != schema) {
            self.plan = Some(Plan::new(schema));
        }
    }

    /// Takes the smaller key of both sides, or one row of each.
    fn next(&mut self, inspect: &mut Inspect, report: &mut Report) {
        let order = match (self.source.front(), self.shadow.front()) {
            (Some((ours, _)), Some((theirs, _))) => ours.cmp(theirs),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let source = if order == Ordering::Greater { None } else { self.source.pop_front() };
        let shadow = if order == Ordering::Less { None } else { self.shadow.pop_front() };
        report.rows += u64::from(source.is_some());
        let (key, class, fields, entries) = match (source, shadow) {
            (Some((key, _)), None) => (key, Class::Missing, Vec::new(), Vec::new()),
            (None, Some((key, row))) => (key, Class::Extra, Vec::new(), vec![row.cite.entry]),
            (Some((key, ours)), Some((_, theirs))) => {
                let fields = self.different(&ours, &theirs, inspect.plan(theirs.schema));
                if fields.is_empty() {
                    return;
                }
                (key, Class::Different, fields, vec![theirs.cite.entry])
            }
            (None, None) => return,
        };
        if self.moved.row(self.table, &key) {
            report.moved += 1;
            return;
        }
        let about = report.row(self.table, &key);
        report.find(Finding { leg: Leg::Rows, class, about, version: None, fields, entries });
    }

    /// The columns whose cells differ. A column that a row's older schema lacks is null until something was told of it.
    fn different(&self, ours: &Row, theirs: &ShadowRow, plan: Option<Arc<Plan>>) -> Vec<String> {
        let unreadable = || vec!["(row)".to_owned()];
        let (Some(our_plan), Some(their_plan), Some(row)) = (&self.plan, plan, &theirs.row) else {
            return unreadable();
        };
        if our_plan.fingerprint() == theirs.schema && ours == row {
            return Vec::new();
        }
        let (Ok(our_cells), Ok(their_cells)) = (our_plan.cells(ours), their_plan.cells(row)) else {
            return unreadable();
        };
        let columns = our_plan.schema().columns.iter().zip(our_cells);
        columns
            .filter(|(column, cell)| {
                let at = their_plan.schema().column(&column.name);
                at.and_then(|at| their_cells.get(at)).copied().unwrap_or(Cell::Null) != *cell
            })
            .map(|(column, _)| column.name.to_string())
            .collect()
    }
}
