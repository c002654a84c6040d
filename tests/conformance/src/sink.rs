//! The suite of [`Sink`]: what a write becomes, what a lost reply becomes, what a look finds.
//!
//! An implementation's test calls [`suite`] with a way to make targets; each case gets a new one. What is asked for is the
//! contract in `ports`, nothing more: of refusals only that nothing is written and that what stands is told.

use model::{Json, Outcome, Unit, Write};
use ports::{Boxed, ForeignVersion, Look, SendBase, SendRequest, Sink, SinkReply, Written};

/// A target that the test owns, and the sink that writes to it.
pub trait Target: Send {
    /// The sink.
    fn sink(&self) -> &dyn Sink;
    /// A write of the unit number `n` that says `text`; `None` deletes it. Equal arguments make the same effect.
    fn request(&self, n: u8, text: Option<&str>, base: SendBase) -> SendRequest;
    /// Somebody else writes the unit, or deletes it.
    fn foreign(&mut self, n: u8, text: Option<&str>) -> Boxed<'_, ()>;
    /// The unit's version ids, newest first.
    fn versions(&mut self, n: u8) -> Boxed<'_, Vec<Box<str>>>;
    /// What happens to the next write.
    fn mishap(&mut self, mishap: Mishap) -> Boxed<'_, ()>;
    /// Remembers everything as it is now.
    fn save(&mut self) -> Boxed<'_, ()>;
    /// Everything is again as it was remembered, for the sink to see at the same place.
    fn restore(&mut self) -> Boxed<'_, ()>;
    /// The target is not there any more.
    fn down(&mut self) -> Boxed<'_, ()>;
}

/// What can happen to a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mishap {
    /// It is applied, and its reply is lost.
    LoseReply,
    /// It does not arrive.
    Cut,
}

/// Runs every case, each on a target of its own.
pub async fn suite<T: Target>(make: impl AsyncFn() -> T) {
    each_write_makes_one_version(make().await).await;
    an_effect_sent_twice_is_written_once(make().await).await;
    a_lost_reply_is_settled_and_settling_writes_nothing(make().await).await;
    what_did_not_arrive_is_sent_again(make().await).await;
    a_create_overwrites_nothing(make().await).await;
    an_update_overwrites_nothing_it_was_not_decided_on(make().await).await;
    an_edit_on_top_of_ours_comes_with_the_outcome(make().await).await;
    what_somebody_deleted_is_gone(make().await).await;
    a_look_finds_what_we_wrote_and_nothing_else(make().await).await;
    a_look_names_an_edit_and_a_deletion_of_others(make().await).await;
    a_look_names_a_target_that_went_back_in_time(make().await).await;
    a_look_at_a_target_that_is_down_fails_as_unreachable(make().await).await;
}

async fn each_write_makes_one_version(mut target: impl Target) {
    let first = create(&target, 1, "a").await;
    let second = accepted(target.sink().send(target.request(1, Some("b"), SendBase::Version(first.clone()))).await);
    let third = accepted(target.sink().send(target.request(1, None, SendBase::Version(second.clone()))).await);
    let again = accepted(target.sink().send(target.request(1, Some("c"), SendBase::Deleted(third.clone()))).await);
    assert_eq!(target.versions(1).await, [again, third, second, first]);
}

async fn an_effect_sent_twice_is_written_once(mut target: impl Target) {
    let first = create(&target, 1, "a").await;
    assert_eq!(create(&target, 1, "a").await, first);
    let update = target.request(1, Some("b"), SendBase::Version(first));
    let second = accepted(target.sink().send(update.clone()).await);
    assert_eq!(accepted(target.sink().send(update).await), second);
    assert_eq!(target.versions(1).await.len(), 2);
}

async fn a_lost_reply_is_settled_and_settling_writes_nothing(mut target: impl Target) {
    target.mishap(Mishap::LoseReply).await;
    let request = target.request(1, Some("a"), SendBase::Create);
    let reply = target.sink().send(request.clone()).await;
    assert!(matches!(reply, SinkReply::Unknown { .. }), "nobody knows: {reply:?}");
    let version = accepted(target.sink().settle(request.clone()).await);
    assert_eq!(accepted(target.sink().settle(request).await), version);
    assert_eq!(target.versions(1).await, [version]);
}

async fn what_did_not_arrive_is_sent_again(mut target: impl Target) {
    target.mishap(Mishap::Cut).await;
    let request = target.request(1, Some("a"), SendBase::Create);
    let reply = target.sink().send(request.clone()).await;
    assert!(matches!(reply, SinkReply::Unknown { .. } | SinkReply::NotApplied { .. }), "{reply:?}");
    let reply = target.sink().settle(request.clone()).await;
    assert!(matches!(reply, SinkReply::NotApplied { .. }), "its base stands: {reply:?}");
    assert!(target.versions(1).await.is_empty(), "settling writes nothing");
    accepted(target.sink().send(request).await);
    assert_eq!(target.versions(1).await.len(), 1);
}

async fn a_create_overwrites_nothing(mut target: impl Target) {
    target.foreign(1, Some("theirs")).await;
    let before = target.versions(1).await;
    let (version, current, _) = stale(target.sink().send(target.request(1, Some("ours"), SendBase::Create)).await);
    assert_eq!((Some(&version), current.is_some()), (before.first(), true));
    assert_eq!(target.versions(1).await, before);
}

async fn an_update_overwrites_nothing_it_was_not_decided_on(mut target: impl Target) {
    let first = create(&target, 1, "a").await;
    target.foreign(1, Some("theirs")).await;
    let before = target.versions(1).await;
    for text in [Some("b"), None] {
        let request = target.request(1, text, SendBase::Version(first.clone()));
        let (version, current, _) = stale(target.sink().send(request).await);
        assert_eq!((Some(&version), current.is_some()), (before.first(), true));
    }
    assert_eq!(target.versions(1).await, before);
}

