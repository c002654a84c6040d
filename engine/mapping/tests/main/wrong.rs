//! Wrong maps: each fault with its place, its reason and its remedy, and all of a file at once.

use crate::fixture::{CLINIC, Schemas, clinic, compile};

/// The faults of the clinic's map with one text in the place of another.
fn faults_with(from: &str, to: &str, schemas: &Schemas) -> Vec<String> {
    assert!(CLINIC.contains(from), "the map has no `{from}`");
    let faults = compile(&CLINIC.replacen(from, to, 1), schemas).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

/// What was written, what was meant instead, and what is said about it.
const CASES: &[(&str, &str, &[&str])] = &[
    (
        "map: clinic",
        "mapp: clinic",
        &[
            "map.yaml:2:1: the map knows no `mapp`; did you mean `map`?",
            "map.yaml:2:1: the map has no `map`; give it a name: `map: clinic`",
        ],
    ),
    (
        "version: 1\n",
        "version: one\n",
        &["map.yaml:3:10: `version` is no whole number from 1; count its versions from 1: `version: 1`"],
    ),
    (
        "clinical: true ",
        "clinical: yes ",
        &[
            "map.yaml:5:11: `clinical` is neither true nor false; say whether patients' care rests on it: `clinical: true`",
        ],
    ),
    (
        "approved_by: n.example@hospital.example\n",
        "",
        &[
            "map.yaml:5:1: a clinical map is not put in force without a clinical approver; name the clinician who approved it: `approved_by: name@hospital.example`",
        ],
    ),
    ("owner: integration@hospital.example", "owner: \"\"", &["map.yaml:4:8: `owner` is empty; write a text"]),
    (
        "F: female",
        "F: femal",
        &["map.yaml:34:17: Patient.gender does not take the code `femal`; did you mean `female`?"],
    ),
    (
        "else: park}\n  name_use",
        "other: park}\n  name_use",
        &[
            "map.yaml:8:3: code table `gender` has no `else`; say what becomes of a code that is not listed: `else: park`, `else: null`, or one of its values",
        ],
    ),
    (
        "kg: kg, else: null",
        "kg: kg, else: pound",
        &[
            "map.yaml:13:59: `else` gives `pound`, which no line of the table gives; write `park`, `null`, or one of the table's own values",
        ],
    ),
    ("code(gender)", "code(genders)", &["map.yaml:34:28: there is no code table `genders`; did you mean `gender`?"]),
    ("\"=born\"", "\"=brn\"", &["map.yaml:35:20: public.patient has no column `brn`; did you mean `born`?"]),
    (
        "\"=born\"",
        "\"=sex\"",
        &["map.yaml:35:20: Patient.birthDate is date, the expression gives text; read it with `| date()`"],
    ),
    ("birthDate:", "brithDate:", &["map.yaml:35:7: Patient has no element `brithDate`; did you mean `birthDate`?"]),
    (
        "given: [\"=nm.given\"]",
        "given: \"=nm.given\"",
        &["map.yaml:32:96: Patient.name.given is a list; put brackets around it: `[..]`"],
    ),
    (
        "gender: \"=sex | code(gender)\"",
        "gender: [\"=sex | code(gender)\"]",
        &["map.yaml:34:15: Patient.gender takes one value, not a list; leave the brackets out"],
    ),
    (
        "\"=sex | code(gender)\"",
        "\"=sex\"",
        &[
            "map.yaml:34:17: Patient.gender takes a closed list of codes, and this may be any text; look it up in a code table whose values are among female, male, other, unknown",
        ],
    ),
    (
        "\"=sex | code(gender)\"",
        "F",
        &["map.yaml:34:15: Patient.gender does not take the code `F`; choose one of female, male, other, unknown"],
    ),
    (
        "resource: Patient",
        "resource: Pateint",
        &["map.yaml:16:15: R4 has no resource type `Pateint`; did you mean `Patient`?"],
    ),
    (
        "table: public.patient,",
        "table: public.patients,",
        &[
            "map.yaml:17:19: table public.patients is not captured; did you mean `public.patient`? Else add it to the source's tables",
        ],
    ),
    (
        "key: [patient_id], key_version: 1}\n    subject: self",
        "key: [mrn], key_version: 1}\n    subject: self",
        &["map.yaml:17:40: the key of public.patient is not mrn; write its own key: `key: [patient_id]`"],
    ),
    (
        "key: [patient_id], key_version: 1",
        "key: [patient_id]",
        &["map.yaml:17:5: `root` has no `key_version`; begin with `key_version: 1`"],
    ),
    (
        "many: [name_id],    stale: remap",
        "many: [name_id]",
        &[
            "map.yaml:20:7: join `nm` has no `stale`; `stale: remap` maps the unit again when a joined row changes, `stale: allowed` leaves it as it was",
        ],
    ),
    (
        "many: [name_id],    stale: remap",
        "many: [name_id],    stale: sometimes",
        &[
            "map.yaml:20:102: `stale` is neither allowed nor remap; `stale: remap` maps the unit again when a joined row changes, `stale: allowed` leaves it as it was",
        ],
    ),
    (
        "many: [name_id]",
        "many: [nameid]",
        &["map.yaml:20:82: public.patient_name has no column `nameid`; did you mean `name_id`?"],
    ),
    (
        "on: {patient_id: patient_id}, many: [name_id]",
        "on: {family: patient_id}, many: [name_id]",
        &["map.yaml:20:50: `family` is text, `patient_id` is int; join columns of one type"],
    ),
    (
        "on: {patient_id: patient_id}, many: [name_id]",
        "many: [name_id]",
        &[
            "map.yaml:20:7: join `nm` has no `on`; pair the joined table's columns with the root's: `on: {patient_id: patient_id}`",
        ],
    ),
    (
        "\"=not is_test\"",
        "\"=not mrn\"",
        &["map.yaml:22:17: `not` takes bool, this is text; compare it: `x == 'Y'`, `x is null`"],
    ),
    (
        "\"=not is_test\"",
        "\"not is_test\"",
        &["map.yaml:22:11: `when` is no expression; begin it with `=`: `\"=voided\"`"],
    ),
    (
        "\"=not is_test\"",
        "\"=nm.family is null\"",
        &["map.yaml:22:13: `nm.family` stands in `when` or a flag; use columns of the root there"],
    ),
    (
        "{row: purged, when: purged, voided: retracted}",
        "{row: purged, voided: retracted}",
        &[
            "map.yaml:24:5: `delete_means` has no `when`; say what it means: retracted (it was never true), ended (it stopped), purged (the row went, the fact stands) or removed (HTTP DELETE)",
        ],
    ),
    (
        "{row: purged, when: purged, voided: retracted}",
        "{row: purged, when: purged, voided: deleted}",
        &[
            "map.yaml:24:55: `deleted` is no meaning of a deletion; write retracted (it was never true), ended (it stopped), purged (the row went, the fact stands) or removed (HTTP DELETE)",
        ],
    ),
    (
        "    delete_means: {row: purged, when: purged, voided: retracted}",
        "   ",
        &[
            "map.yaml:15:3: entity `patient` does not say what its deletions mean; add `delete_means: {row: ..}`: retracted (it was never true), ended (it stopped), purged (the row went, the fact stands) or removed (HTTP DELETE)",
        ],
    ),
    (
        "{row: retracted, voided: retracted}\n    security: {unlabelled: \"vital",
        "{row: retracted, voided: ended}\n    security: {unlabelled: \"vital",
        &["map.yaml:53:44: R4 has no way to say `ended` of Observation; choose retracted or purged or removed"],
    ),
    (
        "    security: {unlabelled: \"this system marks no patient as restricted\"}\n",
        "",
        &[
            "map.yaml:15:3: entity `patient` does not say how confidential its units are; map labels: `security: \"=label | code(confidentiality)\"`, or say why there are none: `security: {unlabelled: reason}`",
        ],
    ),
    (
        "security: {unlabelled: \"this system marks no patient as restricted\"}",
        "security: \"=sex\"",
        &[
            "map.yaml:26:17: the label may be none of v3-Confidentiality; look it up in a code table whose values are among U, L, M, N, R, V",
        ],
    ),
    (
        "refuse: [deceased, link]",
        "refuse: [deceased]",
        &[
            "map.yaml:27:5: Patient.link changes what the whole resource says, and nobody decided on it; map it, fix it, or add `refuse: [link]`",
        ],
    ),
    (
        "refuse: [deceased, link]",
        "refuse: [deceased, link, gender, active]",
        &[
            "map.yaml:25:30: `gender` is no modifier element of Patient; choose one of active, deceased, link",
            "map.yaml:25:38: `active` is refused and mapped; keep one of them",
        ],
    ),
    (
        "      status: \"=status | code(obs_status)\"\n",
        "",
        &[
            "map.yaml:55:5: Observation.status changes what the whole resource says, and nobody decided on it; map it, fix it, or add `refuse: [status]`",
            "map.yaml:55:5: Observation.status is required; add `status`",
        ],
    ),
    (
        "effectiveDateTime: \"=taken_at\"",
        "effectiveDateTime: \"=taken_at\"\n      effectivePeriod: {start: \"=taken_at\"}",
        &[
            "map.yaml:61:7: `effectivePeriod` and `effectiveDateTime` are one element; keep one of them: an element with a choice of types has one value",
        ],
    ),
    (
        "effectiveDateTime: \"=taken_at\"",
        "effectiveDate: \"=taken_at\"",
        &["map.yaml:60:7: Observation has no element `effectiveDate`; did you mean `effectiveDateTime`?"],
    ),
    (
        "value: \"=value\"",
        "value: \"=value * 2\"",
        &[
            "map.yaml:61:38: `*` means nothing in an expression; there is no arithmetic in maps: a float would change a dose",
        ],
    ),
    (
        "value: \"=value\"",
        "value: \"=note\"",
        &[
            "map.yaml:61:32: Observation.valueQuantity.value is decimal, the expression gives text; read it with `| decimal()`",
        ],
    ),
    (
        "subject: {reference: \"=ref(patient, patient_id)\"}\n      encounter",
        "subject: {reference: \"=ref(encounter, encounter_id)\"}\n      encounter",
        &[
            "map.yaml:58:30: Observation.subject.reference must not point at Encounter; R4 allows Device, Group, Location, Patient here",
        ],
    ),
    (
        "subject: {reference: \"=ref(patient, patient_id)\"}\n      encounter",
        "subject: {reference: \"=loinc\"}\n      encounter",
        &[
            "map.yaml:58:30: Observation.subject.reference is given text; write `ref(entity, key)`: only a bound unit has an address",
        ],
    ),
    (
        "subject: {reference: \"=ref(patient, patient_id)\"}\n      encounter",
        "subject: {reference: \"=ref(patient, loinc)\"}\n      encounter",
        &["map.yaml:58:43: the key of `patient` is int here, this is text; give a column of the key's own type"],
    ),
    (
        "ref(encounter, encounter_id)",
        "ref(visit, encounter_id)",
        &["map.yaml:59:36: there is no entity `visit`; choose one of encounter, observation, patient"],
    ),
    (
        "city: \"=addr.city | trim()\"",
        "city: \"=addr.city | trim\"",
        &["map.yaml:33:97: `trim` is not followed by `(`; a function is called with brackets: `trim()`"],
    ),
    (
        "city: \"=addr.city | trim()\"",
        "city: \"=addr.city | trimm()\"",
        &["map.yaml:33:93: there is no function `trimm`; did you mean `trim`?"],
    ),
    (
        "city: \"=addr.city | trim()\"",
        "city: \"=nm.family\"",
        &[
            "map.yaml:33:81: `nm` has many rows, and which one is meant is not said; put it into the `$item` of a `$each: nm`",
        ],
    ),
    ("$each: addr", "$each: address", &["map.yaml:33:24: `address` is no join of this entity; choose one of nm, addr"]),
    (
        "note: [{text: \"=note\"}]",
        "note: \"=note\"",
        &["map.yaml:63:13: Observation.note is a list; put brackets around it: `[..]`"],
    ),
    (
        "note: [{text: \"=note\"}]",
        "note: [\"=note\"]",
        &[
            "map.yaml:63:14: Observation.note is Annotation, which has elements; write its elements: `{authorReference: .., authorString: .., text: .., time: ..}`",
        ],
    ),
    (
        "note: [{text: \"=note\"}]",
        "note: [{time: \"=taken_at\"}]",
        &["map.yaml:63:14: Observation.note.text is required; add `text`"],
    ),
    (
        "note: [{text: \"=note\"}]",
        "note: [{text: \"=first(note)\"}]",
        &["map.yaml:63:23: `first` got 1 arguments; write `first(a, b..)`"],
    ),
    (
        "note: [{text: \"=note\"}]",
        "note: [{text: \"=note is 3\"}]",
        &["map.yaml:63:31: `is` asks for null only; write `is null` or `is not null`; for a value, `==`"],
    ),
    (
        "active: true",
        "active: \"true\"",
        &["map.yaml:31:15: `true` is no boolean, which Patient.active is; write true or false, without quotes"],
    ),
    (
        "active: true",
        "active: true\n      id: \"=mrn\"",
        &["map.yaml:32:7: `id` is not mapped; leave it out: a unit's id is minted once and bound to its key"],
    ),
    (
        "active: true",
        "active: true\n      meta: {versionId: x}",
        &[
            "map.yaml:32:14: `meta.versionId` is not mapped here; labels are mapped by `security`; stamps and versions are the engine's and the server's",
        ],
    ),
    (
        "active: true",
        "active: true\n      multipleBirthInteger: 1.5",
        &["map.yaml:32:29: `1.5` is no integer, which Patient.multipleBirthInteger is; write a whole number"],
    ),
    (
        "  encounter:\n    resource",
        "  patient:\n    resource",
        &[
            "map.yaml:36:3: `patient` stands here twice; keep one of them",
            "map.yaml:59:36: there is no entity `encounter`; choose one of observation, patient",
        ],
    ),
    (
        "      active: true",
        "    active: true",
        &[
            "map.yaml:32:11: this is not YAML: mapping values are not allowed in this context; check indentation, quotes and brackets here and on the line before",
        ],
    ),
    (
        "delete_when:  {voided: \"=voided\"}\n    delete_means: {row: purged",
        "delete_when:  {row: \"=voided\"}\n    delete_means: {row: purged",
        &[
            "map.yaml:23:20: `row` is no name for a flag; name it after its column",
            "map.yaml:24:47: `delete_means` knows no `voided`; choose one of row, when",
        ],
    ),
    (
        "when: purged, voided: retracted}",
        "when: purged, voided: retracted, merged: purged}",
        &["map.yaml:24:66: `delete_means` knows no `merged`; choose one of row, when, voided"],
    ),
    (
        "many: [name_id],    stale: remap",
        "stale: remap",
        &[
            "map.yaml:32:21: `nm` has at most one row; give the join `many: [column]`, the columns that order its rows, or leave `$each` out",
        ],
    ),
    (
        "$item: {use: home, line: [\"=addr.street\"]",
        "$item: {use: home, line: {$each: nm, $item: \"=nm.family\"}",
        &["map.yaml:33:63: a `$each` stands inside another one; join the rows in a view, and map the view"],
    ),
    (
        "active: true",
        "active: {$each: nm, $item: true}",
        &["map.yaml:31:15: Patient.active takes one value, not one a row; leave `$each` out"],
    ),
    ("active: true", "active: null", &["map.yaml:31:15: Patient.active is given nothing; leave the line out"]),
    (
        "codes:  ",
        "codes: &a  ",
        &["map.yaml:8:3: anchors and aliases are not read; write the text out where it is used"],
    ),
    ("{M: male,", "{M: [male],", &["map.yaml:8:20: `M` becomes a list, not a code; write one code, `park` or `null`"]),
    (
        "subject: self",
        "subject: me",
        &[
            "map.yaml:18:14: `subject` is neither self nor a reference; write `subject: self`, or `subject: \"=ref(patient, patient_id)\"`",
        ],
    ),
    (
        "subject: self",
        "subject: \"=mrn\"",
        &[
            "map.yaml:18:14: `subject` is no reference; write `subject: self`, or `subject: \"=ref(patient, patient_id)\"`",
        ],
    ),
    (
        "name_use:    {L: official, B: maiden,",
        "name_use:    {L: official, B: maidn,",
        &["map.yaml:32:40: Patient.name.use does not take the code `maidn`; did you mean `maiden`?"],
    ),
    (
        "resource: Observation\n    root: {table: public.observation, key: [observation_id]",
        "resource: Observation\n    root: {table: public.encounter, key: [encounter_id]",
        &[
            "map.yaml:48:3: another entity makes units of public.encounter, with the same `part`; give one of them a `part` of its own in `root`",
            "map.yaml:57:60: public.encounter has no column `loinc`; choose one of encounter_id, patient_id, class, status, started, ended, voided",
            "map.yaml:57:84: public.encounter has no column `label`; choose one of encounter_id, patient_id, class, status, started, ended, voided",
            "map.yaml:57:91: public.encounter has no column `loinc`; choose one of encounter_id, patient_id, class, status, started, ended, voided",
            "map.yaml:60:28: public.encounter has no column `taken_at`; choose one of encounter_id, patient_id, class, status, started, ended, voided",
            "map.yaml:61:32: public.encounter has no column `value`; choose one of encounter_id, patient_id, class, status, started, ended, voided",
            "map.yaml:61:48: public.encounter has no column `unit`; choose one of encounter_id, patient_id, class, status, started, ended, voided",
            "map.yaml:61:63: public.encounter has no column `unit`; choose one of encounter_id, patient_id, class, status, started, ended, voided",
            "map.yaml:62:34: public.encounter has no column `unit`; choose one of encounter_id, patient_id, class, status, started, ended, voided",
            "map.yaml:63:23: public.encounter has no column `note`; choose one of encounter_id, patient_id, class, status, started, ended, voided",
        ],
    ),
    (
        "security: {unlabelled: \"this system marks no patient as restricted\"}",
        "security: [{system: \"https://labels.example\"}]",
        &["map.yaml:26:15: a label has no `code`; write `{system: .., code: ..}`"],
    ),
    (
        "security: {unlabelled: \"this system marks no patient as restricted\"}",
        "security: {unlabeled: \"x\"}",
        &[
            "map.yaml:26:5: `security` has no `unlabelled`; map labels: `security: \"=label | code(confidentiality)\"`, or say why there are none: `security: {unlabelled: reason}`",
            "map.yaml:26:16: `security` knows no `unlabeled`; did you mean `unlabelled`?",
        ],
    ),
    (
        "system: \"https://ids.hospital.example/mrn\"",
        "system: mrn",
        &[
            "map.yaml:29:32: the identifier's system `mrn` is no absolute URI; write `system: \"https://ids.<your domain>/..\"`, or `urn:oid:..`",
        ],
    ),
    (
        "system: \"https://ids.hospital.example/mrn\"",
        "system: \"=is_test ? 'urn:hospital:test' : 'urn:oid:2.16.840.1.113883.4.1'\"",
        &[
            "map.yaml:29:32: the identifier's system `urn:hospital:test` is of no registered URN namespace; write `system: \"https://ids.<your domain>/..\"`, or `urn:oid:..`",
        ],
    ),
    (
        "system: \"https://ids.hospital.example/mrn\", ",
        "",
        &[
            "map.yaml:29:11: Patient.identifier has no `system`, and a number alone is anybody's; write `system: \"https://ids.<your domain>/..\"`, or `urn:oid:..`",
        ],
    ),
];

#[test]
fn every_fault_has_its_place_reason_and_remedy() {
    let mut out = String::new();
    for (from, to, said) in CASES {
        let found = faults_with(from, to, &clinic());
        if found != *said {
            out.push_str(&format!("{to:?}\n"));
            found.iter().for_each(|fault| out.push_str(&format!("      {fault}\n")));
        }
    }
    assert!(out.is_empty(), "{out}");
}
