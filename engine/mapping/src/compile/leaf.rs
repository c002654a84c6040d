//! Compiles what stands at a primitive element: an expression or a literal, of a fitting type and among the codes that
//! R4 allows there.

use super::tree::{Here, Tree};
use crate::{
    check::Typed,
    error::{Place, did_you_mean},
    format, r4,
    template::{Leaf, Primitive},
    types::{Texts, Type, Val},
    yaml::Scalar,
};
use model::{Json, ResourceType};
use std::collections::BTreeSet;

impl Tree<'_, '_> {
    pub(super) fn leaf(&mut self, typed: Typed, at: Place, primitive: Primitive, here: &Here<'_>) -> Option<Leaf> {
        if let (true, Some(targets)) = (here.path.ends_with(".reference"), here.targets) {
            self.target(&typed, at, targets, here)?;
        } else if let Err(remedy) = r4::fits(typed.ty, primitive) {
            self.faults.add(
                at,
                format!("{} is {}, the expression gives {}", here.path, here.spot.ty(), typed.ty),
                remedy,
            );
            return None;
        }
        self.codes(&typed.texts, at, primitive, here)?;
        Some(Leaf { expr: typed.expr, write: primitive, path: here.path.into(), required: false, texts: typed.texts })
    }

    fn target(&mut self, typed: &Typed, at: Place, targets: &BTreeSet<ResourceType>, here: &Here<'_>) -> Option<()> {
        if !matches!(typed.ty, Type::Reference | Type::Null) {
            let remedy = "write `ref(entity, key)`: only a bound unit has an address";
            self.faults.add(at, format!("{} is given {}", here.path, typed.ty), remedy);
            return None;
        }
        let wrong = typed.targets.iter().find(|kind| !targets.is_empty() && !targets.contains(*kind));
        if let Some(kind) = wrong {
            let allowed: Vec<&str> = targets.iter().map(ResourceType::as_str).collect();
            let remedy = format!("R4 allows {} here", allowed.join(", "));
            self.faults.add(at, format!("{} must not point at {kind}", here.path), remedy);
            return None;
        }
        Some(())
    }

    /// Checks texts that are known before any row against a closed choice of codes.
    fn codes(&mut self, texts: &Texts, at: Place, primitive: Primitive, here: &Here<'_>) -> Option<()> {
        if let Texts::Only(texts) = texts
            && let Some((text, why)) = texts
                .iter()
                .find_map(|text| Some((text, format::text(text, primitive).err().filter(|_| !text.is_empty())?)))
        {
            self.faults.add(at, format!("{} does not take '{text}'", here.path), why);
            return None;
        }
        let own = here.spot.codes();
        let (path, codes) = match (&own, here.binding) {
            (Some(codes), _) => (here.path, codes),
            (None, Some(binding)) if primitive == Primitive::Code => (&*binding.path, &binding.codes),
            _ => return Some(()),
        };
        let sample = || {
            let shown: Vec<&str> = codes.iter().copied().take(12).collect();
            format!("{}{}", shown.join(", "), if codes.len() > 12 { ", .." } else { "" })
        };
        match texts {
            Texts::Any => {
                let remedy = format!("look it up in a code table whose values are among {}", sample());
                self.faults.add(at, format!("{path} takes a closed list of codes, and this may be any text"), remedy);
                None
            }
            Texts::Only(texts) => {
                let Some(wrong) = texts.iter().find(|text| !codes.contains(&***text)) else { return Some(()) };
                self.faults.add(
                    at,
                    format!("{path} does not take the code `{wrong}`"),
                    did_you_mean(wrong, codes.iter().copied()),
                );
                None
            }
        }
    }

    pub(super) fn literal(
        &mut self,
        scalar: &Scalar,
        at: Place,
        primitive: Primitive,
        here: &Here<'_>,
    ) -> Option<Json> {
        if scalar.is_null() {
            self.faults.add(at, format!("{} is given nothing", here.path), "leave the line out");
            return None;
        }
        let text = scalar.text.strip_prefix('=').unwrap_or(&scalar.text);
        let json = match literal(scalar, text, primitive) {
            Ok(json) => json,
            Err(remedy) => {
                let reason = format!("`{}` is no {}, which {} is", scalar.text, here.spot.ty(), here.path);
                self.faults.add(at, reason, remedy);
                return None;
            }
        };
        let systems = here.binding.filter(|_| here.path.ends_with(".system")).map(|binding| &binding.systems);
        if let Some(systems) = systems.filter(|systems| !systems.contains(text)) {
            let remedy = did_you_mean(text, systems.iter().copied());
            self.faults.add(at, format!("{} does not take codes of `{text}`", here.path), remedy);
            return None;
        }
        self.codes(&Texts::one(text), at, primitive, here)?;
        Some(json)
    }
}

fn literal(scalar: &Scalar, text: &str, primitive: Primitive) -> Result<Json, &'static str> {
    let number = scalar.plain && format::is_decimal(text);
    let value = match primitive {
        Primitive::Boolean => return scalar.as_bool().map(Json::Bool).ok_or("write true or false, without quotes"),
        Primitive::Decimal if number => Val::Decimal(text.into()),
        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt if number => {
            Val::Int(text.parse().map_err(|_| "write a whole number")?)
        }
        Primitive::Decimal | Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
            return Err("write a number, without quotes");
        }
        Primitive::Date => Val::Date(format::parse_date(text).ok_or("write YYYY-MM-DD")?),
        Primitive::DateTime => match format::parse_date(text) {
            Some(day) => Val::Date(day),
            None => return Err("write YYYY-MM-DD"),
        },
        Primitive::Instant | Primitive::Time | Primitive::Base64 => {
            return Err("a fixed value here is no one's fact; map a column");
        }
        _ if number || scalar.as_bool().is_some() => return Err("put quotes around it, if it is meant as text"),
        Primitive::String | Primitive::Code | Primitive::Id | Primitive::Uri => Val::Text(text.into()),
    };
    format::write(&value, primitive)?.ok_or("write a text that says something")
}
