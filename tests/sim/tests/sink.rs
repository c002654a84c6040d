//! The in-memory sink keeps the contract of every sink.

use conformance::sink::{Mishap, Target, suite};
use lockstep_sim::memory::{self, MemorySink};
use model::{EffectId, Hash, Json, Unit, UnitId, Write};
use ports::{Boxed, SendBase, SendRequest, Sink};

#[derive(Default)]
struct Memory {
    sink: MemorySink,
    saved: lockstep_sim::target::Target,
}

fn unit(n: u8) -> Unit {
    Unit { resource_type: "Patient".into(), id: UnitId::from_bytes([n; 16]) }
}

fn ready<'a, T: Send + 'a>(value: T) -> Boxed<'a, T> {
    Box::pin(async { value })
}

impl Target for Memory {
    fn sink(&self) -> &dyn Sink {
        &self.sink
    }

    fn request(&self, n: u8, text: Option<&str>, base: SendBase) -> SendRequest {
        let effect = EffectId(Hash::of(format!("{n} {text:?} {base:?}").as_bytes()));
        let body = text.map(|text| format!("{{\"language\":\"{text}\"}}").into_bytes()).unwrap_or_default();
        SendRequest {
            effect,
            request: effect.request(),
            unit: unit(n),
            write: if text.is_some() { Write::Put } else { Write::Delete },
            base,
            body: body.into(),
            body_hash: Hash::default(),
            attempt: 1,
        }
    }

    fn foreign(&mut self, n: u8, text: Option<&str>) -> Boxed<'_, ()> {
        let body = text.map(|text| Json::object([("language", Json::text(text))]));
        let version = lockstep_sim::target::Version { request: None, body };
        self.sink.lock().target.units.entry(unit(n).to_string()).or_default().push(version);
        ready(())
    }

    fn versions(&mut self, n: u8) -> Boxed<'_, Vec<Box<str>>> {
        let versions = self.sink.versions(&unit(n));
        ready((1..=versions).rev().map(|version| version.to_string().into()).collect())
    }

    fn mishap(&mut self, mishap: Mishap) -> Boxed<'_, ()> {
        self.sink.lock().next = match mishap {
            Mishap::LoseReply => memory::Mishap::LoseReply,
            Mishap::Cut => memory::Mishap::Cut,
        };
        ready(())
    }

    fn save(&mut self) -> Boxed<'_, ()> {
        self.saved = self.sink.lock().target.clone();
        ready(())
    }

    fn restore(&mut self) -> Boxed<'_, ()> {
        self.sink.lock().target = self.saved.clone();
        ready(())
    }

    fn down(&mut self) -> Boxed<'_, ()> {
        self.sink.stop();
        ready(())
    }
}

#[tokio::test]
async fn the_memory_sink_keeps_the_contract() {
    suite(async || Memory::default()).await;
}
