//! What the clinic's users do next: pure, from the seed and what is there.
//!
//! Never touches the database. Ids are given like a sequence's: a rolled-back transaction uses them up.

use crate::random::Random;

/// What a transaction is about, with how often it comes unless the mix says otherwise.
pub const ACTS: [(&str, u32); 21] = [
    ("admit", 6),
    ("visit", 8),
    ("finish_visit", 5),
    ("vitals", 30),
    ("correct", 14),
    ("rename", 3),
    ("move", 3),
    ("touch", 6),
    ("void_observation", 5),
    ("unvoid_observation", 3),
    ("void_visit", 1),
    ("unvoid_visit", 1),
    ("void_patient", 1),
    ("unvoid_patient", 1),
    ("delete_observation", 4),
    ("test_patient", 1),
    ("child_first", 2),
    ("bulk", 1),
    ("rolled_back", 4),
    ("savepoint", 2),
    // An unknown code parks its unit; only where a test asks for it.
    ("odd_code", 0),
];

/// The transaction stays open on a connection of its own while others go on; its share of all transactions.
pub const HELD_ONE_IN: u64 = 40;

/// One row, changed. Texts that PostgreSQL is to read as another type are sent as text.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Patient {
        id: i64,
        mrn: String,
        sex: &'static str,
        born: String,
        is_test: bool,
        notes: Option<String>,
    },
    Name {
        id: i64,
        patient: i64,
        kind: &'static str,
        family: String,
        given: String,
    },
    Address {
        id: i64,
        patient: i64,
        street: String,
        city: String,
    },
    Visit {
        id: i64,
        patient: i64,
        class: &'static str,
        started: String,
    },
    Observation(Observation),
    Touch {
        patient: i64,
        weight: f32,
    },
    Rename {
        name: i64,
        family: String,
    },
    Move {
        address: i64,
        street: String,
    },
    FinishVisit {
        id: i64,
        ended: String,
    },
    Correct {
        id: i64,
        value: String,
    },
    VoidObservation {
        id: i64,
        voided: bool,
    },
    VoidVisit {
        id: i64,
        voided: bool,
    },
    VoidPatient {
        id: i64,
        voided: bool,
    },
    DeleteObservation {
        id: i64,
    },
    /// Undone together with what stands behind it, up to the end.
    Savepoint,
}

/// A new observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    pub id: i64,
    pub patient: i64,
    pub visit: Option<i64>,
    pub kind: &'static (&'static str, &'static str, &'static str),
    pub value: String,
    pub status: &'static str,
    pub taken: String,
    pub note: Option<String>,
}

/// LOINC code, label, unit.
const VITALS: [(&str, &str, &str); 4] = [
    ("8867-4", "Heart rate", "/min"),
    ("8480-6", "Systolic blood pressure", "mmHg"),
    ("29463-7", "Body weight", "kg"),
    ("8310-5", "Body temperature", "Cel"),
];
const FAMILIES: [&str; 6] = ["Okafor", "Lindqvist", "O'Brien", "Núñez", "Šimková", "Van der Berg"];
const GIVEN: [&str; 6] = ["Ada", "Björn", "Chidi", "Mei", "Zoë", "Ivan"];
const CITIES: [&str; 4] = ["Northtown", " Lakeside", "São Martinho", "Hill End "];
const NOTES: [&str; 4] = ["seated, left arm", "says \"fine\"; recheck", "line one\nline two", "nach dem Frühstück"];

/// Which rows are there, as far as this writer may change them.
#[derive(Debug, Default)]
pub struct Clinic {
    pub next_id: i64,
    pub patients: Vec<i64>,
    pub voided_patients: Vec<i64>,
    pub names: Vec<i64>,
    pub addresses: Vec<i64>,
    /// Visits with their patient.
    pub visits: Vec<(i64, i64)>,
    pub voided_visits: Vec<(i64, i64)>,
    pub observations: Vec<i64>,
    pub voided_observations: Vec<i64>,
}

impl Clinic {
    fn id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// Takes in what a committed transaction did.
    pub fn learn(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Patient { id, is_test: false, .. } => self.patients.push(*id),
                Change::Name { id, .. } => self.names.push(*id),
                Change::Address { id, .. } => self.addresses.push(*id),
                Change::Visit { id, patient, .. } => self.visits.push((*id, *patient)),
                Change::Observation(observation) => self.observations.push(observation.id),
                Change::VoidObservation { id, voided: true } => {
                    shift(id, &mut self.observations, &mut self.voided_observations)
                }
                Change::VoidObservation { id, .. } => shift(id, &mut self.voided_observations, &mut self.observations),
                Change::VoidPatient { id, voided: true } => shift(id, &mut self.patients, &mut self.voided_patients),
                Change::VoidPatient { id, .. } => shift(id, &mut self.voided_patients, &mut self.patients),
                Change::VoidVisit { id, voided } => {
                    let (from, to) = match voided {
                        true => (&mut self.visits, &mut self.voided_visits),
                        false => (&mut self.voided_visits, &mut self.visits),
                    };
                    if let Some(at) = from.iter().position(|(held, _)| held == id) {
                        to.push(from.swap_remove(at));
                    }
                }
                Change::DeleteObservation { id } => {
                    self.observations.retain(|held| held != id);
                    self.voided_observations.retain(|held| held != id);
                }
                Change::Savepoint => break,
                Change::Patient { .. }
                | Change::Touch { .. }
                | Change::Rename { .. }
                | Change::Move { .. }
                | Change::FinishVisit { .. }
                | Change::Correct { .. } => {}
            }
        }
    }
}

