//! Verify against states that the production flow left, in memory: clean runs, and differences planted on every side.

mod clean;
mod planted;
mod setting;
mod stale;
