//! Our own JSON tree, and resources as fields.

use super::texts;
use model::{Fields, Json, ResourceType, canonical_hash, canonically_equal};
use schemas::r4::ElementTable;

/// What is read as JSON is written and read again as the same tree, byte for byte.
pub fn json(bytes: &[u8]) {
    let Ok(tree) = Json::parse(bytes) else { return };
    drop(format!("{tree:?}"));
    let written = tree.to_bytes();
    let again = Json::parse(&written).expect("what we write can be read");
    assert!(again == tree, "another tree comes back");
    assert!(again.to_bytes() == written, "it is written in one way");
}

pub fn json_seeds() -> Vec<Vec<u8>> {
    let mut all = texts(&[
        r#"{"a":[1,-0.10,1e-7,1E+30,true,null,"\u00e9\ud83e\uddd1\n"],"b":{},"c":[]}"#,
        r#""\ud800""#,
        r#"{"a":1,"a":2}"#,
        "[[[[[[[[1]]]]]]]]",
        "-",
    ]);
    all.extend(resource_seeds());
    all
}

/// Any tree can be taken for a resource: into fields, and back to what is canonically the same.
pub fn resource(bytes: &[u8]) {
    let Ok(tree) = Json::parse(bytes) else { return };
    let elements = ElementTable::r4();
    let named = tree.get("resourceType").and_then(Json::as_str);
    let kind = ResourceType::from(named.unwrap_or("Patient"));
    assert!(canonically_equal(&tree, &tree, elements) == named.is_some(), "a resource is equal to itself");
    let fields = Fields::from_resource(&tree, elements);
    let made = fields.to_resource(&kind, "x");
    assert!(
        named.is_none() || Fields::from_resource(&made, elements).to_resource(&kind, "x") == made,
        "what was made of fields gives the same fields again"
    );
    let _ = canonical_hash(&made, elements);
}

pub fn resource_seeds() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"resourceType":"Patient","id":"x","meta":{"versionId":"3","source":"https://ids.test/lockstep#ABCDEFGHIJKLMNOP","security":[{"system":"s","code":"HTEST"}]},"identifier":[{"use":"usual","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"value":"77"}],"name":[{"use":"official","family":"F","given":["A","B"]}],"birthDate":"1970","_birthDate":{"extension":[{"url":"u","valueCode":"x"}]},"contained":[{"resourceType":"Organization"}],"text":{"status":"generated","div":"<div/>"}}"#,
        r##"{"resourceType":"Observation","id":"x","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"http://a/fhir/Patient/1/_history/2"},"effectiveDateTime":"2024-02-29T24:00:00.000+14:00","valueQuantity":{"value":72.0,"unit":"/min"},"component":[{"code":{"text":"a"},"valueInteger":1},{"code":{"text":"a"},"valueInteger":2}],"extension":[{"url":"a.b[c]","extension":[{"url":"d","valueReference":{"reference":"#p"}}]}]}"##,
    ])
}
