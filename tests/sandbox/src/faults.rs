//! Faults on demand, chosen by a seeded generator: the same rules, seed and requests give the same faults.
//!
//! `POST /_faults` takes one rule or a list, and replaces what was there; `GET` tells what each rule did; `DELETE` ends them.
//! The first rule whose method and path fit a request decides about it. `/_faults` and `/_stats` never fail themselves.

use crate::random::Random;
use serde::{Deserialize, Serialize};

/// One rule. Everything is off unless it is named.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Starts the generator.
    pub seed: u64,
    /// Only this method.
    pub method: Option<String>,
    /// Only paths that contain this.
    pub path: Option<String>,
    /// Waits between these before anything is done.
    pub latency_ms: Option<(u64, u64)>,
    /// 429 with `Retry-After`; nothing is written.
    pub too_many: Option<Chance>,
    /// Seconds that `Retry-After` names.
    pub retry_after_s: u64,
    /// A 5xx; nothing is written.
    pub server_error: Option<Chance>,
    /// Which; 503 unless named.
    pub server_error_status: Option<u16>,
    /// The connection is cut before anything is done.
    pub cut_before_commit: Option<Chance>,
    /// The request is done and its effect kept, then the connection is cut.
    pub lose_reply_after_commit: Option<Chance>,
    /// The connection is cut at once, and the request is done this much later: a late twin, if it was sent again.
    pub late_ms: Option<u64>,
    /// The request is done, then nothing is said for so long; then the connection is cut.
    pub stall: Option<Chance>,
    /// How long; an hour unless named.
    pub stall_ms: Option<u64>,
}

/// How often a fault comes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chance {
    /// Of each request, 0 to 1.
    pub rate: f64,
    /// The next so many requests, whatever the rate.
    pub next: u64,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    pub latency_ms: u64,
    pub act: Act,
}

/// The fault itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Act {
    #[default]
    None,
    TooMany {
        retry_after_s: u64,
    },
    ServerError {
        status: u16,
    },
    CutBefore,
    LoseReply {
        late_ms: Option<u64>,
    },
    Stall {
        for_ms: u64,
    },
}

/// The rules in force.
#[derive(Default)]
pub struct Faults {
    rules: Vec<Running>,
}

#[derive(Serialize)]
struct Running {
    rule: Rule,
    counts: Counts,
    #[serde(skip)]
    random: Random,
}

#[derive(Default, Serialize)]
struct Counts {
    requests: u64,
    too_many: u64,
    server_error: u64,
    cut_before_commit: u64,
    lose_reply_after_commit: u64,
    stall: u64,
}

impl Faults {
    /// Replaces the rules.
    pub fn set(&mut self, rules: Vec<Rule>) {
        self.rules = rules
            .into_iter()
            .map(|rule| Running { random: Random::new(rule.seed), counts: Counts::default(), rule })
            .collect();
    }

    /// Reads one rule or a list.
    pub fn read(body: &[u8]) -> Result<Vec<Rule>, serde_json::Error> {
        if body.trim_ascii_start().starts_with(b"[") {
            serde_json::from_slice(body)
        } else {
            serde_json::from_slice(body).map(|rule| vec![rule])
        }
    }

    /// The rules with what they did.
    pub fn report(&self) -> String {
        serde_json::to_string(&self.rules).expect("rules are plain data with text keys")
    }

    /// Decides about one request.
    pub fn decide(&mut self, method: &str, path: &str) -> Fate {
        let fits = |rule: &Rule| {
            rule.method.as_deref().is_none_or(|asked| asked.eq_ignore_ascii_case(method))
                && rule.path.as_deref().is_none_or(|part| path.contains(part))
        };
        self.rules.iter_mut().find(|running| fits(&running.rule)).map_or_else(Fate::default, Running::decide)
    }
}

impl Running {
    fn decide(&mut self) -> Fate {
        self.counts.requests += 1;
        // Every chance draws, also when an earlier one has decided: one rule does not shift another's draws.
        let latency = self.random.number();
        let latency_ms =
            self.rule.latency_ms.map_or(0, |(least, most)| least + latency % (most.saturating_sub(least) + 1));
        let rule = &mut self.rule;
        let chances = [
            &mut rule.too_many,
            &mut rule.server_error,
            &mut rule.cut_before_commit,
            &mut rule.lose_reply_after_commit,
            &mut rule.stall,
        ];
        let mut chosen = None;
        for (at, chance) in chances.into_iter().enumerate() {
            let drawn = draw(&mut self.random, chance, chosen.is_none());
            chosen = chosen.or(drawn.then_some(at));
        }
        let (act, count) = match chosen {
            None => return Fate { latency_ms, act: Act::None },
            Some(0) => (Act::TooMany { retry_after_s: rule.retry_after_s }, &mut self.counts.too_many),
            Some(1) => {
                (Act::ServerError { status: rule.server_error_status.unwrap_or(503) }, &mut self.counts.server_error)
            }
            Some(2) => (Act::CutBefore, &mut self.counts.cut_before_commit),
            Some(3) => (Act::LoseReply { late_ms: rule.late_ms }, &mut self.counts.lose_reply_after_commit),
            Some(_) => (Act::Stall { for_ms: rule.stall_ms.unwrap_or(3_600_000) }, &mut self.counts.stall),
        };
        *count += 1;
        Fate { latency_ms, act }
    }
}

/// Whether the chance comes true; `next` is used up only if it may decide.
fn draw(random: &mut Random, chance: &mut Option<Chance>, open: bool) -> bool {
    let by_rate = random.chance(chance.map_or(0.0, |chance| chance.rate));
    match chance {
        Some(chance) if open && chance.next > 0 => {
            chance.next -= 1;
            true
        }
        _ => by_rate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(rules: &str, requests: usize) -> Vec<Fate> {
        let mut faults = Faults::default();
        faults.set(Faults::read(rules.as_bytes()).unwrap());
        (0..requests).map(|_| faults.decide("PUT", "/fhir/Patient/1")).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let rule =
            r#"{"seed":7,"latency_ms":[1,5],"server_error":{"rate":0.2},"lose_reply_after_commit":{"rate":0.1}}"#;
        let (a, b) = (fates(rule, 500), fates(rule, 500));
        assert_eq!(a, b);
        let errors = a.iter().filter(|fate| fate.act == Act::ServerError { status: 503 }).count();
        assert!((60..140).contains(&errors), "{errors}");
        assert!(a.iter().all(|fate| (1..=5).contains(&fate.latency_ms)));
    }

    #[test]
    fn next_decides_about_so_many_requests() {
        let fates = fates(r#"[{"method":"GET"},{"cut_before_commit":{"next":2},"stall":{"next":1},"stall_ms":5}]"#, 4);
        let acts: Vec<Act> = fates.iter().map(|fate| fate.act).collect();
        assert_eq!(acts, [Act::CutBefore, Act::CutBefore, Act::Stall { for_ms: 5 }, Act::None]);
    }

    #[test]
    fn an_unknown_word_in_a_rule_is_refused() {
        assert!(Faults::read(br#"{"latency":5}"#).is_err());
    }
}
