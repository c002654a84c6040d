//! The sink keeps the contract of every sink, and what it says of a server that is down, changed or not ours any more.

use super::{FLAGS, Peer};
use conformance::sink::{Mishap, Target, accepted, suite, written};
use lockstep_fhir::FhirSink;
use ports::{Boxed, Failure, Look, Readback, SendBase, SendRequest, Sink, SinkReply};
use sandbox::Like;

/// A server with a file, which can be put back.
struct Server {
    peer: Option<Peer>,
    sink: FhirSink,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start(like: Like) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let mut options = sandbox::Options::new(like);
        options.file = Some(folder.path().join("fhir.log"));
        let peer = Peer::start_as(options).await;
        Server { sink: peer.sink(), peer: Some(peer), folder }
    }

    fn peer(&self) -> &Peer {
        self.peer.as_ref().unwrap()
    }
}

impl Target for Server {
    fn sink(&self) -> &dyn Sink {
        &self.sink
    }

    fn request(&self, n: u8, text: Option<&str>, base: SendBase) -> SendRequest {
        match text {
            Some(text) => self.peer().put(n, text, base),
            None => self.peer().delete(n, base),
        }
    }

    fn foreign(&mut self, n: u8, text: Option<&str>) -> Boxed<'_, ()> {
        let text = text.map(str::to_owned);
        Box::pin(async move {
            match text {
                Some(text) => self.peer().foreign(n, &text).await,
                None => self.peer().foreign_delete(n).await,
            }
        })
    }

    fn versions(&mut self, n: u8) -> Boxed<'_, Vec<Box<str>>> {
        Box::pin(async move {
            let versions = self.sink.versions(&self.peer().unit(n)).await.unwrap();
            versions.into_iter().map(|held| held.version).collect()
        })
    }

    fn mishap(&mut self, mishap: Mishap) -> Boxed<'_, ()> {
        let rule = match mishap {
            Mishap::LoseReply => r#"{"method":"PUT","lose_reply_after_commit":{"next":1}}"#,
            Mishap::Cut => r#"{"method":"PUT","cut_before_commit":{"next":1}}"#,
        };
        Box::pin(self.peer().faults(rule))
    }

    fn save(&mut self) -> Boxed<'_, ()> {
        std::fs::copy(self.folder.path().join("fhir.log"), self.folder.path().join("backup")).unwrap();
        Box::pin(async {})
    }

    fn restore(&mut self) -> Boxed<'_, ()> {
        let peer = self.peer.take().unwrap();
        let (backup, file) = (self.folder.path().join("backup"), self.folder.path().join("fhir.log"));
        let put_back = move || assert!(std::fs::copy(backup, file).is_ok());
        Box::pin(async move { self.peer = Some(peer.begin_again(put_back).await) })
    }

    fn down(&mut self) -> Boxed<'_, ()> {
        let peer = self.peer.take().unwrap();
        Box::pin(peer.stop())
    }
}

#[tokio::test]
async fn the_sink_keeps_the_contract_before_both_kinds_of_server() {
    for like in FLAGS {
        suite(async || Server::start(like).await).await;
    }
}

#[tokio::test]
async fn a_look_that_is_not_let_in_names_the_token() {
    let peer = Peer::start_with_token(Like::Spec, "right").await;
    let request = peer.put(1, "a", SendBase::Create);
    let known = written(&request, &accepted(peer.sink().send(request.clone()).await));
    let sink = peer.sink_with(|options| options.bearer = Some(lockstep_fhir::Secret::new("wrong")));
    for asked in [None, Some(known.clone())] {
        let fault = sink.look(asked).await.unwrap_err();
        assert!(fault.failure == Failure::Misconfigured && !fault.unreachable, "{fault}");
        assert!(fault.what.contains("401") && fault.cure.contains("token"), "{fault}");
    }
    assert_eq!(peer.sink().look(Some(known)).await, Ok(Look::Ours));
}

#[tokio::test]
async fn a_path_that_is_not_fhir_does_not_say_that_a_unit_is_gone() {
    let peer = Peer::start(Like::Spec).await;
    let request = peer.put(1, "a", SendBase::Create);
    let known = written(&request, &accepted(peer.sink().send(request.clone()).await));
    let elsewhere = peer.sink_with(|options| options.base_url = options.base_url.replace("/fhir", "/other"));
    let fault = elsewhere.look(Some(known)).await.unwrap_err();
    assert_eq!(fault.failure, Failure::Misconfigured, "{fault}");
}

#[tokio::test]
async fn a_token_that_is_renewed_in_its_file_is_taken_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    let peer = Peer::start_with_token(Like::Spec, "old").await;
    let sink = peer.sink_with(|options| options.bearer_file = Some(file.clone()));
    let first = accepted(sink.send(peer.put(1, "a", SendBase::Create)).await);

    let peer = peer.begin_again_with_token("new").await;
    let known = |text| peer.put(1, text, SendBase::Create);
    let SinkReply::Failed(fault) = sink.send(known("a")).await else { panic!("nobody knows the old token") };
    assert!(fault.failure == Failure::Misconfigured && fault.cure.contains("read again by itself"), "{fault}");
    for nothing in ["", "two words", "old"] {
        std::fs::write(&file, nothing).unwrap();
        assert!(matches!(sink.send(known("a")).await, SinkReply::Failed(_)), "{nothing:?} is no other token");
    }
    std::fs::write(&file, "new\n").unwrap();
    assert_eq!(accepted(sink.send(known("a")).await), first, "a new server numbers from 1 again");
    assert_eq!(sink.look(None).await, Ok(Look::Answered));
    assert_eq!(peer.versions(1).await.len(), 1);
}
