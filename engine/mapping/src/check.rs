//! Gives the names of an expression their meaning and checks every type; whatever does not fit is a fault with a remedy.

use crate::{
    error::{Faults, Place, did_you_mean},
    expr::Expr,
    functions,
    map::{Code, CodeTable, Read, Reads},
    syntax::{self, Ast, What},
    types::{Texts, Type, Val},
};
use model::{EntityName, ResourceType, TableSchema};
use std::collections::{BTreeMap, BTreeSet};

/// What names mean inside one entity.
pub(crate) struct Scope<'a> {
    /// Root first, then the joins in order: alias, whether many, schema (none if the table is not known).
    pub(crate) sources: Vec<SourceOf<'a>>,
    pub(crate) codes: &'a [CodeTable],
    pub(crate) entities: &'a BTreeMap<Box<str>, Target>,
    /// What was read so far, by source.
    pub(crate) reads: Vec<Reads>,
    pub(crate) refs: BTreeSet<EntityName>,
}

pub(crate) struct SourceOf<'a> {
    pub(crate) alias: &'a str,
    pub(crate) many: bool,
    pub(crate) schema: Option<&'a TableSchema>,
}

/// What a reference needs to know of the entity it points at.
pub(crate) struct Target {
    /// None if it is not a good one.
    pub(crate) resource_type: Option<ResourceType>,
    /// The types of its key; none if they are not known.
    pub(crate) key: Option<Vec<Type>>,
}

/// What an expression is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Content; inside the `$item` of this source's `$each`.
    Content(Option<usize>),
    /// `when` and flags: the root alone, for a change of a joined row must not decide whether a unit lives.
    Control,
}

/// A checked expression.
#[derive(Clone)]
pub(crate) struct Typed {
    pub(crate) expr: Expr,
    pub(crate) ty: Type,
    pub(crate) texts: Texts,
    /// What a reference may point at.
    pub(crate) targets: BTreeSet<ResourceType>,
}

impl Typed {
    fn of(expr: Expr, ty: Type) -> Typed {
        Typed { expr, ty, texts: Texts::Any, targets: BTreeSet::new() }
    }
}

/// Reads and checks the expression that stands at `place`; none if it has faults (they are noted).
pub(crate) fn expression(
    text: &str,
    place: Place,
    scope: &mut Scope<'_>,
    usage: Use,
    faults: &mut Faults,
) -> Option<Typed> {
    match syntax::parse(text) {
        Ok(ast) => Checker { scope, usage, place, faults }.check(&ast),
        Err(wrong) => {
            faults.add(place.plus(wrong.at), wrong.reason, wrong.remedy);
            None
        }
    }
}

struct Checker<'c, 'a> {
    scope: &'c mut Scope<'a>,
    usage: Use,
    place: Place,
    faults: &'c mut Faults,
}

impl Checker<'_, '_> {
    fn fault(&mut self, at: usize, reason: String, remedy: impl std::fmt::Display) -> Option<Typed> {
        self.faults.add(self.place.plus(at), reason, remedy);
        None
    }

    fn check(&mut self, ast: &Ast) -> Option<Typed> {
        Some(match &ast.what {
            What::Text(text) => Typed {
                texts: Texts::one(text),
                ..Typed::of(Expr::Literal(Val::Text(text.to_string().into())), Type::Text)
            },
            What::Number(text) if text.contains('.') => {
                Typed::of(Expr::Literal(Val::Decimal(text.to_string().into())), Type::Decimal)
            }
            What::Number(text) => match text.parse::<i64>() {
                Ok(x) => Typed::of(Expr::Literal(Val::Int(x)), Type::Int),
                Err(_) => {
                    return self.fault(
                        ast.at,
                        format!("{text} is larger than an int"),
                        "write it as text, or as a decimal",
                    );
                }
            },
            What::Bool(x) => Typed::of(Expr::Literal(Val::Bool(*x)), Type::Bool),
            What::Null => Typed { texts: Texts::none(), ..Typed::of(Expr::Literal(Val::Null), Type::Null) },
            What::Name(name) => return self.column(ast.at, 0, name),
            What::Joined(alias, name) => return self.joined(ast.at, alias, name),
            What::Not(of) => Typed::of(Expr::Not(self.bool(of, "not")?), Type::Bool),
            What::And(a, b) => {
                let (a, b) = (self.bool(a, "and"), self.bool(b, "and"));
                Typed::of(Expr::And(a?, b?), Type::Bool)
            }
            What::Or(a, b) => {
                let (a, b) = (self.bool(a, "or"), self.bool(b, "or"));
                Typed::of(Expr::Or(a?, b?), Type::Bool)
            }
            What::IsNull(of) => Typed::of(Expr::IsNull(Box::new(self.check(of)?.expr)), Type::Bool),
            What::Equal(a, b) => return self.equal(ast.at, a, b),
            What::If(test, yes, no) => return self.choice(ast.at, test, yes, no),
            What::Call(name, arguments) => return self.call(ast.at, name, arguments),
        })
    }

