//! What a command prints: tables and lines for people, or one JSON object a line. Never a patient's value.

use crate::{error::CliError, exit::Exit};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};

/// Where a command's answer goes.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Text for people, or JSON lines.
    pub fn new(json: bool) -> Output {
        Output { json }
    }

    /// One object for machines, one text for people.
    pub fn say(&self, object: Value, text: impl FnOnce() -> String) {
        if self.json {
            print(&object.to_string());
        } else {
            print(text().trim_end_matches('\n'));
        }
    }

    /// Many objects for machines, one text for people.
    pub fn each(&self, objects: &[Value], text: impl FnOnce() -> String) {
        if self.json {
            objects.iter().for_each(|object| print(&object.to_string()));
        } else {
            print(text().trim_end_matches('\n'));
        }
    }

    /// Many objects for machines, one table for people.
    pub fn table(&self, head: &[&str], rows: Vec<(Vec<String>, Value)>) {
        if self.json {
            rows.iter().for_each(|(_, object)| print(&object.to_string()));
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(head.iter().copied());
        for (cells, _) in rows {
            table.add_row(cells);
        }
        for line in table.lines() {
            print(line.trim().trim_end());
        }
    }

    /// A line for people only.
    pub fn note(&self, text: &str) {
        if !self.json {
            print(text);
        }
    }

    /// Why a command failed: to stderr for people, as an object for machines.
    pub fn fail(&self, error: CliError) {
        let exit = error.exit() as u8;
        if self.json {
            for (what, cure) in error.messages() {
                print(&json!({ "error": what, "cure": cure, "exit": exit }).to_string());
            }
            return;
        }
        match error {
            CliError::Config(faults) => complain(&format!("{:?}", miette::Report::new(faults))),
            CliError::Fault(..) | CliError::Faults(..) => {
                for (what, cure) in error.messages() {
                    complain(&format!("error: {what}"));
                    if !cure.is_empty() {
                        complain(&format!("  cure: {cure}"));
                    }
                }
            }
        }
    }
}

/// What must not be overlooked: red on a terminal that shows colours.
pub fn alarm(text: &str) -> String {
    let shown = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    if shown { format!("\u{1b}[1;31m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Several lines, each a name and a value, names aligned.
pub fn fields(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// A closed pipe (`| head`) is the reader's wish, not a failure: the command goes on to its own exit code. An answer that
/// cannot be written anywhere else is one.
fn print(line: &str) {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            complain(&format!("error: the answer cannot be written: {error}"));
            std::process::exit(i32::from(Exit::Ours as u8));
        }
    }
}

fn complain(line: &str) {
    let told = writeln!(io::stderr(), "{line}");
    drop(told);
}
