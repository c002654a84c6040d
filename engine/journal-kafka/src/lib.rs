//! A log in one partition of a Kafka topic: a spike, to keep the contract of `ports::Journal` honest (J36).
//!
//! Not wired into anything. [`Reading`] says what a reader takes of a partition that anybody may have written into; it has
//! no I/O and is always built. `KafkaLog`, behind the cargo feature `kafka`, is the log itself over librdkafka.
//!
//! ```text
//!  offset   0          1       2       3          4       5          6
//!         Opened(t1)  1:2     1:3   Opened(t2)   1:4    Opened(t3)   …
//!                              │       │ seq 3      │ term 1          only what continues the chain is an entry
//!                              │       └─ void: it lost the race     └─ void: a zombie's
//!                              └─ a zombie's last
//! ```
//! * A record carries `(writer, term, seq)` in its body and `prev`, the chain before it (J2), in a header. No transaction
//!   of the broker and no consumer group is needed.
//! * `append` returns when every replica in sync has the records, and this reader has taken them back: a writer that was
//!   overtaken hears of it there.
//! * What is void or repeated stays in the partition, and takes no number.

#[cfg(feature = "kafka")]
mod log;
mod reading;

#[cfg(feature = "kafka")]
pub use log::{Config, KafkaLog};
pub use reading::{Broken, Reading, Taken, Verdict, stamp};
