//! The contracts between the core and the outside: what is durable on return, what may repeat, what order holds, who retries.
//!
//! Holds no implementation that does I/O. Every trait has a suite in `tests/conformance` and an in-memory twin.

pub mod clock;
pub mod failure;
pub mod journal;
pub mod look;
pub mod readback;
pub mod resume;
pub mod setting;
pub mod sink;
pub mod source;
pub mod state;

pub use clock::Clock;
pub use failure::{Failure, Fault};
pub use journal::{Appended, Class, Journal};
pub use look::{Look, Written};
pub use readback::{Fence, FenceSource, FencedRows, Page, Readback, Version};
pub use resume::{Resume, TableResume};
pub use setting::{Secret, SecretRef, SettingFault};
pub use sink::{ForeignVersion, NotApplied, SendBase, SendRequest, Sink, SinkReply};
pub use source::{OpenFault, Source, SourceHandle, TableProgress};
pub use state::{StateStore, StateTxn};

/// A future in a box: what a trait object's asynchronous method returns.
pub type Boxed<'a, T> = core::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
