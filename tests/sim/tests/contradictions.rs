//! A connector that errs: what it mangles is named and stops the smallest part, and nothing is passed over. A source that
//! contradicts itself is read again from where the journal stands; a row that does not read holds its table.

use flow::Limits;
use lockstep_sim::World;
use model::{Entry, Fingerprint, Incarnation, Row, RowChange, RowEntry, SnapshotMark, TableSchema};
use schemas::Plan;

/// A source that has just been opened for the first time, with `rows` transactions of some rows to read.
fn first_read(seed: u64) -> (World, Vec<Entry>) {
    let mut world = World::new(seed, Limits::default());
    (0..12).for_each(|_| world.source.commit(2));
    world.open();
    world.activate();
    while !world.source.is_open() {
        world.event();
    }
    world.event();
    let entries = world.source.next_batch(usize::MAX);
    (world, entries)
}

/// .. and one whose tables were read, with transactions to come.
fn stream(seed: u64) -> (World, Vec<Entry>) {
    let (mut world, entries) = first_read(seed);
    world.tell(entries);
    world.drain();
    [3, 1, 2, 1].into_iter().for_each(|size| world.source.commit(size));
    let entries = world.source.next_batch(usize::MAX);
    (world, entries)
}

/// Tells it mangled. The source stops by a text with `word`, goes on by itself, and in the end nothing is missing.
fn refused(name: &str, word: &str, (mut world, mut entries): (World, Vec<Entry>), mangle: impl Fn(&mut Vec<Entry>)) {
    let before = entries.clone();
    mangle(&mut entries);
    assert_ne!(before, entries, "{name} mangles something");
    world.tell(entries);
    world.drain();
    let halted = world.halted.iter().find(|what| what.contains("the source contradicts itself"));
    let halted = halted.unwrap_or_else(|| panic!("{name} is refused: {:?}", world.halted));
    assert!(halted.contains(word), "{name}: {halted}");
    // It moves on, and what it moves over is whole.
    world.source.commit(1);
    world.drain();
    world.check();
    assert_eq!(world.halted.last().map(String::as_str), Some(""), "{name}: the source goes on");
}

fn rows(entries: &mut [Entry]) -> impl Iterator<Item = &mut RowEntry> {
    entries.iter_mut().filter_map(|entry| if let Entry::Row(row) = entry { Some(row) } else { None })
}

fn first(entries: &[Entry], of: impl Fn(&Entry) -> bool) -> usize {
    entries.iter().position(of).expect("an entry of this kind")
}

#[test]
fn a_source_that_contradicts_itself_stops_and_is_read_again() {
    let nowhere = Fingerprint::default();
    refused("an unknown schema", "never told", stream(1), |entries| {
        rows(entries).nth(1).expect("a row").schema = nowhere;
    });
    refused("a commit of other rows", "were told", stream(2), |entries| {
        let at = first(entries, |entry| matches!(entry, Entry::Commit { commit, .. } if commit.count > 0));
        entries.remove(at - 1);
    });
    refused("a row that closes more than itself", "were told", stream(3), |entries| {
        let alone = rows(entries).find_map(|row| row.commit.as_mut()).expect("a transaction of one row");
        alone.count += 1;
    });
    refused("a heartbeat inside", "inside a transaction", stream(4), |entries| {
        let at = first(entries, |entry| matches!(entry, Entry::Row(row) if row.commit.is_none()));
        let Entry::Row(RowEntry { source, incarnation, position, .. }) = entries[at].clone() else { return };
        entries.insert(at + 1, Entry::Heartbeat { source, incarnation, position });
    });
    refused("another life of the log", "another life", stream(5), |entries| {
        rows(entries).next().expect("a row").incarnation = Incarnation(9);
    });
    refused("another source", "another source", stream(6), |entries| {
        rows(entries).next().expect("a row").source = "lab".into();
    });
    refused("what no source writes", "no source writes", stream(7), |entries| entries.insert(1, Entry::Clock));
    refused("a change that goes back", "lies before", stream(8), |entries| {
        let of_more = |entry: &Entry| matches!(entry, Entry::Row(row) if row.commit.is_none());
        let at = first(entries, of_more);
        entries.swap(at, at + 1);
    });
}

/// A shape told anew for the table of the first row, changed by `with`.
fn told_shape(entries: &mut [Entry], honest: bool, with: impl Fn(&mut TableSchema)) {
    let at = first(entries, |entry| matches!(entry, Entry::Schema { .. }));
    if let Entry::Schema { fingerprint, schema, .. } = &mut entries[at] {
        with(schema);
        if honest {
            *fingerprint = Plan::new(schema).fingerprint();
        }
    }
}

