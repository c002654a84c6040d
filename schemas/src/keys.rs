//! The keys of the state store (J20): one family a first byte, rising inside a family.
//!
//! ```text
//!  01 row        table, key                     05 aggregate  entity, root key
//!  02 join       table, index, value, root key  06 effect     system, entity, root key, n
//!  03 unit       entity, root key → id          07 ledger     system, entity, root key
//!  04 unit_by_id id → unit (the one random key) 08 mark       cause, entity's place, root key
//!  09 timer      due, id                        0b waiting    entity, key waited for, who waits
//!  0a parked     cause, unit                    0c meta       name
//! ```
//! Names end with `00 01` (a zero inside is `00 ff`); a key that something follows ends with `ff`, which is no cell's tag.
//! So no key is a prefix of another of its family by accident, and byte order is the order of the parts.

use model::{EntityName, EntryId, Mark, RowKey, SystemId, TableName, Timestamp, Unit, UnitId, WriterId};

const ROW: u8 = 1;
const JOIN: u8 = 2;
const UNIT: u8 = 3;
const UNIT_BY_ID: u8 = 4;
const AGGREGATE: u8 = 5;
const EFFECT: u8 = 6;
const LEDGER: u8 = 7;
const MARK: u8 = 8;
const TIMER: u8 = 9;
const PARKED: u8 = 10;
const WAITING: u8 = 11;
const META: u8 = 12;
const KEY_END: u8 = 0xff;

/// A half-open range of keys.
pub type KeyRange = (Vec<u8>, Vec<u8>);

/// All keys that begin with `prefix`.
pub fn range_of(prefix: Vec<u8>) -> KeyRange {
    let mut end = prefix.clone();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            break;
        }
    }
    // Families begin with small bytes, so `end` is never empty.
    (prefix, end)
}

/// A row of the shadow.
pub fn row(table: &TableName, key: &RowKey) -> Vec<u8> {
    named(ROW, table.as_str()).key(key).0
}

/// The keys of one table's rows, made one after the other in one buffer.
pub struct RowKeys {
    bytes: Vec<u8>,
    table: usize,
}

impl RowKeys {
    /// Of this table.
    pub fn of(table: &TableName) -> RowKeys {
        let bytes = named(ROW, table.as_str()).0;
        RowKeys { table: bytes.len(), bytes }
    }

    /// What [`row`] gives for the table and this key.
    pub fn at(&mut self, key: &RowKey) -> &[u8] {
        self.bytes.truncate(self.table);
        self.bytes.extend_from_slice(key.as_bytes());
        &self.bytes
    }
}

/// Every row of a table, in key order.
pub fn rows(table: &TableName) -> KeyRange {
    range_of(named(ROW, table.as_str()).0)
}

/// The rows of a table with `from < key <= to`; none is the table's end on that side (a chunk's range, J8).
pub fn rows_between(table: &TableName, from: Option<&RowKey>, to: Option<&RowKey>) -> KeyRange {
    let (start, end) = rows(table);
    // The smallest byte string above a key is the key with a zero behind it.
    let above = |key: &RowKey| {
        let mut bytes = row(table, key);
        bytes.push(0);
        bytes
    };
    (from.map_or(start, above), to.map_or(end, above))
}

/// The key of a shadow row, from its store key.
pub fn row_key(table: &TableName, key: &[u8]) -> Option<RowKey> {
    key.strip_prefix(named(ROW, table.as_str()).0.as_slice()).map(RowKey::from_bytes)
}

/// One entry of a join index: the row `root` of `table` has `value` in the index's columns.
pub fn join(table: &TableName, index: u16, value: &RowKey, root: &RowKey) -> Vec<u8> {
    named(JOIN, table.as_str()).bytes(&index.to_be_bytes()).closed_key(value).key(root).0
}

/// Every row that has `value` in the index's columns, in key order.
pub fn joined(table: &TableName, index: u16, value: &RowKey) -> KeyRange {
    range_of(named(JOIN, table.as_str()).bytes(&index.to_be_bytes()).closed_key(value).0)
}

/// Every entry of every join index.
pub fn joins() -> KeyRange {
    range_of(vec![JOIN])
}

/// The key of the joined row, from a key in [`joined`]'s range.
pub fn joined_key(table: &TableName, index: u16, value: &RowKey, key: &[u8]) -> Option<RowKey> {
    key.strip_prefix(joined(table, index, value).0.as_slice()).map(RowKey::from_bytes)
}

/// The binding of a root key: which unit it is (J41).
pub fn unit(entity: &EntityName, key: &RowKey) -> Vec<u8> {
    named(UNIT, entity.as_str()).key(key).0
}

/// Every binding of an entity.
pub fn units(entity: &EntityName) -> KeyRange {
    range_of(named(UNIT, entity.as_str()).0)
}

/// The root key of a binding, from its store key.
pub fn unit_key(entity: &EntityName, key: &[u8]) -> Option<RowKey> {
    key.strip_prefix(named(UNIT, entity.as_str()).0.as_slice()).map(RowKey::from_bytes)
}

