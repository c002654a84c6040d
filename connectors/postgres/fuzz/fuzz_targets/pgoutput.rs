//! Any bytes are a message or an error, and a message can be read to its end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockstep_postgres::pgoutput::{Message, parse};

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Ok(Message::Insert { new, .. }) => drop(new.cells().count()),
        Ok(Message::Update { old, new, .. }) => {
            drop(old.map(|old| old.tuple().cells().count()));
            drop(new.cells().count());
        }
        Ok(Message::Delete { old, .. }) => drop(old.tuple().cells().count()),
        Ok(Message::Relation(relation)) => drop(relation.columns().count()),
        Ok(Message::Truncate(relations)) => drop(relations.iter().count()),
        Ok(_) | Err(_) => {}
    }
});
