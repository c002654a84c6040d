//! End to end. Needs PostgreSQL's programs: `cargo x test e2e` finds or installs them. README.md has the long versions.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod chunks;
mod dates;
mod faults;
mod full;
mod hapi;
mod keys;
mod kills;
mod looping;
mod opening;
mod panics;
mod peers;
mod points;
mod power;
mod publishing;
mod steady;
mod verified;
