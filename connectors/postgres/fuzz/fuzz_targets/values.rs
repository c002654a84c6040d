//! Any text of any column type comes back as the very same text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockstep_model::ColumnType;
use lockstep_postgres::values::{cell, text};

fuzz_target!(|input: (u8, &str)| {
    let types = [
        ColumnType::Bool,
        ColumnType::Int,
        ColumnType::Decimal,
        ColumnType::Text,
        ColumnType::Bytes,
        ColumnType::Date,
        ColumnType::Time,
        ColumnType::DateTime,
        ColumnType::Instant,
        ColumnType::Raw,
    ];
    let ty = types[usize::from(input.0) % types.len()];
    let value = cell(ty, input.1, &mut Vec::new()).to_value();
    assert!(text(&value).as_deref() == Some(input.1));
});