async fn an_edit_on_top_of_ours_comes_with_the_outcome(mut target: impl Target) {
    target.mishap(Mishap::LoseReply).await;
    let request = target.request(1, Some("a"), SendBase::Create);
    drop(target.sink().send(request.clone()).await);
    target.foreign(1, Some("theirs")).await;
    target.foreign(1, Some("theirs again")).await;
    let versions = target.versions(1).await;
    for reply in [target.sink().settle(request.clone()).await, target.sink().send(request.clone()).await] {
        let SinkReply::Final { outcome: Outcome::Accepted { version, .. }, foreign } = reply else {
            panic!("ours stands below: {reply:?}")
        };
        let above: Vec<_> = foreign.iter().map(|ForeignVersion { version, .. }| version).rev().collect();
        assert_eq!((&version, above), (&versions[2], vec![&versions[0], &versions[1]]), "oldest first");
        assert!(foreign.iter().all(|held| !held.beneath && !held.deleted && held.body != Json::Null));
    }
}

async fn what_somebody_deleted_is_gone(mut target: impl Target) {
    let first = create(&target, 1, "a").await;
    target.foreign(1, None).await;
    let before = target.versions(1).await;
    let reply = target.sink().send(target.request(1, Some("b"), SendBase::Version(first))).await;
    let SinkReply::Final { outcome: Outcome::Gone { version }, .. } = reply else { panic!("it is gone: {reply:?}") };
    assert_eq!(version.as_ref(), before.first());
    assert_eq!(target.versions(1).await, before);
}

async fn a_look_finds_what_we_wrote_and_nothing_else(mut target: impl Target) {
    assert_eq!(look(&target, None).await, Look::Answered, "nothing was written yet");
    let request = target.request(1, Some("a"), SendBase::Create);
    let first = accepted(target.sink().send(request.clone()).await);
    assert_eq!(look(&target, Some(written(&request, &first))).await, Look::Ours);
    let unstamped = Written { request: None, ..written(&request, &first) };
    assert_eq!(look(&target, Some(unstamped)).await, Look::Ours);
    let delete = target.request(1, None, SendBase::Version(first));
    let second = accepted(target.sink().send(delete.clone()).await);
    assert_eq!(look(&target, Some(written(&delete, &second))).await, Look::Ours, "a deletion of ours stands");
    assert_eq!(target.versions(1).await.len(), 2, "looking writes nothing");
    assert!(target.sink().heartbeat_seconds() > 0);
}

async fn a_look_names_an_edit_and_a_deletion_of_others(mut target: impl Target) {
    let request = target.request(1, Some("a"), SendBase::Create);
    let known = written(&request, &accepted(target.sink().send(request.clone()).await));
    for (text, gone) in [(Some("theirs"), false), (None, true), (Some("once more"), false)] {
        target.foreign(1, text).await;
        let top = target.versions(1).await.swap_remove(0);
        let expected = if gone { Look::Gone(Some(top)) } else { Look::Foreign(top) };
        assert_eq!(look(&target, Some(known.clone())).await, expected);
    }
    let never = target.request(2, Some("a"), SendBase::Create);
    assert_eq!(look(&target, Some(written(&never, "1"))).await, Look::Gone(None));
}

async fn a_look_names_a_target_that_went_back_in_time(mut target: impl Target) {
    let first = create(&target, 1, "a").await;
    target.save().await;
    let update = target.request(1, Some("b"), SendBase::Version(first.clone()));
    let known = written(&update, &accepted(target.sink().send(update.clone()).await));
    target.restore().await;
    assert_eq!(look(&target, Some(known.clone())).await, Look::Behind(first));
    // Others write on until the number is the same again: it is another version all the same.
    target.foreign(1, Some("theirs")).await;
    let top = target.versions(1).await.swap_remove(0);
    assert_eq!(look(&target, Some(known)).await, Look::Behind(top));
}

async fn a_look_at_a_target_that_is_down_fails_as_unreachable(mut target: impl Target) {
    let request = target.request(1, Some("a"), SendBase::Create);
    let known = written(&request, &accepted(target.sink().send(request.clone()).await));
    target.down().await;
    for asked in [None, Some(known)] {
        let fault = target.sink().look(asked).await.expect_err("it is down");
        assert!(fault.unreachable, "{fault}");
    }
}

async fn look(target: &impl Target, written: Option<Written>) -> Look {
    target.sink().look(written).await.expect("it is up, and lets us in")
}

async fn create(target: &impl Target, n: u8, text: &str) -> Box<str> {
    accepted(target.sink().send(target.request(n, Some(text), SendBase::Create)).await)
}

/// What is known of a unit when this request was accepted as this version.
pub fn written(request: &SendRequest, version: &str) -> Written {
    let unit: Unit = request.unit.clone();
    let exists = request.write == Write::Put;
    Written { unit, version: version.into(), exists, request: exists.then_some(request.request) }
}

/// The version of an accepted reply with nothing foreign.
#[track_caller]
pub fn accepted(reply: SinkReply) -> Box<str> {
    match reply {
        SinkReply::Final { outcome: Outcome::Accepted { version, .. }, foreign } if foreign.is_empty() => version,
        reply => panic!("not accepted: {reply:?}"),
    }
}

/// Version, what stands and what lies beneath of a stale reply.
#[track_caller]
pub fn stale(reply: SinkReply) -> (Box<str>, Option<Json>, Option<Json>) {
    match reply {
        SinkReply::Final { outcome: Outcome::Stale { version, current, over }, .. } => (version, current, over),
        reply => panic!("not stale: {reply:?}"),
    }
}
