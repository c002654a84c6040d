//! End to end. Needs PostgreSQL's programs: `cargo x test e2e` finds or installs them. README.md has the long versions.

mod kills;
mod looping;
mod peers;
mod verified;
