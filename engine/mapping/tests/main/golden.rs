//! The clinic's map over the clinic's rows: what goes to the cloud, letter for letter.

use crate::fixture::{CLINIC, Shadow, clinic, compile, key, shown};
use lockstep_mapping::{Map, Mapped, Subject};
use model::{Cell, Column, ColumnType, FieldAddress, TableName};

fn the_map() -> Map {
    compile(CLINIC, &clinic()).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

fn patient(sex: Cell<'static>, is_test: bool, voided: bool) -> Vec<Cell<'static>> {
    vec![
        Cell::Int(7),
        Cell::Text("MRN-7"),
        sex,
        Cell::Date(-8_000),
        Cell::Bool(is_test),
        Cell::Bool(voided),
        Cell::Null,
        Cell::Raw("70.5"),
        Cell::Unchanged,
    ]
}

fn observation() -> Vec<Cell<'static>> {
    vec![
        Cell::Int(5),
        Cell::Int(7),
        Cell::Null,
        Cell::Text("8867-4"),
        Cell::Null,
        Cell::Decimal("72.50"),
        Cell::Text("/min"),
        Cell::Text("F"),
        Cell::Instant(1_764_100_631_111_370),
        Cell::Null,
        Cell::Bool(false),
    ]
}

fn shadow() -> Shadow {
    let mut shadow = Shadow::of(clinic());
    let key = shadow.put("public.patient", &patient(Cell::Text("F"), false, false));
    shadow.bind("patient", "Patient", &key);
    shadow
}

#[test]
fn the_clinics_map_is_a_good_one() {
    let map = the_map();
    assert_eq!((&*map.name, map.version, map.clinical), ("clinic", 1, true));
    let names: Vec<&str> = map.entities().iter().map(|entity| entity.name.as_str()).collect();
    assert_eq!(names, ["patient", "encounter", "observation"]);
    let patient = &map.entities()[0];
    assert!(matches!(patient.subject, Some(Subject::Itself)));
    assert!(patient.joins.iter().all(|join| join.many && join.remap));
    let columns: Vec<&str> = patient.columns(&"public.patient".into()).collect();
    assert_eq!(columns, ["born", "is_test", "mrn", "patient_id", "sex", "voided"]);
    let names: Vec<&str> = patient.columns(&"public.patient_name".into()).collect();
    assert_eq!(names, ["family", "given", "kind", "name_id", "patient_id"]);
    let observation = &map.entities()[2];
    let refs: Vec<&str> = observation.refs().iter().map(|name| name.as_str()).collect();
    assert_eq!(refs, ["encounter", "patient"]);
    assert!(matches!(&observation.subject, Some(Subject::Of(name)) if name.as_str() == "patient"));
    let tables: Vec<&str> = patient.tables().into_iter().map(TableName::as_str).collect();
    assert_eq!(tables, ["public.patient", "public.patient_name", "public.patient_address"]);
}

#[test]
fn a_patient_with_names_in_order_and_an_address_without_a_street() {
    let mut shadow = shadow();
    let text = Cell::Text;
    shadow.put("public.patient_name", &[Cell::Int(2), Cell::Int(7), text("B"), text("Byron"), Cell::Null]);
    shadow.put("public.patient_name", &[Cell::Int(1), Cell::Int(7), text("L"), text("Lovelace"), text("Ada")]);
    shadow.put("public.patient_name", &[Cell::Int(3), Cell::Int(8), text("L"), text("Other"), Cell::Null]);
    shadow.put("public.patient_address", &[Cell::Int(1), Cell::Int(7), Cell::Null, text(" Zürich ")]);
    let mapped = shadow.map(&the_map(), "patient", &key(7));
    assert_eq!(
        shown(&mapped),
        concat!(
            r#"{"resourceType":"Patient","id":"00000000-0000-0000-0000-000000000001","active":true,"#,
            r#""address":[{"city":"Zürich","use":"home"}],"birthDate":"1948-02-06","gender":"female","#,
            r#""identifier":[{"system":"https://ids.hospital.example/mrn","#,
            r#""type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"#,
            r#""use":"usual","value":"MRN-7"}],"#,
            r#""name":[{"family":"Byron","use":"maiden"},{"family":"Lovelace","given":["Ada"],"use":"official"}]}"#
        )
    );
    let Mapped::Candidate(candidate) = mapped else { panic!("a candidate") };
    let cited: Vec<u64> = candidate.cites.iter().map(|cite| cite.entry.seq).collect();
    assert_eq!(cited, [1, 3, 2, 5], "the root, then the joined rows in their order");
}

#[test]
fn an_observation_keeps_every_digit_and_drops_what_is_null() {
    let mut shadow = shadow();
    shadow.put("public.observation", &observation());
    assert_eq!(
        shown(&shadow.map(&the_map(), "observation", &key(5))),
        concat!(
            r#"{"resourceType":"Observation","id":"00000000-0000-0000-0000-000000000000","#,
            r#""code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}],"text":"8867-4"},"#,
            r#""effectiveDateTime":"2025-11-25T19:57:11.11137Z","status":"final","#,
            r#""subject":{"reference":"Patient/00000000-0000-0000-0000-000000000001"},"#,
            r#""valueQuantity":{"value":72.50,"unit":"/min","code":"/min","system":"http://unitsofmeasure.org"}}"#
        )
    );
    let exact = |decimal: &'static str, shadow: &mut Shadow| {
        let mut cells = observation();
        (cells[5], cells[6]) = (Cell::Decimal(decimal), Cell::Text("furlong"));
        shadow.put("public.observation", &cells);
        let text = shown(&shadow.map(&the_map(), "observation", &key(5)));
        assert!(text.contains(&format!(r#""valueQuantity":{{"value":{decimal},"unit":"furlong"}}"#)), "{text}");
    };
    for decimal in ["1.00", "0", "-0.10", "1234567890123456789012345678901234567890.0123456789"] {
        exact(decimal, &mut shadow);
    }
}

#[test]
fn what_does_not_fit_parks_and_names_element_and_reason_without_the_value() {
    let park = |place: usize, cell: Cell<'static>| {
        let mut cells = observation();
        cells[place] = cell;
        let mut shadow = shadow();
        shadow.put("public.observation", &cells);
        shown(&shadow.map(&the_map(), "observation", &key(5)))
    };
    assert_eq!(
        park(7, Cell::Text("canary")),
        "unmappable: Observation.status: code table obs_status does not know the code"
    );
    assert_eq!(park(7, Cell::Null), "unmappable: Observation.status: R4 requires it, and it has no value");
    assert_eq!(
        park(5, Cell::Raw("NaN")),
        "unmappable: Observation.valueQuantity.value: column value holds NaN in this row, which is no number of R4"
    );
    for (text, what) in [
        ("infinity", "an infinity"),
        ("-infinity", "an infinity"),
        ("0044-03-15 12:00:00+00 BC", "a year before the year 1"),
        ("10000-01-01 00:00:00+00", "a year after 9999"),
    ] {
        let told = park(8, Cell::Raw(text));
        let wanted = format!("column taken_at holds {what} in this row, which is no date of R4");
        assert!(told.ends_with(&wanted) && !told.contains("0044") && !told.contains("10000"), "{told}");
    }
    assert!(park(8, Cell::Raw("canary")).ends_with("column taken_at holds raw in this row, not instant"));
    assert_eq!(
        park(9, Cell::Unchanged),
        "unmappable: column note is unknown: the log left it out and the shadow does not hold it"
    );
    assert_eq!(
        park(9, Cell::Text("can\u{1}ary")),
        "unmappable: Observation.note.text: the text holds a control character"
    );
    assert!(park(10, Cell::Unchanged).contains("column voided is unknown"));
}

#[test]
fn a_reference_to_a_key_without_a_unit_waits_and_a_null_key_is_nothing() {
    let mut shadow = Shadow::of(clinic());
    let mut cells = observation();
    shadow.put("public.observation", &cells);
    assert_eq!(shown(&shadow.map(&the_map(), "observation", &key(5))), "waits for patient");
    shadow.bind("patient", "Patient", &key(7));
    cells[2] = Cell::Int(3);
    shadow.put("public.observation", &cells);
    let Mapped::Waiting { on, cites } = shadow.map(&the_map(), "observation", &key(5)) else { panic!("waits") };
    assert_eq!((on.entity.as_str(), on.key, cites.len()), ("encounter", key(3), 1));
}

#[test]
fn deletions_say_what_the_map_declares() {
    let map = the_map();
    let mut shadow = shadow();
    shadow.put("public.patient", &patient(Cell::Null, false, true));
    assert_eq!(shown(&shadow.map(&map, "patient", &key(7))), "Retracted by voided, 1 changes");
    shadow.put("public.patient", &patient(Cell::Null, true, false));
    assert_eq!(shown(&shadow.map(&map, "patient", &key(7))), "Purged by when, 0 changes");
    shadow.put("public.patient", &patient(Cell::Null, false, false));
    assert!(shown(&shadow.map(&map, "patient", &key(7))).contains(r#""active":true"#), "un-voided");
    assert_eq!(shown(&shadow.map(&map, "encounter", &key(9))), "never seen");
    shadow.bind("encounter", "Encounter", &key(9));
    assert_eq!(shown(&shadow.map(&map, "encounter", &key(9))), "Retracted by row, 1 changes");
}

#[test]
fn a_deleted_row_needs_none_of_its_content() {
    let mut cells = observation();
    cells[10] = Cell::Bool(true);
    (cells[5], cells[9], cells[7]) = (Cell::Raw("NaN"), Cell::Unchanged, Cell::Text("?"));
    let mut shadow = Shadow::of(clinic());
    shadow.put("public.observation", &cells);
    assert_eq!(shown(&shadow.map(&the_map(), "observation", &key(5))), "Retracted by voided, 1 changes");
}

#[test]
fn a_row_of_another_schema_is_read_by_name_and_what_it_lacks_is_unknown() {
    let schemas = clinic();
    let mut older = schemas[&TableName::from("public.observation")].clone();
    older.columns.rotate_right(1);
    older.columns.push(Column { name: "new".into(), ty: ColumnType::Int, native: 0 });
    older.key = vec![1];
    let mut cells = observation();
    cells.rotate_right(1);
    cells.push(Cell::Int(1));
    let mut shadow = shadow();
    shadow.put_as(&older, &cells);
    assert!(shown(&shadow.map(&the_map(), "observation", &key(5))).contains(r#""value":72.50"#));

    let mut fewer = schemas[&TableName::from("public.observation")].clone();
    fewer.columns.retain(|column| &*column.name != "note");
    let mut cells = observation();
    cells.remove(9);
    shadow.put_as(&fewer, &cells);
    assert!(shown(&shadow.map(&the_map(), "observation", &key(5))).starts_with("unmappable: column note is unknown"));
}

#[test]
fn a_map_owns_what_it_can_say_and_nothing_else() {
    let map = the_map();
    let owns = |entity: usize, address: &str| map.entities()[entity].owns(&FieldAddress::new(address));
    let system = "https://ids.hospital.example/mrn";
    for address in [
        "active",
        "gender",
        "birthDate",
        "name[use=official].given",
        "name[use=maiden].family",
        "name",
        "address[use=home].city",
        &format!("identifier[system={system},type=x].value"),
    ] {
        assert!(owns(0, address), "{address}");
    }
    for address in [
        "telecom[system=phone,use=home].value",
        "name[use=nickname].family",
        "name[use=official].prefix",
        "address[use=work].city",
        "identifier[system=https://other.example].value",
        &format!("identifier[system={system},type=x].assigner"),
        "maritalStatus.text",
    ] {
        assert!(!owns(0, address), "{address}");
    }
    for address in
        ["status", "effective", "value", "code.coding[system=http://loinc.org]", "code.text", "note", "encounter"]
    {
        assert!(owns(2, address), "{address}");
    }
    for address in ["issued", "code.coding[system=http://snomed.info/sct]", "interpretation", "component"] {
        assert!(!owns(2, address), "{address}");
    }
}

#[test]
fn labels_stand_in_meta_and_a_unit_without_one_parks() {
    let text = CLINIC
        .replacen(
            "security: {unlabelled: \"this system marks no patient as restricted\"}",
            "security: \"=sex | code(label)\"",
            1,
        )
        .replacen("codes:  ", "codes:\n  label: {M: N, F: R, else: park}\n  # ", 1);
    let map = compile(&text, &clinic()).unwrap_or_else(|faults| panic!("{}", faults[0]));
    assert!(map.entities()[0].unlabelled.is_none() && map.entities()[1].unlabelled.is_some());
    let mut shadow = shadow();
    let label =
        r#""meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}"#;
    assert!(shown(&shadow.map(&map, "patient", &key(7))).contains(label));
    shadow.put("public.patient", &patient(Cell::Null, false, false));
    assert_eq!(
        shown(&shadow.map(&map, "patient", &key(7))),
        "unmappable: Patient.meta.security: it has no value, and must"
    );
}
