//! The rules of the contracts that the model can do without, one sentence each; with all of them nothing may break.

named! {
    /// A sentence of the contracts.
    Rule,
    /// The rules in force.
    Rules {
        AsOf = "J7: a row has an as-of; what is at or below it is stale",
        Tombstone = "J7: a deleted row keeps its as-of until the chunks are done",
        Fill = "J7: a chunk that lost still fills columns that the shadow never saw (Unchanged)",
        ChunkRow = "J8: a chunk's row counts only where the shadow's as-of is at or below the low mark",
        ChunkLack = "J8: so does its absence; an event behind the high mark protects, too",
        BehindHigh = "J8: a chunk is appended only when the stream has passed its high mark",
        VisibleLow = "J8: low is where everything below is visible to the chunk's own read",
        Range = "J8: a chunk is a range: absence is a delete",
        FoldResume = "J6: resume is a fold, not the last position",
        Wanted = "J6: a slot is wanted in a durable entry before it is made; wanted and not started is dropped and made anew",
        WholeTransaction = "J11: a transaction is seen whole",
        Void = "J11: a tail without its Commit is void",
        Ready = "J12: a unit is decided when its tables are ready",
        DurableJournal = "J16: nobody reads past the durable tail of the journal",
        Checkpoint = "J16: a checkpoint holds nothing that is not durable in the logs before it",
        ConfirmDurable = "J10: only what is durable is confirmed",
        Heartbeat = "J10: what a keepalive confirms has a durable entry of its own first, and resume folds it",
        Gap = "J10: a slot that is ahead of the journal, or gone, is a gap: read again",
        FoldDecisions = "J18: recovery folds what is recorded, and does not decide it again",
        BodyKept = "J18: the body of an unsettled effect is kept, not made again",
        SymbolicBase = "J22: an effect's base is symbolic",
        Release = "J23: only success releases; another outcome voids what was decided before it",
        VoidByInput = "J23: void is what was decided from an input before the outcome's entry, whatever its base",
        DurableDecision = "J24: an effect is sent only when its decision is durable",
        DurableAcked = "J24: the ledger moves only when Acked is durable",
        CreateGuard = "J26: the first write is guarded as a create",
        Meant = "J26: created where an update was meant, or replaced where a create was, is an outcome of its own",
        GuardedResend = "J27: a resend is guarded",
        Lifetime = "J27: without a create guard the resend waits for the lifetime of the first",
        History = "J27: settled by the versions since the base, not by the current one alone",
        SameVersion = "J27: send again only if the version is still the base's, never because the content is equal",
        Twin = "J29: a late twin is recognised",
        LookForTwin = "J29: after an attempt of unknown outcome, one read-back when its lifetime is over",
        WaitForEcho = "J30: a captured change that nobody knows waits for the unsettled effects",
        TakenOnce = "J30: a version is taken once, by Stale or by capture",
    }
}

impl Rule {
    /// The rule of this name.
    pub fn named(name: &str) -> Option<Rule> {
        Rule::ALL.iter().copied().find(|rule| rule.name().eq_ignore_ascii_case(name))
    }
}
