//! How a type of ours becomes Avro bytes, and which Avro type that is.
//!
//! One list of fields serves writing, reading and the schema text, so that the three cannot disagree.
//! * Fields are written in the order of the list; a change of a list is a change of the format.
//! * A union stands in a record of its own name with one field `is`: same bytes, and it may be optional or used twice.
//! * Branch and symbol numbers are fixed for the life of a format; new ones go to the end.

use crate::wire::{Reader, WireError, Writer};
use std::collections::BTreeSet;

/// A type with an Avro encoding.
pub trait Wire: Sized {
    /// Writes it.
    fn put(&self, out: &mut Writer<'_>);

    /// Reads it.
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError>;

    /// Its Avro type as JSON text; a named type is spelt out the first time only.
    fn avro(names: &mut Names) -> String;
}

/// Named types that were spelt out already.
#[derive(Default)]
pub struct Names(BTreeSet<&'static str>);

impl Names {
    /// The record `name` with these fields, or just its name.
    pub fn record(
        &mut self,
        name: &'static str,
        fields: impl FnOnce(&mut Names) -> Vec<(&'static str, String)>,
    ) -> String {
        if !self.0.insert(name) {
            return format!("\"{name}\"");
        }
        let fields: Vec<String> =
            fields(self).iter().map(|(field, ty)| format!(r#"{{"name":"{field}","type":{ty}}}"#)).collect();
        format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, fields.join(","))
    }

    /// The enum `name` with these symbols, or just its name.
    pub fn symbols(&mut self, name: &'static str, symbols: &[&str]) -> String {
        if !self.0.insert(name) {
            return format!("\"{name}\"");
        }
        format!(r#"{{"type":"enum","name":"{name}","symbols":["{}"]}}"#, symbols.join(r#"",""#))
    }

    /// The fixed `name` of `size` bytes, or just its name.
    pub fn fixed(&mut self, name: &'static str, size: usize) -> String {
        if !self.0.insert(name) {
            return format!("\"{name}\"");
        }
        format!(r#"{{"type":"fixed","name":"{name}","size":{size}}}"#)
    }
}

/// The Avro type of what `field` points at; `field` is never called.
pub fn avro_of<S, T: Wire>(_field: fn(&S) -> Option<&T>, names: &mut Names) -> String {
    T::avro(names)
}

/// Gives a struct its codec: the fields in wire order.
#[macro_export]
macro_rules! wire_record {
    ($ty:ident { $($field:ident),* $(,)? }) => {
        impl $crate::Wire for $ty {
            fn put(&self, out: &mut $crate::Writer<'_>) {
                $($crate::Wire::put(&self.$field, out);)*
            }
            fn get(from: &mut $crate::Reader<'_>) -> Result<Self, $crate::WireError> {
                Ok($ty { $($field: $crate::Wire::get(from)?),* })
            }
            fn avro(names: &mut $crate::codec::Names) -> String {
                names.record(stringify!($ty), |names| {
                    vec![$((stringify!($field), $crate::codec::avro_of(|it: &$ty| Some(&it.$field), names))),*]
                })
            }
        }
    };
}

/// Gives an enum without data its codec: the symbols in wire order.
#[macro_export]
macro_rules! wire_symbols {
    ($ty:ident { $($symbol:ident),* $(,)? }) => {
        impl $crate::Wire for $ty {
            fn put(&self, out: &mut $crate::Writer<'_>) {
                // No `_`: a symbol that the list lacks does not compile.
                match self { $($ty::$symbol => {})* }
                let n = [$($ty::$symbol),*].iter().position(|symbol| symbol == self);
                out.branch(n.map_or(u32::MAX, |n| n as u32));
            }
            fn get(from: &mut $crate::Reader<'_>) -> Result<Self, $crate::WireError> {
                let n = from.branch()?;
                [$($ty::$symbol),*]
                    .get(n as usize)
                    .copied()
                    .ok_or_else(|| from.refuse(concat!("a symbol of ", stringify!($ty))))
            }
            fn avro(names: &mut $crate::codec::Names) -> String {
                names.symbols(stringify!($ty), &[$(stringify!($symbol)),*])
            }
        }
    };
}

/// Gives an enum with data its codec: branch number, variant, its fields in wire order (a tuple's one field by a name).
#[macro_export]
macro_rules! wire_union {
    ($ty:ident { $($n:literal $variant:ident $({ $($field:ident),* $(,)? })? $(( $inner:ident ))?),* $(,)? }) => {
        impl $crate::Wire for $ty {
            fn put(&self, out: &mut $crate::Writer<'_>) {
                match self {
                    $($ty::$variant $({ $($field),* })? $(($inner))? => {
                        out.branch($n);
                        $($($crate::Wire::put($field, out);)*)?
                        $($crate::Wire::put($inner, out);)?
                    })*
                }
            }
            fn get(from: &mut $crate::Reader<'_>) -> Result<Self, $crate::WireError> {
                match from.branch()? {
                    $($n => Ok($ty::$variant
                        $({ $($field: $crate::Wire::get(from)?),* })?
                        $(({ let $inner = $crate::Wire::get(from)?; $inner }))?),)*
                    _ => Err(from.refuse(concat!("a branch of ", stringify!($ty)))),
                }
            }
            fn avro(names: &mut $crate::codec::Names) -> String {
                names.record(stringify!($ty), |names| {
                    let branches = [$(
                        names.record(concat!(stringify!($ty), stringify!($variant)), |names| {
                            let _ = &names;
                            vec![
                                $($((stringify!($field), $crate::codec::avro_of(|it: &$ty| match it {
                                    $ty::$variant { $field, .. } => Some($field),
                                    _ => None,
                                }, names)),)*)?
                                $((stringify!($inner), $crate::codec::avro_of(|it: &$ty| match it {
                                    $ty::$variant($inner) => Some($inner),
                                    _ => None,
                                }, names)),)?
                            ]
                        })
                    ),*];
                    vec![("is", format!("[{}]", branches.join(",")))]
                })
            }
        }
    };
}

macro_rules! wire_number {
    ($($ty:ty),*) => {$(
        impl Wire for $ty {
            fn put(&self, out: &mut Writer<'_>) {
                out.long(i64::from(*self));
            }
            fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
                from.number(concat!("a number of type ", stringify!($ty)))
            }
            fn avro(_: &mut Names) -> String {
                // Avro knows two sizes only; the exact one stands beside, as readers may ignore it.
                concat!(r#"{"type":"long","exact":""#, stringify!($ty), r#""}"#).into()
            }
        }
    )*};
}

wire_number!(u16, u32, i32, i64);

/// All 64 bits: numbers beyond the signed range appear as negative to an Avro reader, and come back as they were.
impl Wire for u64 {
    fn put(&self, out: &mut Writer<'_>) {
        out.long(self.cast_signed());
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(from.long()?.cast_unsigned())
    }
    fn avro(_: &mut Names) -> String {
        r#"{"type":"long","exact":"u64"}"#.into()
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Writer<'_>) {
        out.boolean(*self);
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.boolean()
    }
    fn avro(_: &mut Names) -> String {
        r#""boolean""#.into()
    }
}

impl Wire for Box<str> {
    fn put(&self, out: &mut Writer<'_>) {
        out.string(self);
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(from.string()?.into())
    }
    fn avro(_: &mut Names) -> String {
        r#""string""#.into()
    }
}

impl Wire for Box<[u8]> {
    fn put(&self, out: &mut Writer<'_>) {
        out.bytes(self);
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(from.bytes()?.into())
    }
    fn avro(_: &mut Names) -> String {
        r#""bytes""#.into()
    }
}

/// `null` is branch 0.
impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Writer<'_>) {
        match self {
            None => out.branch(0),
            Some(value) => {
                out.branch(1);
                value.put(out);
            }
        }
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match from.branch()? {
            0 => Ok(None),
            1 => T::get(from).map(Some),
            _ => Err(from.refuse("null or a value")),
        }
    }
    fn avro(names: &mut Names) -> String {
        format!(r#"["null",{}]"#, T::avro(names))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Writer<'_>) {
        out.array(self.iter(), |out, item| item.put(out));
    }
    fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.array(T::get)
    }
    fn avro(names: &mut Names) -> String {
        format!(r#"{{"type":"array","items":{}}}"#, T::avro(names))
    }
}

/// Writes one value behind what `out` holds.
pub fn encode<T: Wire>(value: &T, out: &mut Vec<u8>) {
    value.put(&mut Writer::new(out));
}

/// Reads one value that fills `bytes`.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, WireError> {
    let mut reader = Reader::new(bytes);
    let value = T::get(&mut reader)?;
    reader.end()?;
    Ok(value)
}
