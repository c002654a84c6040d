//! The R4 element table, asked the way a map asks: member by member, as JSON names them.

use crate::{template::Primitive, types::Type};
use model::ResourceType;
use schemas::r4::{Element, ElementTable, GroupId, Member};
use std::collections::BTreeSet;

/// One member of a type.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    table: &'static ElementTable,
    member: &'static Member,
}

/// The members of a type.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    table: &'static ElementTable,
    id: GroupId,
}

impl Group {
    /// The members of a resource type or datatype.
    pub(crate) fn of(table: &'static ElementTable, name: &str) -> Option<Group> {
        Some(Group { table, id: table.group(name)? })
    }

    /// The member called `name` in JSON.
    pub(crate) fn member(self, name: &str) -> Option<Spot> {
        Some(Spot { table: self.table, member: self.table.members(self.id).get(name)? })
    }

    /// Every name a member may have in JSON.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        self.table.members(self.id).keys().map(|name| &**name)
    }

    /// The elements, each once, with the first JSON name of each.
    pub(crate) fn elements(self) -> Vec<(&'static Element, &'static str)> {
        let mut found: Vec<(&'static Element, &'static str)> = Vec::new();
        for (name, member) in self.table.members(self.id) {
            let element = self.table.element_of(member);
            if !found.iter().any(|(held, _)| held.path == element.path) {
                found.push((element, name));
            }
        }
        found
    }
}

impl Spot {
    /// What the table says of the element.
    pub(crate) fn element(self) -> &'static Element {
        self.table.element_of(self.member)
    }

    /// Its R4 type.
    pub(crate) fn ty(self) -> &'static str {
        self.table.type_of_member(self.member).name
    }

    /// What a reference here may point at; empty = anything.
    pub(crate) fn targets(self) -> BTreeSet<ResourceType> {
        self.table.type_of_member(self.member).targets.iter().map(|name| ResourceType::from(*name)).collect()
    }

    /// Its own members.
    pub(crate) fn below(self) -> Option<Group> {
        Some(Group { table: self.table, id: self.member.below? })
    }

    /// The codes that are allowed here; none where the choice is free.
    pub(crate) fn codes(self) -> Option<BTreeSet<&'static str>> {
        let set = self.table.value_set(self.element().binding?)?;
        Some(set.iter().flat_map(|(_, codes)| codes.iter().copied()).collect())
    }

    /// The code systems that codes here come from; empty where the choice is free.
    pub(crate) fn systems(self) -> BTreeSet<&'static str> {
        let set = self.element().binding.and_then(|name| self.table.value_set(name));
        set.into_iter().flatten().map(|(system, _)| *system).collect()
    }
}

/// How a primitive type is written; none for types with members.
pub(crate) fn primitive(ty: &str) -> Option<Primitive> {
    Some(match ty {
        "boolean" => Primitive::Boolean,
        "integer" => Primitive::Integer,
        "positiveInt" => Primitive::PositiveInt,
        "unsignedInt" => Primitive::UnsignedInt,
        "decimal" => Primitive::Decimal,
        "string" | "markdown" => Primitive::String,
        "code" => Primitive::Code,
        "id" => Primitive::Id,
        "uri" | "url" | "canonical" | "oid" | "uuid" => Primitive::Uri,
        "date" => Primitive::Date,
        "dateTime" => Primitive::DateTime,
        "instant" => Primitive::Instant,
        "time" => Primitive::Time,
        "base64Binary" => Primitive::Base64,
        _ => return None,
    })
}

/// Whether values of `ty` can be written as `to`; else what to do about it.
pub(crate) fn fits(ty: Type, to: Primitive) -> Result<(), &'static str> {
    use Primitive as P;
    match (ty, to) {
        (Type::Null, _)
        | (Type::Bool, P::Boolean)
        | (Type::Int, P::Integer | P::PositiveInt | P::UnsignedInt | P::Decimal)
        | (Type::Decimal, P::Decimal)
        | (Type::Text, P::String | P::Code | P::Id | P::Uri)
        | (Type::Date, P::Date | P::DateTime)
        | (Type::Instant, P::DateTime | P::Instant)
        | (Type::Time, P::Time)
        | (Type::Bytes, P::Base64) => Ok(()),
        (Type::DateTime, P::DateTime | P::Instant) => {
            Err("the database does not say in which zone; store it with a zone, or map its day with `| date()`")
        }
        (Type::DateTime, P::Date) => Err("map its day with `| date()`"),
        (Type::Instant, P::Date) => Err("the day of an instant hangs on a zone; map a date column"),
        (Type::Reference, _) => Err("`ref` goes into the `reference` of a Reference: `{reference: \"=ref(..)\"}`"),
        (Type::Text | Type::Raw, P::Decimal) => Err("read it with `| decimal()`"),
        (Type::Text | Type::Raw, P::Date | P::DateTime) => Err("read it with `| date()`"),
        (Type::Int | Type::Text | Type::Raw, P::Boolean) => Err("compare it: `x == 'Y'`"),
        (Type::Bytes, _) => Err("bytes fit base64Binary only"),
        (_, P::String | P::Code | P::Id | P::Uri) => Err("turn it into text with `| text()`"),
        _ => Err("map a column of a fitting type"),
    }
}
