//! Everything that was printed anywhere, searched for what must never be printed.

use crate::postgres::{CANARY, KEY_CANARY};
use std::path::{Path, PathBuf};

/// Names the first line of a file that holds a patient's text or key, without repeating it.
pub fn leak_in(path: &Path) -> Option<String> {
    let text = std::fs::read(path).unwrap_or_default();
    leak(&String::from_utf8_lossy(&text)).map(|line| format!("{}:{line}", path.display()))
}

/// The number of the first line that holds a canary.
pub fn leak(text: &str) -> Option<usize> {
    text.lines().position(|line| line.contains(CANARY) || line.contains(KEY_CANARY)).map(|at| at + 1)
}

/// Files that gather what was printed.
pub struct Transcript(Vec<PathBuf>);

impl Transcript {
    /// Of these files.
    pub fn of(files: Vec<PathBuf>) -> Transcript {
        Transcript(files)
    }

    /// No line of any of them holds a canary.
    pub fn is_private(&self) {
        let leaks: Vec<String> = self.0.iter().filter_map(|file| leak_in(file)).collect();
        assert!(leaks.is_empty(), "a patient's value was printed: {}", leaks.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_and_a_key_are_found() {
        assert_eq!(leak("a\nfamily CANARY-Okafor"), Some(2));
        assert_eq!(leak("key 770000000012"), Some(1));
        assert_eq!(leak("key #9c41e07b"), None);
    }
}