    fn bool(&mut self, ast: &Ast, word: &str) -> Option<Box<Expr>> {
        let typed = self.check(ast)?;
        if !matches!(typed.ty, Type::Bool | Type::Null) {
            self.fault(
                ast.at,
                format!("`{word}` takes bool, this is {}", typed.ty),
                "compare it: `x == 'Y'`, `x is null`",
            );
            return None;
        }
        Some(Box::new(typed.expr))
    }

    fn equal(&mut self, at: usize, a: &Ast, b: &Ast) -> Option<Typed> {
        let (a, b) = (self.check(a), self.check(b));
        let (a, b) = (a?, b?);
        if a.ty.join(b.ty).is_none() {
            let reason = format!("{} is compared with {}", a.ty, b.ty);
            return self.fault(
                at,
                reason,
                "give both sides one type: `text(x)`, `decimal(x)`, `date(x)`, or a literal of the column's type",
            );
        }
        Some(Typed::of(Expr::Equal(Box::new(a.expr), Box::new(b.expr)), Type::Bool))
    }

    fn choice(&mut self, at: usize, test: &Ast, yes: &Ast, no: &Ast) -> Option<Typed> {
        let (test, yes, no) = (self.bool(test, "?"), self.check(yes), self.check(no));
        let (test, yes, no) = (test?, yes?, no?);
        let Some(ty) = yes.ty.join(no.ty) else {
            return self.fault(
                at,
                format!("one branch is {}, the other {}", yes.ty, no.ty),
                "give both branches one type",
            );
        };
        Some(Typed {
            expr: Expr::If(test, Box::new(yes.expr), Box::new(no.expr)),
            ty,
            texts: yes.texts.or(no.texts),
            targets: yes.targets.into_iter().chain(no.targets).collect(),
        })
    }

    fn joined(&mut self, at: usize, alias: &str, name: &str) -> Option<Typed> {
        let Some(from) = self.scope.sources.iter().skip(1).position(|source| source.alias == alias) else {
            let known = self.scope.sources.iter().skip(1).map(|source| source.alias);
            let remedy = did_you_mean(alias, known);
            return self.fault(at, format!("`{alias}` is no join of this entity"), remedy);
        };
        let from = from + 1;
        match self.usage {
            Use::Control => {
                self.fault(at, format!("`{alias}.{name}` stands in `when` or a flag"), "use columns of the root there")
            }
            Use::Content(each) if self.scope.sources[from].many && each != Some(from) => self.fault(
                at,
                format!("`{alias}` has many rows, and which one is meant is not said"),
                format!("put it into the `$item` of a `$each: {alias}`"),
            ),
            Use::Content(_) => self.column(at, from, name),
        }
    }

