//! The promises, with the rules and the invariants of ARCHITECTURE that they stand for.
//!
//! Those before [`Property::AtRestLoss`] hold in every state; the others where the system has nothing left to do.

named! {
    /// A promise that a run broke.
    Property,
    /// A set of promises.
    Properties {
        CommittedRows = "map sees only rows of a committed state, not older than the last Commit (J7, J8, J11, J12; no_loss, no_phantom)",
        Count = "a Commit closes as many rows as it says (J11; no_phantom)",
        OneBody = "an effect has one body (J18)",
        OneVersion = "an effect has at most one version (J26, J27; one_effect)",
        InOrder = "no older effect lands over a newer one (J23; in_order)",
        AckedRises = "acknowledgements of a unit rise, one an effect (J24)",
        AckedBody = "the acknowledged version holds the effect's body (J27)",
        ForeignCited = "no foreign version is overwritten without a decision that cites it (J25, J26; nothing_discarded)",
        OwnIsOwn = "an own version is never taken for a stranger's (J27, J28, J30)",
        Tails = "journal ≥ decisions ≥ store behind every crash (J16; durable_first)",
        NoFalseAlarm = "a source is never found ahead of a journal that lost nothing (J10; halt_not_guess)",
        Ends = "the journal does not grow without a cause",
        AtRestLoss = "at rest: what is decided is what the source committed (no_loss)",
        AtRestTarget = "at rest: the target shows what is decided",
        AtRestOutcome = "at rest: every effect has an outcome (J23, J24; accounted)",
        AtRestWaiting = "at rest: no captured change waits (J30)",
        AtRestOwn = "at rest: every version of ours is in the ledger (J27, J29; one_effect)",
        AtRestForeign = "at rest: every foreign version beneath one of ours is an entry (J27; nothing_discarded)",
        AtRestCaptured = "at rest: every captured foreign version is decided (J30)",
    }
}
