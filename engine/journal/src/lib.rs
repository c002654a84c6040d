//! The embedded log: the journal and the decisions log, each a directory of segments on local disk.
//!
//! Read `log` for what an append promises, `recover` for what is found after a crash. Invariants:
//! * What `append` returned is there after any crash, in that order, under that number.
//! * Nobody is shown what is not durable (J16).
//! * A damaged byte below the durable tail is found and named, never skipped; a torn tail above it is cut.
//!
//! ```text
//!  data_dir/journal/                            data_dir/decisions/ is the same
//!    00000001-00000000000000000001.log          segments: number, first entry
//!    00000002-00000000000000001801.log
//!    spare                                      the next one, zeros, from a quarter of the present one on
//!    reserve, owed                              space for what is vital on a full disk, and for what follows of rows (J24)
//!    tail                                       how far everything is durable
//! ```
//!
//! ```
//! use lockstep_journal::{Config, EntryCodec, Recovered, kernel_entropy};
//! # use model::Timestamp;
//! # let dir = tempfile::tempdir()?;
//! # let config = Config { segment_bytes: 65_536, reserve_bytes: 0, ..Config::new("lockstep 0.1.0", 1) };
//! // Look at every log, compare their tails, and only then open them: opening cuts a torn tail.
//! let found = Recovered::<EntryCodec>::recover(&dir.path().join("journal"))?;
//! assert_eq!(found.report().last, None);
//! let log = found.open(config, kernel_entropy(), Timestamp(0))?;
//! assert_eq!(log.term().0, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod codec;
mod disk;
mod error;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod index;
mod log;
mod memory;
mod open;
mod owed;
mod reader;
mod recover;
mod reserve;
mod resume;
mod segment;
mod spare;
mod tail;
mod walk;

pub use codec::{Codec, EntryCodec, RecordCodec, Resumes};
pub use disk::{Disk, DiskFile, Entropy, LocalDisk, kernel_entropy};
pub use log::{Config, EmbeddedLog};
pub use memory::MemoryLog;
pub use open::{Cut, Recovered, Recovery};
pub use reader::{Broken, LogReader, Place, Verification};
pub use segment::SegmentId;

/// The journal on disk.
pub type EntryLog = EmbeddedLog<EntryCodec>;
/// The decisions log on disk.
pub type RecordLog = EmbeddedLog<RecordCodec>;