    fn column(&mut self, at: usize, from: usize, name: &str) -> Option<Typed> {
        let schema = self.scope.sources[from].schema?;
        let Some(place) = schema.column(name) else {
            let reason = format!("{} has no column `{name}`", schema.table);
            let remedy = did_you_mean(name, schema.columns.iter().map(|column| &*column.name));
            let remedy = match functions::NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, form)) => format!("`{name}` is a function: write `{form}`"),
                None if self.scope.codes.iter().any(|table| &*table.name == name) => {
                    format!("`{name}` is a code table: write `x | code({name})`")
                }
                None => remedy,
            };
            return self.fault(at, reason, remedy);
        };
        let ty = Type::of(schema.columns[place].ty);
        let reads = &mut self.scope.reads[from].columns;
        let slot = reads.iter().position(|read| *read.name == *name).unwrap_or(reads.len());
        if slot == reads.len() {
            reads.push(Read { name: name.into(), ty, place, mapped: false, control: false });
        }
        match self.usage {
            Use::Content(_) => reads[slot].mapped = true,
            Use::Control => reads[slot].control = true,
        }
        Some(Typed::of(Expr::Column { from, slot }, ty))
    }

    fn call(&mut self, at: usize, name: &str, arguments: &[Ast]) -> Option<Typed> {
        match name {
            "code" => return self.code(at, arguments),
            "ref" => return self.reference(at, arguments),
            "part" => return self.part(at, arguments),
            _ => {}
        }
        let checked: Vec<Option<Typed>> = arguments.iter().map(|argument| self.check(argument)).collect();
        let Some(function) = functions::ordinary(name) else {
            let remedy = did_you_mean(name, functions::NAMES.iter().map(|(name, _)| *name));
            return self.fault(at, format!("there is no function `{name}`"), remedy);
        };
        let (least, most) = functions::arity(function);
        if !(least..=most).contains(&arguments.len()) {
            return self.fault(
                at,
                format!("`{name}` got {} arguments", arguments.len()),
                format!("write `{}`", form(name)),
            );
        }
        let checked = checked.into_iter().collect::<Option<Vec<Typed>>>()?;
        let types: Vec<(Type, Texts)> = checked.iter().map(|typed| (typed.ty, typed.texts.clone())).collect();
        match functions::result(function, &types) {
            Ok((ty, texts)) => Some(Typed {
                targets: checked.iter().flat_map(|typed| typed.targets.clone()).collect(),
                expr: Expr::Call(function, checked.into_iter().map(|typed| typed.expr).collect()),
                ty,
                texts,
            }),
            Err((n, remedy)) => {
                let reason = format!("`{name}` does not take {} here", types[n].0);
                self.fault(arguments[n].at, reason, remedy)
            }
        }
    }

    fn code(&mut self, at: usize, arguments: &[Ast]) -> Option<Typed> {
        let [of, table] = arguments else {
            return self.fault(at, format!("`code` got {} arguments", arguments.len()), "write `x | code(table)`");
        };
        let of_typed = self.check(of);
        let What::Name(name) = &table.what else {
            return self.fault(
                table.at,
                "`code` wants the name of a code table".into(),
                "write `x | code(table)`, without quotes",
            );
        };
        let Some(place) = self.scope.codes.iter().position(|table| table.name == *name) else {
            let remedy = did_you_mean(name, self.scope.codes.iter().map(|table| &*table.name));
            return self.fault(table.at, format!("there is no code table `{name}`"), remedy);
        };
        let of_typed = of_typed?;
        if !matches!(of_typed.ty, Type::Text | Type::Int | Type::Bool | Type::Raw | Type::Null) {
            return self.fault(
                of.at,
                format!("`code` does not take {}", of_typed.ty),
                "look up text, int, bool or raw",
            );
        }
        let table = &self.scope.codes[place];
        let codes = table.codes.values().chain([&table.otherwise]).filter_map(|code| match code {
            Code::Is(code) => Some(code.clone()),
            Code::Nothing | Code::Park => None,
        });
        let texts = Texts::Only(codes.collect());
        Some(Typed { texts, ..Typed::of(Expr::Code { of: Box::new(of_typed.expr), table: place }, Type::Text) })
    }

    fn reference(&mut self, at: usize, arguments: &[Ast]) -> Option<Typed> {
        let Some((Ast { what: What::Name(name), at: name_at }, key)) = arguments.split_first() else {
            return self.fault(at, "`ref` wants an entity and its key".into(), "write `ref(patient, patient_id)`");
        };
        if self.usage == Use::Control {
            return self.fault(
                at,
                "`ref` stands in `when` or a flag".into(),
                "ask for the column: `patient_id is null`",
            );
        }
        let typed: Vec<Option<Typed>> = key.iter().map(|part| self.check(part)).collect();
        let entities = self.scope.entities;
        let Some(target) = entities.get(name) else {
            let remedy = did_you_mean(name, entities.keys().map(|name| &**name));
            return self.fault(*name_at, format!("there is no entity `{name}`"), remedy);
        };
        let typed = typed.into_iter().collect::<Option<Vec<Typed>>>()?;
        if let Some(types) = &target.key {
            if types.len() != typed.len() {
                let reason = format!("the key of `{name}` has {} columns, {} were given", types.len(), typed.len());
                return self.fault(at, reason, "give them in the order of its `key`");
            }
            let misfit = |(_, (given, wanted)): &(usize, (&Typed, &Type))| given.ty.join(**wanted).is_none();
            if let Some((n, (given, wanted))) = typed.iter().zip(types).enumerate().find(misfit) {
                let reason = format!("the key of `{name}` is {wanted} here, this is {}", given.ty);
                return self.fault(key[n].at, reason, "give a column of the key's own type");
            }
        }
        let entity = EntityName::from(&**name);
        self.scope.refs.insert(entity.clone());
        let key = typed.into_iter().map(|typed| typed.expr).collect();
        let targets = target.resource_type.iter().cloned().collect();
        Some(Typed { targets, ..Typed::of(Expr::Ref { entity, key }, Type::Reference) })
    }

    fn part(&mut self, at: usize, arguments: &[Ast]) -> Option<Typed> {
        let [of, separator, n] = arguments else {
            return self.fault(at, format!("`part` got {} arguments", arguments.len()), "write `part(x, '^', 2)`");
        };
        let typed = self.check(of);
        let separator = match &separator.what {
            What::Text(text) if !text.is_empty() => text.clone(),
            _ => {
                return self.fault(
                    separator.at,
                    "the separator is no text literal".into(),
                    "write it as `'^'`, at least one letter",
                );
            }
        };
        let n = match &n.what {
            What::Number(text) => text.parse::<usize>().ok().filter(|n| *n > 0),
            _ => None,
        };
        let Some(n) = n else {
            return self.fault(arguments[2].at, "which part is meant is no whole number".into(), "count from 1");
        };
        let typed = typed?;
        if !matches!(typed.ty, Type::Text | Type::Null) {
            return self.fault(
                of.at,
                format!("`part` does not take {}", typed.ty),
                "turn it into text first: `text(x)`",
            );
        }
        Some(Typed::of(Expr::Part { of: Box::new(typed.expr), separator, n }, Type::Text))
    }
}

fn form(name: &str) -> &'static str {
    functions::NAMES.iter().find(|(known, _)| *known == name).map_or("", |(_, form)| form)
}
