//! Declarative maps: rows of a legacy database become FHIR R4 units.
//!
//! Pure: no file, no clock, no chance. Invariants:
//! * What can be known without a row is a fault at load, all faults of a file at once, each with its remedy.
//! * Mapping is total: a row that does not fit parks its unit (`Unmappable`); no value ever falls to a default.
//! * Equal rows give equal candidates; decimals keep every digit; no text of ours holds a patient's value.

mod check;
mod compile;
mod deletes;
mod error;
mod eval;
mod expr;
mod fill;
mod format;
mod functions;
mod map;
mod mapping;
mod owns;
mod r4;
mod rows;
mod stale;
mod syntax;
mod template;
mod types;
mod yaml;

pub use error::{MapFault, Place};
pub use map::{Deletion, Entity, Join, Map, Subject};
pub use mapping::map;
pub use rows::{RowView, Rows};
pub use types::Type;

use model::{Candidate, Cite, Waiting};

/// What became of a dirty unit when it was mapped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mapped {
    /// It says this.
    Candidate(Candidate),
    /// A row does not fit the map: the unit parks. The cause names the element and the reason, never a value.
    Unmappable {
        /// Why.
        cause: Box<str>,
        /// The rows that were read.
        cites: Vec<Cite>,
    },
    /// A reference points at a key that has no unit yet (J41).
    Waiting {
        /// At which.
        on: Waiting,
        /// The rows that were read.
        cites: Vec<Cite>,
    },
    /// There is no root row and there never was a unit: nothing to decide.
    NeverSeen,
}
