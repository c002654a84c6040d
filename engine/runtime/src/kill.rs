//! Kill points: a test names the durable operation at which the process shall die, as by `kill -9`.
//!
//! `LOCKSTEP_KILL_AT=7`: before or behind a durable operation, counted from the start. `LOCKSTEP_KILL_AT=chunk`: right behind
//! the first chunk of a first read that this process makes durable, with nothing behind it but the mark that its table is read.
//! `LOCKSTEP_PANIC_ON=TEXT` does not kill: folding a row that holds the text panics, every time (J32).

use model::{Entry, SnapshotMark};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The variable that names the point.
pub const KILL_AT: &str = "LOCKSTEP_KILL_AT";
/// The variable that names a text: folding a row that holds it panics (J32).
const PANIC_ON: &str = "LOCKSTEP_PANIC_ON";

/// Counts durable operations; at the chosen one the process is gone.
#[derive(Clone, Debug)]
pub struct KillPoints {
    at: u64,
    at_chunk: bool,
    reached: Arc<AtomicU64>,
}

impl KillPoints {
    /// Never kills.
    pub fn none() -> KillPoints {
        KillPoints { at: 0, at_chunk: false, reached: Arc::new(AtomicU64::new(0)) }
    }

    /// Kills where the environment says, if it does.
    pub fn from_env() -> KillPoints {
        KillPoints::named(&std::env::var(KILL_AT).unwrap_or_default())
    }

    fn named(text: &str) -> KillPoints {
        KillPoints { at: text.parse().unwrap_or(0), at_chunk: text == "chunk", ..KillPoints::none() }
    }

    /// One durable operation is about to begin, or has just ended.
    pub(crate) fn reach(&self) {
        let here = self.reached.fetch_add(1, Ordering::Relaxed) + 1;
        if here == self.at {
            die();
        }
    }

    /// Cuts what is about to be appended behind its first chunk, if that is the point; then [`KillPoints::behind_chunk`]
    /// must follow the append. Source and flow never hear of the cut: it is one at which the process could have died.
    pub(crate) fn cut_behind_chunk(&self, bodies: &mut Vec<Arc<[Entry]>>) -> bool {
        let chunk = |body: &Arc<[Entry]>| body.iter().position(|entry| matches!(entry, Entry::Chunk(_)));
        let found = bodies.iter().enumerate().find_map(|(at, body)| Some((at, chunk(body)?)));
        let (Some((at, chunk)), true) = (found, self.at_chunk) else { return false };
        let ready = |entry: &Entry| matches!(entry, Entry::Snapshot { mark: SnapshotMark::Ready { .. }, .. });
        let end = if bodies[at].get(chunk + 1).is_some_and(ready) { chunk + 2 } else { chunk + 1 };
        bodies[at] = bodies[at][..end].into();
        bodies.truncate(at + 1);
        true
    }

    /// What [`KillPoints::cut_behind_chunk`] left is durable.
    pub(crate) fn behind_chunk(&self, cut: bool) {
        if cut {
            die();
        }
    }

    /// How many were reached.
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::Relaxed)
    }
}

/// The text that a test wants folding to panic on, if one does.
pub fn poison_from_env() -> Option<Box<str>> {
    std::env::var(PANIC_ON).ok().filter(|text| !text.is_empty()).map(Into::into)
}

fn die() {
    let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // SIGKILL cannot be refused for one's own process; the signal may take a moment to arrive.
    while killed.is_ok() {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Chunk, Fingerprint, Incarnation, SourcePosition};

    fn chunk() -> Entry {
        let at = SourcePosition::default();
        Entry::Chunk(Chunk {
            source: "legacy".into(),
            incarnation: Incarnation(1),
            schema: Fingerprint(1),
            number: 0,
            key_from: None,
            key_to: None,
            rows: Vec::new(),
            low: at,
            high: at,
        })
    }

    fn ready() -> Entry {
        let mark = SnapshotMark::Ready { table: "public.a".into(), at: SourcePosition::default() };
        Entry::Snapshot { source: "legacy".into(), incarnation: Incarnation(1), mark }
    }

    #[test]
    fn an_append_is_cut_behind_its_first_chunk_and_the_mark_that_closes_the_table() {
        let cut = |bodies: &[&[Entry]]| {
            let mut bodies: Vec<Arc<[Entry]>> = bodies.iter().map(|body| Arc::from(*body)).collect();
            let cut = KillPoints::named("chunk").cut_behind_chunk(&mut bodies);
            (cut, bodies.iter().map(|body| body.len()).collect::<Vec<_>>())
        };
        assert_eq!(cut(&[&[Entry::Clock]]), (false, vec![1]));
        assert_eq!(cut(&[&[Entry::Clock], &[Entry::Clock, chunk(), Entry::Clock]]), (true, vec![1, 2]));
        assert_eq!(cut(&[&[chunk(), ready(), chunk()], &[Entry::Clock]]), (true, vec![2]));
    }

    #[test]
    fn only_the_word_cuts() {
        for named in ["", "7", "chunks"] {
            let mut bodies = vec![Arc::from([chunk(), Entry::Clock])];
            assert!(!KillPoints::named(named).cut_behind_chunk(&mut bodies) && bodies[0].len() == 2);
        }
    }
}
