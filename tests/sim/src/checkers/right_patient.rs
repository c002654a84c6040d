//! What is said of a patient at the target is said of the patient whose row it is.

use super::shown::{self, Kind};
use crate::history::History;

pub(crate) fn check(history: &History) -> Result<(), String> {
    shown::first(history, Kind::OtherPatient)
}