#[test]
fn a_shape_whose_rows_have_no_name_is_refused() {
    let shape = |name: &str, word: &str, honest, with: fn(&mut TableSchema)| {
        refused(name, word, first_read(11), |entries| told_shape(entries, honest, with));
    };
    shape("a keyless table", "has no key", true, |schema| schema.key.clear());
    shape("a key of columns that are not there", "not made of columns", true, |schema| schema.key.push(99));
    shape("a key with a column twice", "not made of columns", true, |schema| schema.key.push(schema.key[0]));
    shape("two columns of one name", "one name", true, |schema| {
        schema.columns[1].name = schema.columns[0].name.clone()
    });
    shape("a table that nobody began", "never begun", true, |schema| schema.table = "public.other".into());
    shape("a false fingerprint", "fingerprint", false, |schema| schema.columns[1].native += 1);
}

fn chunks(entries: &mut [Entry]) -> impl Iterator<Item = &mut model::Chunk> {
    entries.iter_mut().filter_map(|entry| if let Entry::Chunk(chunk) = entry { Some(chunk) } else { None })
}

#[test]
fn a_chunk_that_is_missing_makes_no_table_ready() {
    let is_chunk = |entry: &Entry| matches!(entry, Entry::Chunk(_));
    refused("a chunk left out", "is not the next one", first_read(21), |entries| {
        entries.remove(first(entries, is_chunk));
    });
    refused("the last chunk left out", "its last chunk is not here", first_read(22), |entries| {
        let ready = |entry: &Entry| matches!(entry, Entry::Snapshot { mark: SnapshotMark::Ready { .. }, .. });
        entries.remove(first(entries, ready) - 1);
    });
    refused("a range left out", "does not begin where", first_read(23), |entries| {
        let second = chunks(entries).find(|chunk| chunk.number == 1).expect("a table of several chunks");
        second.key_from = second.key_to.clone();
        second.rows.clear();
    });
    refused("a chunk behind the end", "behind the table's end", first_read(24), |entries| {
        let mut last = chunks(entries).find(|chunk| chunk.key_to.is_none()).expect("a last chunk").clone();
        last.number += 1;
        let at = first(entries, |entry| matches!(entry, Entry::Chunk(chunk) if chunk.key_to.is_none()));
        entries.insert(at + 1, Entry::Chunk(last));
    });
    refused("a chunk of a shape that is no longer the table's", "another shape", first_read(25), |entries| {
        let at = first(entries, is_chunk);
        let shape = first(entries, |entry| matches!(entry, Entry::Schema { .. }));
        let Entry::Schema { source, incarnation, position, schema, .. } = entries[shape].clone() else { return };
        // A column that no map reads, so that nobody is asked about the change itself.
        let mut schema = schema;
        schema.columns.last_mut().expect("columns").native += 1;
        let fingerprint = Plan::new(&schema).fingerprint();
        entries.insert(at, Entry::Schema { source, incarnation, position, fingerprint, schema });
    });
}

/// Tells it mangled. The journal has it, its table is held by a text with `word`, and reading again ends that.
fn held(name: &str, word: &str, (mut world, mut entries): (World, Vec<Entry>), mangle: impl Fn(&mut Vec<Entry>)) {
    mangle(&mut entries);
    world.tell(entries);
    world.drain();
    let halted = world.halted.iter().find(|what| what.contains("was not folded"));
    let halted = halted.unwrap_or_else(|| panic!("{name} is held: {:?}", world.halted));
    assert!(halted.contains(word) && halted.contains("public."), "{name}: {halted}");
    world.crash();
    world.settle_everything();
    world.check();
}

fn cut(row: &mut Row) {
    row.0 = row.0[..row.0.len() - 1].into();
}

fn after(row: &mut RowEntry) -> Option<&mut Row> {
    match &mut row.change {
        RowChange::Insert(after) | RowChange::Update { after, .. } => Some(after),
        RowChange::Delete { .. } => None,
    }
}

#[test]
fn a_row_that_does_not_read_as_its_schema_says_holds_its_table() {
    held("a row cut short", "does not explain", stream(31), |entries| {
        cut(rows(entries).find_map(after).expect("a row"));
    });
    held("a row cut short in a large transaction", "does not explain", stream(32), |entries| {
        cut(rows(entries).filter(|row| row.commit.is_none()).find_map(after).expect("a row"));
    });
    held("a row without its key", "without its key", stream(33), |entries| {
        // The branch of the first cell says that the log did not tell it.
        let row = rows(entries).find_map(after).expect("a row");
        let mut bytes = vec![4];
        bytes.extend(&row.0[2..]);
        row.0 = bytes.into();
    });
    held("a chunk with a row cut short", "does not explain", first_read(34), |entries| {
        cut(chunks(entries).find_map(|chunk| chunk.rows.first_mut()).expect("a row"));
    });
    held("a chunk with a row twice", "two rows of one key", first_read(35), |entries| {
        let chunk = chunks(entries).find(|chunk| !chunk.rows.is_empty()).expect("rows");
        chunk.rows.push(chunk.rows[0].clone());
    });
    held("a chunk with a row outside", "outside of its range", first_read(36), |entries| {
        let stray = chunks(entries).find(|chunk| chunk.number == 1).expect("a second chunk").rows[0].clone();
        chunks(entries).find(|chunk| chunk.number == 0 && chunk.rows.len() == 3).expect("a first").rows.push(stray);
    });
}
