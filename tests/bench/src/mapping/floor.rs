//! The floor: a compiled template that can call five fixed functions, over rows as JSON.
//!
//! As little as a map can be: no types, no checks, no exact decimals, no causes, no citations.

use serde_json::{Map, Number, Value, json};

/// A compiled template.
pub enum Template {
    Literal(Value),
    Column(String, Vec<Function>),
    Object(Vec<(String, Template)>),
    Array(Vec<Template>),
    /// Dropped where the column is null.
    If(String, Box<Template>),
}

/// What may be done to a column.
pub enum Function {
    Prefix(String),
    Text,
    Number,
    Instant,
    Lookup(Vec<(String, String)>),
}

/// The template of the observation.
pub fn observation() -> Template {
    compile(&json!({
        "resourceType": "Observation",
        "identifier": [{"system": "urn:oid:2.25.123456789", "value": {"$col": "id", "$fn": ["text"]}}],
        "status": {"$col": "status", "$fn": [{"lookup": {"F": "final", "P": "preliminary"}}]},
        "code": {"coding": [{"system": "http://loinc.org", "code": {"$col": "code"}, "display": {"$col": "display"}}]},
        "subject": {"reference": {"$col": "patient_id", "$fn": [{"prefix": "Patient/"}]}},
        "effectiveDateTime": {"$col": "effective", "$fn": ["instant"]},
        "valueQuantity": {"value": {"$col": "value", "$fn": ["number"]}, "unit": {"$col": "unit"},
                          "system": "http://unitsofmeasure.org", "code": {"$col": "unit"}},
        "encounter": {"$if": "encounter_id",
                      "$then": {"reference": {"$col": "encounter_id", "$fn": [{"prefix": "Encounter/"}]}}},
        "note": {"$if": "note", "$then": [{"text": {"$col": "note"}}]}
    }))
}

fn compile(value: &Value) -> Template {
    let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match value {
        Value::Object(object) => {
            if let Some(column) = object.get("$col") {
                let functions = object.get("$fn").and_then(Value::as_array);
                return Template::Column(name(column), functions.into_iter().flatten().map(function).collect());
            }
            if let (Some(column), Some(then)) = (object.get("$if"), object.get("$then")) {
                return Template::If(name(column), Box::new(compile(then)));
            }
            Template::Object(object.iter().map(|(name, value)| (name.clone(), compile(value))).collect())
        }
        Value::Array(items) => Template::Array(items.iter().map(compile).collect()),
        literal => Template::Literal(literal.clone()),
    }
}

fn function(value: &Value) -> Function {
    match value.as_str() {
        Some("text") => Function::Text,
        Some("number") => Function::Number,
        Some(_) => Function::Instant,
        None => match value["prefix"].as_str() {
            Some(prefix) => Function::Prefix(prefix.to_owned()),
            None => {
                let table = value["lookup"].as_object().into_iter().flatten();
                Function::Lookup(table.map(|(from, to)| (from.clone(), text(to))).collect())
            }
        },
    }
}

/// Fills the template; none where nothing is left.
pub fn fill(template: &Template, row: &Value) -> Option<Value> {
    Some(match template {
        Template::Literal(value) => value.clone(),
        Template::If(column, _) if row[column.as_str()].is_null() => return None,
        Template::If(_, then) => fill(then, row)?,
        Template::Array(items) => Value::Array(items.iter().filter_map(|item| fill(item, row)).collect()),
        Template::Object(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                if let Some(value) = fill(member, row) {
                    object.insert(name.clone(), value);
                }
            }
            Value::Object(object)
        }
        Template::Column(column, functions) => {
            let mut value = row[column.as_str()].clone();
            for function in functions {
                value = apply(function, &value)?;
            }
            value
        }
    })
}

fn apply(function: &Function, value: &Value) -> Option<Value> {
    Some(match function {
        Function::Text => Value::String(text(value)),
        Function::Prefix(prefix) => Value::String(format!("{prefix}{}", text(value))),
        Function::Number => Value::Number(Number::from_f64(value.as_str()?.parse().ok()?)?),
        Function::Instant => Value::String(value.as_str()?.replacen(' ', "T", 1).replace("+00", "Z")),
        Function::Lookup(table) => {
            let found = table.iter().find(|(from, _)| Some(from.as_str()) == value.as_str())?;
            Value::String(found.1.clone())
        }
    })
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