fn shift(id: &i64, from: &mut Vec<i64>, to: &mut Vec<i64>) {
    if let Some(at) = from.iter().position(|held| held == id) {
        to.push(from.swap_remove(at));
    }
}

/// The transactions of one act: mostly one, two where an order across commits is the point. Without the rows that an act
/// needs, a patient is admitted.
pub fn plan(act: &str, random: &mut Random, clinic: &mut Clinic) -> Vec<Vec<Change>> {
    let one = match act {
        "visit" => visit(random, clinic),
        "finish_visit" => random.pick(&clinic.visits).copied().map(|(id, _)| {
            let ended = moment(random);
            vec![Change::FinishVisit { id, ended }]
        }),
        "vitals" => vitals(random, clinic, 1, 6),
        "correct" => {
            let chosen = random.pick(&clinic.observations).copied();
            chosen.map(|id| vec![Change::Correct { id, value: number(random) }])
        }
        "rename" => {
            let chosen = random.pick(&clinic.names).copied();
            chosen.map(|name| vec![Change::Rename { name, family: text(random, &FAMILIES) }])
        }
        "move" => {
            let chosen = random.pick(&clinic.addresses).copied();
            chosen.map(|address| vec![Change::Move { address, street: street(random) }])
        }
        // The big text stays as it is, so it is not in the log.
        "touch" => {
            let chosen = random.pick(&clinic.patients).copied();
            chosen.map(|patient| vec![Change::Touch { patient, weight: 40.0 + random.below(800) as f32 / 10.0 }])
        }
        "void_observation" => {
            random.pick(&clinic.observations).map(|id| vec![Change::VoidObservation { id: *id, voided: true }])
        }
        "unvoid_observation" => {
            random.pick(&clinic.voided_observations).map(|id| vec![Change::VoidObservation { id: *id, voided: false }])
        }
        "void_visit" => random.pick(&clinic.visits).map(|(id, _)| vec![Change::VoidVisit { id: *id, voided: true }]),
        "unvoid_visit" => {
            random.pick(&clinic.voided_visits).map(|(id, _)| vec![Change::VoidVisit { id: *id, voided: false }])
        }
        "void_patient" => random.pick(&clinic.patients).map(|id| vec![Change::VoidPatient { id: *id, voided: true }]),
        "unvoid_patient" => {
            random.pick(&clinic.voided_patients).map(|id| vec![Change::VoidPatient { id: *id, voided: false }])
        }
        "delete_observation" => random.pick(&clinic.observations).map(|id| vec![Change::DeleteObservation { id: *id }]),
        "test_patient" => Some(vec![patient(random, clinic, true)]),
        "bulk" => vitals(random, clinic, 50, 200),
        "rolled_back" => vitals(random, clinic, 1, 10),
        "savepoint" => savepoint(random, clinic),
        "odd_code" => odd_code(random, clinic),
        "child_first" => return child_first(random, clinic).unwrap_or_else(|| vec![admit(random, clinic)]),
        _ => None,
    };
    vec![one.unwrap_or_else(|| admit(random, clinic))]
}

fn admit(random: &mut Random, clinic: &mut Clinic) -> Vec<Change> {
    let mut changes = vec![patient(random, clinic, false)];
    let Change::Patient { id: patient, .. } = changes[0] else { return changes };
    for kind in &["L", "B"][..1 + usize::from(random.chance(0.2))] {
        let (family, given) = (text(random, &FAMILIES), text(random, &GIVEN));
        changes.push(Change::Name { id: clinic.id(), patient, kind, family, given });
    }
    if random.chance(0.8) {
        let (street, city) = (street(random), text(random, &CITIES));
        changes.push(Change::Address { id: clinic.id(), patient, street, city });
    }
    changes
}

