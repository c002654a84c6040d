//! Every row of the crash table in `engine/ARCHITECTURE.md` has a scenario by name, and every name is one that runs.

use std::{fs, path::Path};

/// Beginnings of rows, and what plays them: a golden script of this crate, or `FILE::TEST`.
const SCENARIOS: [(&str, &[&str]); 18] = [
    (
        "chunk durable, the next one not",
        &["tests/e2e/tests/chunks.rs::a_kill_at_every_chunk_boundary_repeats_no_older_value"],
    ),
    ("rows durable, `Commit` not", &["recover/a_dead_tail_is_void_at_open"]),
    ("`Commit` durable, before its decision", &["recover/a_commit_without_its_decision_is_decided"]),
    ("step k of n of the decisions durable", &["recover/a_recorded_step_is_not_decided_again"]),
    ("decision durable, before send", &["recover/a_decided_effect_leaves_after_a_crash"]),
    (
        "the same, and what it refers to is gone by now",
        &["recover/a_create_whose_reference_is_gone_is_asked_about_and_waits"],
    ),
    (
        "send, before reply; reply, before `Acked` is durable",
        &["deliver/lost_reply_is_one_version", "recover/a_reply_that_no_journal_has_is_asked_for_again"],
    ),
    ("`Acked` durable, before the checkpoint", &["recover/an_acknowledgement_is_folded"]),
    ("store ahead of the decisions", &["recover/a_store_that_is_ahead_of_the_decisions_is_refused"]),
    (
        "binary replaced by one that decides otherwise",
        &["recover/a_binary_that_decides_otherwise_folds_what_is_recorded"],
    ),
    (
        "decision durable, binary replaced, then send",
        &["recover/a_binary_that_decides_otherwise_folds_what_is_recorded"],
    ),
    ("timer due, crash before the `Clock` entry", &["recover/a_timer_fires_once_across_a_crash"]),
    (
        "slot made, `Snapshot(started)` not durable",
        &[
            "recover/a_slot_that_was_only_wanted_is_made_anew",
            "connectors/postgres/tests/refusals.rs::a_wanted_slot_that_was_made_and_not_written_down_is_made_anew",
        ],
    ),
    ("slot lost, new slot made, entry not durable", &["recover/a_gap_stays_named_across_a_crash"]),
    (
        "table started anew because its publishing changed",
        &["connectors/postgres/tests/publishing.rs::a_crash_between_the_start_and_what_it_began_under_reads_once_more"],
    ),
    ("keepalive confirmed past the last `Commit`", &["recover/a_heartbeat_is_where_the_source_goes_on"]),
    (
        "marked chunk read, stream not past its high mark",
        &[
            "connectors/postgres/src/handoff.rs::a_chunk_waits_for_its_high_mark",
            "tests/e2e/tests/chunks.rs::a_kill_at_every_chunk_boundary_beside_commits_held_back_by_a_standby",
        ],
    ),
    (
        "applied, foreign edit on top, then crash",
        &[
            "connectors/fhir/src/settle/tests.rs::an_update_is_settled_by_the_versions_since_its_base",
            "tests/sim/tests/seeds.rs::every_promise_holds_for_the_first_seeds",
        ],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root")
}

/// First cells of the table.
fn rows() -> Vec<String> {
    let text = fs::read_to_string(root().join("engine/ARCHITECTURE.md")).expect("the architecture");
    let table = text.split("| crash after |").nth(1).expect("the crash table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| Some(row.trim_matches('|').split('|').next()?.trim().to_owned())).collect()
}

fn runs(scenario: &str) -> bool {
    match scenario.split_once("::") {
        Some((file, test)) => {
            let text = fs::read_to_string(root().join(file)).unwrap_or_default();
            let mut lines = text.lines().map(str::trim).skip_while(|line| !line.contains(&format!("fn {test}(")));
            let before = text.split(&format!("fn {test}(")).next().unwrap_or_default().trim_end();
            lines.next().is_some() && before.trim_end_matches("async").trim_end().ends_with(']')
        }
        None => root().join("tests/sim/testscripts").join(scenario).is_file(),
    }
}

#[test]
fn every_row_of_the_crash_table_has_a_scenario() {
    let rows = rows();
    for row in &rows {
        let found = SCENARIOS.iter().filter(|(begins, _)| row.starts_with(begins)).count();
        assert_eq!(found, 1, "`{row}` has no scenario: name one in {}", file!());
    }
    assert_eq!(rows.len(), SCENARIOS.len(), "a scenario is named for a row that is not there");
}

/// A batch of seeds proves that crashes stood there.
#[test]
fn every_row_that_a_run_can_stand_in_is_one_of_the_crash_table() {
    let rows = rows();
    for row in lockstep_sim::windows::ROWS {
        assert!(rows.iter().any(|text| text.contains(row)), "`{row}` is no row");
    }
}

#[test]
fn every_scenario_of_the_crash_table_runs() {
    for (row, scenarios) in SCENARIOS {
        assert!(!scenarios.is_empty(), "{row}");
        for scenario in scenarios {
            assert!(runs(scenario), "`{row}` is played by `{scenario}`, which is not there");
        }
    }
}
