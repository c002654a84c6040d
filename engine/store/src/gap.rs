//! Stretches of keys where the base has nothing: so that a run of new, rising keys is not looked up one by one.
//!
//! * One a family of keys (their first byte), found behind a miss: from the key that was missed to the next that is there.
//! * Good for one state of the base only; whoever moves it forgets them.
//! * A family whose gaps are of no use (its keys come in random order) is asked less and less often.

use std::collections::BTreeMap;

/// After a gap that was of no use so many misses pass before the next one is looked for.
const IDLE: u32 = 64;

/// The gaps that are known.
#[derive(Default)]
pub struct Gaps(BTreeMap<u8, Gap>);

#[derive(Default)]
struct Gap {
    from: Vec<u8>,
    to: Vec<u8>,
    used: bool,
    idle: u32,
}

impl Gaps {
    /// Whether the base is known not to have this key.
    pub fn holds(&mut self, key: &[u8]) -> bool {
        let Some(gap) = key.first().and_then(|family| self.0.get_mut(family)) else { return false };
        let inside = *gap.from <= *key && *key < *gap.to;
        gap.used |= inside;
        inside
    }

    /// The base has not got this key. Returns to where its gap is to be looked for, if it is worth it.
    pub fn missed(&mut self, key: &[u8]) -> Option<[u8; 1]> {
        let family = *key.first()?;
        let end = family.checked_add(1)?;
        let gap = self.0.entry(family).or_insert(Gap { used: true, ..Gap::default() });
        if gap.idle > 0 {
            gap.idle -= 1;
            return None;
        }
        gap.idle = if gap.used { 0 } else { IDLE };
        Some([end])
    }

    /// Notes that the base has nothing from `from` up to `to`.
    pub fn found(&mut self, from: &[u8], to: &[u8]) {
        if let Some(gap) = from.first().and_then(|family| self.0.get_mut(family)) {
            (gap.from, gap.to, gap.used) = (from.to_vec(), to.to_vec(), false);
        }
    }

    /// The base is another one.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_ends_where_the_next_key_is() {
        let mut gaps = Gaps::default();
        assert!(!gaps.holds(b"ab"));
        assert_eq!(gaps.missed(b"ab"), Some(*b"b"));
        gaps.found(b"ab", b"ad");
        assert!(gaps.holds(b"ab") && gaps.holds(b"acz"));
        assert!(!gaps.holds(b"aa") && !gaps.holds(b"ad") && !gaps.holds(b"bc") && !gaps.holds(b""));
        gaps.forget();
        assert!(!gaps.holds(b"ab"));
    }

    #[test]
    fn a_family_without_runs_is_left_alone() {
        let mut gaps = Gaps::default();
        let mut looked = 0;
        for n in (0..=200u8).rev() {
            if gaps.missed(&[7, n]).is_some() {
                gaps.found(&[7, n], &[7, n + 1]);
                looked += 1;
            }
        }
        assert!(looked <= 6, "{looked}");
    }
}
