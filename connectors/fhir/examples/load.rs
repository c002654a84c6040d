//! Creates so many patients at a server through the sink and prints the rate and this process's CPU time.
//!
//! Never a benchmark of the server's correctness; the server is expected to be empty and to use the profile `sandbox`.

use lockstep_fhir::{Config, FhirSink};
use model::{EffectId, Hash, Outcome, Unit, UnitId, Write};
use ports::{SendBase, SendRequest, Sink, SinkReply};
use schemas::Profile;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let base_url = args.next().ok_or("usage: load BASE_URL [RESOURCES] [CONCURRENCY]")?;
    let count: usize = args.next().map_or(Ok(40_000), |text| text.parse())?;
    let concurrency: usize = args.next().map_or(Ok(16), |text| text.parse())?;
    let text = format!(
        "base_url = \"{base_url}\"\nprofile = \"sandbox\"\nstamp_uri = \"urn:load\"\nconcurrency = {concurrency}"
    );
    let config: Config = toml::from_str(&text)?;
    let options = config
        .options(Profile::builtin("sandbox")?, None, None, Vec::new())
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let sink = Arc::new(FhirSink::open(options)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let accepted = runtime.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let lanes: Vec<_> =
            (0..concurrency).map(|_| tokio::spawn(lane(Arc::clone(&sink), Arc::clone(&next), count))).collect();
        let mut accepted = 0;
        for lane in lanes {
            accepted += lane.await.unwrap_or_default();
        }
        accepted
    });
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let each = cpu * 1e6 / count as f64;
    println!(
        "{accepted} of {count} accepted in {seconds:.2} s: {:.0}/s, {each:.0} µs CPU each here",
        count as f64 / seconds
    );
    Ok(())
}

async fn lane(sink: Arc<FhirSink>, next: Arc<AtomicUsize>, count: usize) -> usize {
    let mut accepted = 0;
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= count {
            return accepted;
        }
        accepted += usize::from(matches!(
            sink.send(patient(n)).await,
            SinkReply::Final { outcome: Outcome::Accepted { .. }, .. }
        ));
    }
}

/// About as long as a mapped patient.
fn patient(n: usize) -> SendRequest {
    let mut id = [0x40; 16];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    let unit = Unit { resource_type: "Patient".into(), id: UnitId::from_bytes(id) };
    let effect = EffectId(Hash::of(&id));
    let request = effect.request();
    let body = format!(
        "{{\"resourceType\":\"Patient\",\"id\":\"{}\",\"meta\":{{\"source\":\"urn:load#{request}\"}},\"identifier\":[{{\"use\":\"usual\",\"system\":\"https://ids.hospital.example/mrn\",\"value\":\"{n}\"}}],\"active\":true,\"name\":[{{\"use\":\"official\",\"family\":\"Example\",\"given\":[\"Given\"]}}],\"address\":[{{\"use\":\"home\",\"line\":[\"1 Street\"],\"city\":\"City\"}}],\"gender\":\"female\",\"birthDate\":\"1980-01-01\"}}",
        unit.id
    );
    let body_hash = Hash::default();
    SendRequest {
        effect,
        request,
        unit,
        write: Write::Put,
        base: SendBase::Create,
        body: body.into_bytes().into(),
        body_hash,
        attempt: 1,
    }
}

/// User and system time of this process, from `/proc`; zero where there is none.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}
