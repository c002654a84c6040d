//! Evaluates checked expressions over the rows at hand.
//!
//! Null in, null out, except for `first`, `is null`, `==` and `!=`. The ways out are a cause (the unit parks) and a
//! reference that has to wait; neither carries a value.

use crate::{
    expr::Expr,
    functions,
    map::{Code, CodeTable, Reads},
    rows::Rows,
    types::{Type, Val},
};
use model::{Cell, RowKey, Waiting};
use std::borrow::Cow;

/// Why there is no value.
pub(crate) enum Stop {
    /// The unit parks: the reason, in words without values.
    Unmappable(String),
    /// It waits for that key.
    Waiting(Waiting),
}

impl From<&str> for Stop {
    fn from(reason: &str) -> Stop {
        Stop::Unmappable(reason.to_owned())
    }
}

/// The rows at hand: of the root (first) and of each join the cells that are read; none where there is no row.
pub(crate) struct Env<'e, 'a> {
    pub(crate) at_hand: Vec<Option<&'e [Cell<'a>]>>,
    pub(crate) reads: &'a [Reads],
    pub(crate) codes: &'a [CodeTable],
    pub(crate) rows: &'e dyn Rows,
}

impl<'a> Env<'_, 'a> {
    /// The expression's value.
    pub(crate) fn eval(&self, expr: &'a Expr) -> Result<Val<'a>, Stop> {
        Ok(match expr {
            Expr::Literal(value) => value.clone(),
            Expr::Column { from, slot } => return self.column(*from, *slot),
            Expr::Not(of) => match self.eval(of)? {
                Val::Bool(x) => Val::Bool(!x),
                _ => Val::Null,
            },
            Expr::And(a, b) => self.both(a, b, |a, b| a && b)?,
            Expr::Or(a, b) => self.both(a, b, |a, b| a || b)?,
            Expr::Equal(a, b) => Val::Bool(functions::equal(&self.eval(a)?, &self.eval(b)?)),
            Expr::IsNull(of) => Val::Bool(self.eval(of)?.is_null()),
            Expr::If(test, yes, no) => match self.eval(test)? {
                Val::Bool(true) => self.eval(yes)?,
                Val::Bool(false) => self.eval(no)?,
                _ => Val::Null,
            },
            Expr::Code { of, table } => {
                let of = self.eval(of)?;
                match self.codes.get(*table) {
                    Some(table) => code(&of, table)?,
                    None => return Err("the code table is missing".into()),
                }
            }
            Expr::Ref { entity, key } => {
                let key = key.iter().map(|part| self.eval(part)).collect::<Result<Vec<Val<'_>>, Stop>>()?;
                if key.iter().any(Val::is_null) {
                    return Ok(Val::Null);
                }
                let encoded = key.iter().map(Val::as_cell).collect::<Option<Vec<Cell<'_>>>>().and_then(RowKey::encode);
                let key = encoded.ok_or("a reference's key cannot be a key")?;
                match self.rows.unit(entity, &key) {
                    Some(unit) => Val::Reference(unit.to_string().into()),
                    None => return Err(Stop::Waiting(Waiting { entity: entity.clone(), key })),
                }
            }
            Expr::Call(function, arguments) => {
                let values = arguments.iter().map(|argument| self.eval(argument)).collect::<Result<Vec<_>, _>>()?;
                functions::call(*function, values)?
            }
            Expr::Part { of, separator, n } => functions::part(self.eval(of)?, separator, *n)?,
        })
    }

    fn both(&self, a: &'a Expr, b: &'a Expr, join: fn(bool, bool) -> bool) -> Result<Val<'a>, Stop> {
        Ok(match (self.eval(a)?, self.eval(b)?) {
            (Val::Bool(a), Val::Bool(b)) => Val::Bool(join(a, b)),
            _ => Val::Null,
        })
    }

    fn column(&self, from: usize, slot: usize) -> Result<Val<'a>, Stop> {
        let Some(cells) = self.at_hand.get(from).copied().flatten() else { return Ok(Val::Null) };
        let read = self.reads.get(from).and_then(|reads| reads.columns.get(slot)).ok_or("a column is not read")?;
        let cell = cells.get(slot).copied().unwrap_or(Cell::Unchanged);
        let value = Val::of(cell).ok_or_else(|| Stop::Unmappable(unknown(&read.name)))?;
        match value.ty() {
            Type::Null => Ok(value),
            ty if ty == read.ty => Ok(value),
            ty => {
                let what = if let Val::Raw(text) = &value { misfit(text, read.ty) } else { None };
                let what = what.map_or_else(|| format!("{ty} in this row, not {}", read.ty), str::to_owned);
                Err(Stop::Unmappable(format!("column {} holds {what}", read.name)))
            }
        }
    }
}

/// In which way a database's text is none of its column's type that R4 could say; never the text itself.
fn misfit(text: &str, ty: Type) -> Option<&'static str> {
    let infinite = text.trim_start_matches('-').eq_ignore_ascii_case("infinity");
    let year = text.split('-').next().unwrap_or_default();
    match ty {
        Type::Date | Type::DateTime | Type::Instant if infinite => {
            Some("an infinity in this row, which is no date of R4")
        }
        Type::Date | Type::DateTime | Type::Instant if text.ends_with(" BC") => {
            Some("a year before the year 1 in this row, which is no date of R4")
        }
        Type::Date | Type::DateTime | Type::Instant
            if year.len() > 4 && year.bytes().all(|digit| digit.is_ascii_digit()) =>
        {
            Some("a year after 9999 in this row, which is no date of R4")
        }
        Type::Time if text.starts_with("24:") => Some("24:00 in this row, which is no time of R4"),
        Type::Decimal if infinite => Some("an infinity in this row, which is no number of R4"),
        Type::Decimal if text == "NaN" => Some("NaN in this row, which is no number of R4"),
        _ => None,
    }
}

/// The cause of a unit whose mapped column is unknown (J7).
pub(crate) fn unknown(column: &str) -> String {
    format!("column {column} is unknown: the log left it out and the shadow does not hold it")
}

fn code<'a>(of: &Val<'a>, table: &'a CodeTable) -> Result<Val<'a>, Stop> {
    let key: Cow<'_, str> = match of {
        Val::Null => return Ok(Val::Null),
        Val::Text(text) | Val::Raw(text) => Cow::Borrowed(text),
        Val::Int(x) => x.to_string().into(),
        Val::Bool(x) => if *x { "true" } else { "false" }.into(),
        _ => return Err("the value is of another type than a code".into()),
    };
    match table.codes.get(&*key).unwrap_or(&table.otherwise) {
        Code::Is(code) => Ok(Val::Text(Cow::Borrowed(code))),
        Code::Nothing => Ok(Val::Null),
        Code::Park => Err(Stop::Unmappable(format!("code table {} does not know the code", table.name))),
    }
}
