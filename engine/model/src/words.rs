//! Which word was meant: the nearest of those that are known.
//!
//! Looks at names of our own forms (keys, columns, elements, kinds), never at a value.

use alloc::{string::String, vec, vec::Vec};

/// The nearest of `known`, if it is near enough to have been meant; of equally near ones the first by its letters.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|name| (distance(word, name), name)).min();
    near.filter(|(steps, _)| *steps <= 1 + word.chars().count() / 4).map(|(_, name)| name)
}

/// Single-letter edits and swaps of neighbours between two words, capitals counting for nothing.
fn distance(a: &str, b: &str) -> usize {
    let letters = |word: &str| -> Vec<char> { String::from(word).to_lowercase().chars().collect() };
    let (a, b) = (letters(a), letters(b));
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour_and_another_word_none() {
        let known = ["birthDate", "gender"];
        assert_eq!(nearest("brithDate", known), Some("birthDate"), "a swap");
        assert_eq!(nearest("GENDR", known), Some("gender"), "an edit, and capitals");
        assert_eq!(nearest("xyz", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
