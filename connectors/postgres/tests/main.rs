//! The connector against a real PostgreSQL: what a transaction becomes, the first read, refusals, ways in, values.

#![expect(clippy::unwrap_used, reason = "these are tests: a panic is their report")]

mod capture;
mod cluster;
mod contract;
mod first_read;
mod publishing;
mod refusals;
mod stream;
mod types;
mod ways_in;
