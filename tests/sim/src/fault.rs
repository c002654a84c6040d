//! What may go wrong in a run, and what may be in it: each seed has a part of both (swarm testing), so that no fault hides
//! behind another.

use std::collections::BTreeSet;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$each:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $type { $($(#[$each])* $variant,)* }

        impl $type {
            /// Every one.
            pub const ALL: &'static [$type] = &[$($type::$variant),*];

            /// As reports print it.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name,)* }
            }
        }
    };
}

names! {
    /// What goes wrong.
    Fault {
        /// `kill -9`: what was written stands, what was not is gone.
        Crash = "crash",
        /// The connection to the source is cut.
        Cut = "source cut",
        /// Somebody drops the slot.
        SlotLost = "slot lost",
        /// A standby takes over that had not received the last transactions.
        Failover = "older timeline",
        /// The source is restored from a backup of long ago.
        Restored = "source restored",
        /// A transaction is rolled back.
        Aborted = "rollback",
        /// A transaction is in the log before any reader sees it.
        SeenLate = "commit seen late",
        /// A column is added, or gets another type.
        Ddl = "DDL",
        /// A table is emptied without a word of its rows.
        Truncated = "truncation",
        /// A request is applied, and its answer is lost.
        LostReply = "lost reply",
        /// A request fails before it is applied: a cut, a 5xx.
        ServerError = "server error",
        /// A request that nobody waits for any more arrives all the same.
        LateTwin = "late twin",
        /// An answer takes long.
        Stalled = "stalled body",
        /// 429: come back later.
        Busy = "too many requests",
        /// 409, 412: refused although the base stands.
        Refused = "refused",
        /// 422: the content is refused.
        Rejected = "rejected content",
        /// Somebody else writes.
        ForeignEdit = "foreign edit",
        /// Somebody else deletes.
        ForeignDelete = "foreign delete",
        /// The clock jumps forward.
        ClockForward = "clock forward",
        /// The clock jumps back.
        ClockBack = "clock back",
        /// The state is lost, and folded from nothing.
        StateLost = "state lost",
        /// The power is cut: what was not flushed is there or not.
        PowerLoss = "power loss",
        /// .. and of one write a part.
        Torn = "torn sectors",
        /// .. and names that their directory did not flush.
        NameLost = "name lost",
        /// A flush fails, and the kernel forgets what it held.
        FlushFailed = "flush failed",
        /// The disk is full.
        DiskFull = "disk full",
        /// A bit of a log flips.
        Rot = "bit rot",
    }
}

names! {
    /// What may be in a run.
    Feature {
        /// Names and addresses that move, keys that change, codes that no map knows.
        Wild = "wild data",
        /// Transactions of many rows.
        Large = "large transactions",
        /// Small limits: every path of steps, spills and read-backs.
        Small = "small limits",
        /// Other maps are activated.
        Maps = "maps",
        /// People answer what waits for them.
        People = "people",
        /// Tables are read again.
        ReadAgain = "tables read again",
    }
}

impl Fault {
    /// Whether it needs logs on a disk.
    pub fn is_of_disk(self) -> bool {
        use Fault::{DiskFull, FlushFailed, NameLost, PowerLoss, Rot, Torn};
        matches!(self, PowerLoss | Torn | NameLost | FlushFailed | DiskFull | Rot)
    }
}

/// Which faults may happen in a run.
pub type Faults = BTreeSet<Fault>;