/// What a unit id stands for.
pub fn unit_by_id(id: UnitId) -> Vec<u8> {
    Key(vec![UNIT_BY_ID]).bytes(id.as_bytes()).0
}

/// The state of an aggregate; in v0 an aggregate is a unit, named by its entity and root key so that keys rise.
pub fn aggregate(entity: &EntityName, key: &RowKey) -> Vec<u8> {
    named(AGGREGATE, entity.as_str()).key(key).0
}

/// The states of every aggregate, entity by entity.
pub fn aggregates() -> KeyRange {
    range_of(vec![AGGREGATE])
}

/// An effect, until its final outcome.
pub fn effect(system: &SystemId, entity: &EntityName, key: &RowKey, n: u64) -> Vec<u8> {
    named(EFFECT, system.as_str()).name(entity.as_str()).closed_key(key).bytes(&n.to_be_bytes()).0
}

/// The effects of one unit at a system, in decision order.
pub fn effects_of(system: &SystemId, entity: &EntityName, key: &RowKey) -> KeyRange {
    range_of(named(EFFECT, system.as_str()).name(entity.as_str()).closed_key(key).0)
}

/// The effects of every unit at a system.
pub fn effects(system: &SystemId) -> KeyRange {
    range_of(named(EFFECT, system.as_str()).0)
}

/// What a system is known to hold of a unit.
pub fn ledger(system: &SystemId, entity: &EntityName, key: &RowKey) -> Vec<u8> {
    named(LEDGER, system.as_str()).name(entity.as_str()).key(key).0
}

/// A dirty unit (J13); byte order is mark order.
pub fn mark(mark: &Mark) -> Vec<u8> {
    cause(mark.cause).bytes(&mark.entity.to_be_bytes()).key(&mark.key).0
}

/// Every mark.
pub fn marks() -> KeyRange {
    range_of(vec![MARK])
}

/// The marks of one cause.
pub fn marks_of(entry: EntryId) -> KeyRange {
    range_of(cause(entry).0)
}

/// The mark, from its store key.
pub fn mark_of(key: &[u8]) -> Option<Mark> {
    let rest = key.strip_prefix(&[MARK])?;
    let (writer, rest) = rest.split_first_chunk()?;
    let (seq, rest) = rest.split_first_chunk()?;
    let (entity, rest) = rest.split_first_chunk()?;
    let cause = EntryId { writer: WriterId(u32::from_be_bytes(*writer)), seq: u64::from_be_bytes(*seq) };
    Some(Mark { cause, entity: u16::from_be_bytes(*entity), key: RowKey::from_bytes(rest) })
}

/// A timer (J34); byte order is (due, id).
pub fn timer(due: Timestamp, id: &[u8]) -> Vec<u8> {
    instant(due).bytes(id).0
}

/// Every timer that is due at `now`.
pub fn timers_due(now: Timestamp) -> KeyRange {
    (vec![TIMER], instant(Timestamp(now.0.saturating_add(1))).0)
}

/// Every timer.
pub fn timers() -> KeyRange {
    range_of(vec![TIMER])
}

/// When a timer is due and its id, from its store key.
pub fn timer_of(key: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (due, id) = key.strip_prefix(&[TIMER])?.split_first_chunk()?;
    Some((Timestamp(u64::from_be_bytes(*due).cast_signed() ^ i64::MIN), id))
}

/// A parked unit, by its cause (J31).
pub fn parked(cause: &str, unit: &Unit) -> Vec<u8> {
    named(PARKED, cause).name(unit.resource_type.as_str()).bytes(unit.id.as_bytes()).0
}

/// The units parked for one cause.
pub fn parked_for(cause: &str) -> KeyRange {
    range_of(named(PARKED, cause).0)
}

/// Every parked unit.
pub fn all_parked() -> KeyRange {
    range_of(vec![PARKED])
}

/// A unit that waits for the `Bound` of a key (J41).
pub fn waiting(entity: &EntityName, key: &RowKey, who: UnitId) -> Vec<u8> {
    named(WAITING, entity.as_str()).closed_key(key).bytes(who.as_bytes()).0
}

/// Who waits for a key.
pub fn waiting_for(entity: &EntityName, key: &RowKey) -> KeyRange {
    range_of(named(WAITING, entity.as_str()).closed_key(key).0)
}

/// One value of the fold itself: what it stands at, which map is in force.
pub fn meta(name: &str) -> Vec<u8> {
    named(META, name).0
}

struct Key(Vec<u8>);

impl Key {
    fn name(mut self, text: &str) -> Key {
        for (n, part) in text.as_bytes().split(|byte| *byte == 0).enumerate() {
            if n > 0 {
                self.0.extend_from_slice(&[0, 0xff]);
            }
            self.0.extend_from_slice(part);
        }
        self.0.extend_from_slice(&[0, 1]);
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(bytes);
        self
    }

