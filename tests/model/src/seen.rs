//! What must happen somewhere in the explored states, or they prove little.

named! {
    /// Something that can go wrong, or a branch of a rule.
    Event,
    /// What happened so far.
    Seen {
        CrashInTransaction = "a crash with an open transaction in the tail",
        CrashInFlight = "a crash between send and acknowledgement",
        CrashBetweenSteps = "a crash between two steps of an input",
        TailLost = "an undurable tail was lost",
        OtherCode = "a restart with other code over recorded inputs",
        GapSeen = "a gap was found",
        ChunkBehindCrash = "a marked chunk behind a crash",
        InferredDelete = "a chunk's absence was a delete",
        ChunkLost = "an event beat a chunk's row",
        Filled = "a chunk filled an Unchanged column",
        Late = "a late request was handled",
        LateRefused = "a late request was refused by its guard",
        TwinLanded = "a late twin landed",
        Conflict = "a guard refused a write",
        OwnFound = "an own version was found behind a refused resend",
        OwnBelow = "an own version was found beneath a foreign one",
        Stale = "a Stale outcome was folded",
        Gone = "a foreign deletion was met",
        SameContent = "a foreign version with the base's content was met",
        CreatedByMatch = "If-Match on a missing resource created it",
        Voided = "effects were voided behind a Stale",
        Waited = "a captured change waited for an effect",
        StaleRow = "a row at or below its as-of was dropped: cannot happen with all rules (J7 raises an alarm)",
    }
}
