//! `kill -9` of a real writer: everything that it acknowledged is there, and a reader beside it never saw more.

mod support;

use lockstep_journal::{Config, EntryCodec, EntryLog, LogReader, kernel_entropy};
use model::{Entry, EntryId, Timestamp};
use ports::{Class, Journal};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};
use support::message;

const CHILD: &str = "LOCKSTEP_TEST_JOURNAL_DIR";
const ROUNDS: u64 = 20;

fn config() -> Config {
    Config { segment_bytes: 256 << 10, reserve_bytes: 64 << 10, ..Config::new("lockstep test", 1) }
}

/// The child: appends for ever and says what is durable. Does nothing when run as a test.
#[test]
fn child_writer() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let (mut log, _) = EntryLog::open(Path::new(&dir), config(), kernel_entropy(), Timestamp(0)).unwrap();
    let mut out = std::io::stdout().lock();
    for n in 0.. {
        let batches: Vec<Arc<[Entry]>> =
            (0..n % 4 + 1).map(|batch| (0..n % 37 + 1).map(|k| message(batch * 1_000 + k)).collect()).collect();
        let done = log.append(&batches, Class::Capture, Timestamp(n.cast_signed())).unwrap();
        writeln!(out, "\nacknowledged {}", done.last().unwrap().last.seq).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn twenty_kills_of_a_writer_lose_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let reader = LogReader::<EntryCodec>::open(dir.path()).unwrap();
    let (mut highest, mut seen, mut longest) = (0, 0, 0);
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_writer", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        // A different number of appends each round; the kill falls anywhere between two of them.
        let appends = 1 + (round * 29) % 97;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| Some(line.strip_prefix("acknowledged ")?.parse::<u64>().unwrap()));
        for seq in acknowledged.take(appends as usize) {
            highest = seq;
            let tail = reader.tail().unwrap().unwrap().seq;
            assert!(tail >= seq, "acknowledged means that readers may see it");
            let some = reader.read(EntryId::new(1, seen.max(1)), 1 << 20).unwrap();
            seen = some.last().unwrap().header.id.seq;
            assert!(seen <= reader.tail().unwrap().unwrap().seq);
        }
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            highest = line.strip_prefix("acknowledged ").map_or(highest, |seq| seq.parse().unwrap_or(highest));
        }
        child.wait().unwrap();

        let verified = LogReader::<EntryCodec>::open(dir.path()).unwrap().verify().unwrap();
        assert_eq!(verified.broken, None, "round {round}");
        let (log, report) = EntryLog::open(dir.path(), config(), kernel_entropy(), Timestamp(0)).unwrap();
        assert!(report.last.unwrap().seq >= highest, "round {round}: {report:?} lacks {highest}");
        assert_eq!(log.term().0, 2 * round + 2, "the child opened it, and we did");
        longest = log.tail().unwrap().seq;
    }
    let all = reader.read(EntryId::new(1, 1), usize::MAX).unwrap();
    assert_eq!(all.len() as u64, longest);
    assert!(all.iter().zip(1..).all(|(stored, seq)| stored.header.id.seq == seq));
    assert!(all.windows(2).all(|pair| pair[0].header.term <= pair[1].header.term));
    assert_eq!(reader.verify().unwrap().entries, longest);
}
