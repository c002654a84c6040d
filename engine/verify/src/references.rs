//! References of a body: what they name, and whose record that belongs to (`right_patient`).

use flow::Inspect;
use mapping::{Map, Subject};
use model::{AggregateState, EntityName, Json, ResourceType, RowKey, Unit, UnitId};

/// The elements that name a resource's subject, before any other that happens to refer to one.
const SUBJECT_ELEMENTS: [&str; 4] = ["subject", "patient", "beneficiary", "individual"];

/// A literal reference inside a body.
pub(crate) struct Reference {
    /// The names of the elements that lead to it.
    pub path: String,
    /// What it names; none if its id is not one that we could have minted.
    pub unit: Option<Unit>,
}

/// A unit that is referred to, as we know it.
pub(crate) struct Known {
    pub entity: EntityName,
    pub key: RowKey,
}

/// Every literal reference of a resource, in order; contained resources and the narrative take no part.
pub(crate) fn collect(body: &Json) -> Vec<Reference> {
    let mut found = Vec::new();
    walk(body, "", &mut found);
    found
}

fn walk(json: &Json, path: &str, found: &mut Vec<Reference>) {
    match json {
        Json::Object(members) => {
            for (name, value) in members {
                match (&**name, value.as_str()) {
                    ("reference", Some(text)) => found.extend(literal(text, path)),
                    ("contained" | "text", _) if path.is_empty() => {}
                    (name, _) => walk(value, &join(path, name), found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| walk(item, path, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn literal(text: &str, path: &str) -> Option<Reference> {
    let (kind, id) = split(text)?;
    let id = uuid::Uuid::try_parse(id).ok().map(UnitId);
    let unit = id.map(|id| Unit { resource_type: ResourceType::from(kind), id });
    Some(Reference { path: path.to_owned(), unit })
}

/// Type and id of a relative or absolute literal reference; none for `#part`, `urn:` and other forms.
fn split(text: &str) -> Option<(&str, &str)> {
    let whole = text.split_once("/_history/").map_or(text, |(before, _)| before);
    let (rest, id) = whole.rsplit_once('/')?;
    let (server, kind) = rest.rsplit_once('/').unwrap_or(("", rest));
    let addressed = server.is_empty() || ["http://", "https://"].iter().any(|scheme| server.starts_with(scheme));
    (addressed && kind.starts_with(|c: char| c.is_ascii_uppercase())).then_some((kind, id))
}

/// The unit of ours that a reference names: same type, same id.
pub(crate) fn known(unit: &Unit, inspect: &Inspect) -> Option<Known> {
    let (entity, key) = inspect.unit_key(unit.id)?;
    let bound = inspect.bound(&entity, &key)?;
    (bound == *unit).then_some(Known { entity, key })
}

/// Whose record a unit belongs to.
pub(crate) struct Owned {
    /// The entity of the subject.
    pub entity: EntityName,
    /// The subject.
    pub subject: Unit,
    /// The element that names it; none where the unit is its own subject.
    pub element: Option<Box<str>>,
}

/// The subject by the map and the state; none where the map names none, or the state does not say it.
pub(crate) fn owner(state: &AggregateState, map: &Map, inspect: &Inspect) -> Option<Owned> {
    let entity = map.entities().get(map.entity(&state.entity)?)?;
    let of = match entity.subject.as_ref()? {
        Subject::Itself => {
            return Some(Owned { entity: entity.name.clone(), subject: state.unit.clone(), element: None });
        }
        Subject::Of(of) => of,
    };
    let named = |element: &str, value: &Json| {
        let unit = literal(value.get("reference")?.as_str()?, element)?.unit?;
        let right = known(&unit, inspect).is_some_and(|known| known.entity == *of);
        right.then(|| Owned { entity: of.clone(), subject: unit, element: Some(element.into()) })
    };
    let top = || state.fields.0.iter().filter(|(address, _)| !address.as_str().contains(['.', '[']));
    let preferred = SUBJECT_ELEMENTS.iter().find_map(|name| {
        let (address, value) = top().find(|(address, _)| address.as_str() == *name)?;
        named(address.as_str(), value)
    });
    preferred.or_else(|| top().find_map(|(address, value)| named(address.as_str(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand_and_read_in_every_form() {
        let id = "00000000-0000-0000-0000-000000000007";
        let text = format!(
            r##"{{"subject":{{"reference":"Patient/{id}"}},"contained":[{{"x":{{"reference":"Patient/{id}"}}}}],
                "performer":[{{"reference":"https://fhir.test/r4/Practitioner/{id}/_history/3"}},{{"reference":"#p"}}],
                "encounter":{{"reference":"Encounter/77"}},"focus":[{{"reference":"urn:uuid:{id}"}}]}}"##
        );
        let found = collect(&Json::parse(text.as_bytes()).unwrap());
        let shown: Vec<(String, Option<String>)> =
            found.into_iter().map(|one| (one.path, one.unit.map(|unit| unit.to_string()))).collect();
        let expected = [
            ("subject".to_owned(), Some(format!("Patient/{id}"))),
            ("performer".to_owned(), Some(format!("Practitioner/{id}"))),
            ("encounter".to_owned(), None),
        ];
        assert_eq!(shown, expected);
    }
}
