//! The tokio driver: the only place where clocks, threads, tasks and sockets meet the flow.
//!
//! ```text
//!   thread `flow`   owns the flow and the state: message ─► step ─► outputs          ◄── everything else ── inbox
//!   thread `log`    owns both logs: rounds of append and fsync, reads
//!   tokio (2)       source task, one task a request to the sink, control socket
//! ```
//! Knows no connector by name. Never decides anything: what to do stands in the flow's outputs.

mod clock;
pub mod core;
mod drive;
mod ended;
mod engine;
mod halts;
mod handle;
mod heartbeat;
mod inbox;
mod kill;
mod layer;
mod lock;
mod log_task;
mod source_task;

pub use clock::SystemClock;
pub use core::{Core, MakeCore, make_flow};
pub use ended::{Ended, install_panic_hook};
pub use engine::{Engine, OpenStores, Setup, Stores};
pub use halts::scope_name;
pub use handle::{FencedView, Handle};
pub use heartbeat::{Looked, TargetView};
pub use kill::{KILL_AT, KillPoints, poison_from_env};
pub use layer::is_layer_full;
pub use lock::{DataLock, LockError};
pub use log_task::{DynDecisions, DynJournal, ReservedJournal};
pub use source_task::MakeSource;