    fn key(self, key: &RowKey) -> Key {
        self.bytes(key.as_bytes())
    }

    fn closed_key(self, key: &RowKey) -> Key {
        self.key(key).bytes(&[KEY_END])
    }
}

fn named(family: u8, name: &str) -> Key {
    let mut key = Vec::with_capacity(48);
    key.push(family);
    Key(key).name(name)
}

fn cause(entry: EntryId) -> Key {
    Key(vec![MARK]).bytes(&entry.writer.0.to_be_bytes()).bytes(&entry.seq.to_be_bytes())
}

fn instant(due: Timestamp) -> Key {
    Key(vec![TIMER]).bytes(&(due.0 ^ i64::MIN).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Cell;

    fn key(cells: &[Cell<'_>]) -> RowKey {
        RowKey::encode(cells.iter().copied()).expect("known")
    }

    fn holds((from, to): &KeyRange, key: &[u8]) -> bool {
        from.as_slice() <= key && key < to.as_slice()
    }

    #[test]
    fn a_table_whose_name_begins_another_ones_keeps_its_rows_apart() {
        let (a, b) = (TableName::from("public.patient"), TableName::from("public.patient_name"));
        let one = key(&[Cell::Int(1)]);
        assert!(holds(&rows(&a), &row(&a, &one)));
        assert!(!holds(&rows(&a), &row(&b, &one)));
        assert_eq!(row_key(&a, &row(&a, &one)), Some(one.clone()));
        let mut keys = RowKeys::of(&a);
        assert_eq!(keys.at(&key(&[Cell::Int(-70_000)])), row(&a, &key(&[Cell::Int(-70_000)])));
        assert_eq!(keys.at(&one), row(&a, &one));
        assert_eq!(row_key(&a, &row(&b, &one)), None);
    }

    #[test]
    fn a_chunks_range_leaves_its_lower_end_out_and_takes_its_upper_end_in() {
        let table = TableName::from("t");
        let at = |n| key(&[Cell::Int(n)]);
        let range = rows_between(&table, Some(&at(-1)), Some(&at(300)));
        let inside: Vec<i64> =
            [-2, -1, 0, 7, 300, 301].into_iter().filter(|n| holds(&range, &row(&table, &at(*n)))).collect();
        assert_eq!(inside, [0, 7, 300]);
        assert!(holds(&rows_between(&table, None, None), &row(&table, &at(i64::MIN))));
        assert!(holds(&rows_between(&table, None, None), &row(&table, &at(i64::MAX))));
    }

    #[test]
    fn a_join_value_that_begins_another_ones_finds_its_own_rows_only() {
        let table = TableName::from("t");
        let (a, ab, root) = (key(&[Cell::Text("a")]), key(&[Cell::Text("a"), Cell::Null]), key(&[Cell::Int(5)]));
        assert!(holds(&joined(&table, 0, &a), &join(&table, 0, &a, &root)));
        assert!(!holds(&joined(&table, 0, &a), &join(&table, 0, &ab, &root)));
        assert!(!holds(&joined(&table, 0, &a), &join(&table, 1, &a, &root)));
        assert_eq!(joined_key(&table, 0, &a, &join(&table, 0, &a, &root)), Some(root));
    }

    #[test]
    fn marks_come_back_in_mark_order() {
        let marks = [(1, 0, 9), (1, 1, -9), (2, 0, -9), (300, 0, 0)].map(|(seq, entity, n)| Mark {
            cause: EntryId::new(1, seq),
            entity,
            key: key(&[Cell::Int(n)]),
        });
        let keys = marks.clone().map(|m| mark(&m));
        assert!(keys.is_sorted());
        assert_eq!(keys.each_ref().map(|k| mark_of(k).expect("a mark")), marks);
        assert!(holds(&marks_of(EntryId::new(1, 1)), &keys[1]) && !holds(&marks_of(EntryId::new(1, 1)), &keys[2]));
    }

    #[test]
    fn effects_of_a_unit_come_in_decision_order_and_alone() {
        let (system, entity) = (SystemId::from("cloud"), EntityName::from("patient"));
        let (seven, eight) = (key(&[Cell::Int(7)]), key(&[Cell::Int(8)]));
        let range = effects_of(&system, &entity, &seven);
        assert!(effect(&system, &entity, &seven, 2) < effect(&system, &entity, &seven, 256));
        assert!(holds(&range, &effect(&system, &entity, &seven, u64::MAX)));
        assert!(!holds(&range, &effect(&system, &entity, &eight, 0)));
    }

    #[test]
    fn a_timer_is_due_from_its_time_on() {
        let due = timer(Timestamp(-5), b"id");
        assert!(!holds(&timers_due(Timestamp(-6)), &due));
        assert!(holds(&timers_due(Timestamp(-5)), &due) && holds(&timers(), &due));
        assert_eq!(timer_of(&due), Some((Timestamp(-5), &b"id"[..])));
    }
}