fn patient(random: &mut Random, clinic: &mut Clinic, is_test: bool) -> Change {
    let id = clinic.id();
    let born = format!("{}-{:02}-{:02}", 1930 + random.below(90), 1 + random.below(12), 1 + random.below(28));
    // Random letters do not compress; above 2 KB they go out of line.
    let letters = |random: &mut Random| (0..4_096).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
    let notes = random.chance(0.5).then(|| letters(random));
    let sex = random.pick(&["M", "F", "U"]).copied().unwrap_or("U");
    Change::Patient { id, mrn: format!("MRN{id:08}"), sex, born, is_test, notes }
}

fn visit(random: &mut Random, clinic: &mut Clinic) -> Option<Vec<Change>> {
    let patient = *random.pick(&clinic.patients)?;
    let class = random.pick(&["A", "I", "E"]).copied().unwrap_or("A");
    Some(vec![Change::Visit { id: clinic.id(), patient, class, started: moment(random) }])
}

fn vitals(random: &mut Random, clinic: &mut Clinic, least: u64, most: u64) -> Option<Vec<Change>> {
    let patient = *random.pick(&clinic.patients)?;
    let visits: Vec<i64> = clinic.visits.iter().filter(|(_, of)| *of == patient).map(|(id, _)| *id).collect();
    let visit = random.pick(&visits).copied();
    let count = least + random.below(most - least + 1);
    Some((0..count).map(|_| Change::Observation(observation(random, clinic, patient, visit))).collect())
}

fn observation(random: &mut Random, clinic: &mut Clinic, patient: i64, visit: Option<i64>) -> Observation {
    Observation {
        id: clinic.id(),
        patient,
        visit,
        kind: &VITALS[random.below(VITALS.len() as u64) as usize],
        value: number(random),
        status: if random.chance(0.2) { "P" } else { "F" },
        taken: moment(random),
        note: random.chance(0.3).then(|| text(random, &NOTES)),
    }
}

fn odd_code(random: &mut Random, clinic: &mut Clinic) -> Option<Vec<Change>> {
    let patient = *random.pick(&clinic.patients)?;
    let odd = Observation { status: "?", ..observation(random, clinic, patient, None) };
    Some(vec![Change::Observation(odd)])
}

/// An observation is committed before the visit that it names.
fn child_first(random: &mut Random, clinic: &mut Clinic) -> Option<Vec<Vec<Change>>> {
    let visit = visit(random, clinic)?;
    let Some(Change::Visit { id, patient, .. }) = visit.first() else { return None };
    let (id, patient) = (*id, *patient);
    Some(vec![vec![Change::Observation(observation(random, clinic, patient, Some(id)))], visit])
}

/// Some rows stay, what follows the savepoint is undone.
fn savepoint(random: &mut Random, clinic: &mut Clinic) -> Option<Vec<Change>> {
    let mut changes = vitals(random, clinic, 1, 3)?;
    changes.push(Change::Savepoint);
    changes.extend(vitals(random, clinic, 1, 3)?);
    Some(changes)
}

fn text(random: &mut Random, from: &[&'static str]) -> String {
    random.pick(from).copied().unwrap_or_default().to_owned()
}

fn street(random: &mut Random) -> String {
    format!("{} Mill Lane", 1 + random.below(200))
}

/// A decimal whose last digits may be zeros: they count.
fn number(random: &mut Random) -> String {
    let (whole, places) = (30 + random.below(150), random.below(4) as usize);
    match places {
        0 => whole.to_string(),
        _ => format!("{whole}.{:0places$}", random.below(10u64.pow(places as u32 - 1)) * 10),
    }
}

fn moment(random: &mut Random) -> String {
    let (day, second) = (1 + random.below(28), random.below(86_400));
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!(
        "2026-{:02}-{day:02} {hour:02}:{minute:02}:{:02}.{:06}+00",
        1 + random.below(10),
        second % 60,
        random.below(1_000_000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_changes_and_every_act_is_planned() {
        let run = || {
            let (mut random, mut clinic, mut all) = (Random::new(5), Clinic::default(), Vec::new());
            for _ in 0..50 {
                for (act, _) in ACTS {
                    for changes in plan(act, &mut random, &mut clinic) {
                        clinic.learn(&changes);
                        all.push(changes);
                    }
                }
            }
            all
        };
        let all = run();
        assert_eq!(all, run());
        for find in [
            |change: &Change| matches!(change, Change::DeleteObservation { .. }),
            |change: &Change| matches!(change, Change::VoidVisit { voided: false, .. }),
            |change: &Change| matches!(change, Change::Savepoint),
            |change: &Change| matches!(change, Change::Touch { .. }),
        ] {
            assert!(all.iter().flatten().any(find));
        }
    }

    #[test]
    fn what_follows_a_savepoint_is_not_learned() {
        let mut clinic = Clinic::default();
        let delete = Change::DeleteObservation { id: 1 };
        clinic.observations.push(1);
        clinic.learn(&[Change::Savepoint, delete]);
        assert_eq!(clinic.observations, [1]);
    }
}
