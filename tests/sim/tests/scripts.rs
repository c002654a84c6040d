//! Golden scripts: inputs of `Flow::step` and every output, as a person reads them.
//!
//! `>` is an input, every other line an output, all of them are printed; `#` begins a comment. Names stand for hashes
//! (`A` a unit, `E1` an effect, `R1` its request). `!` goes ahead of captured rows in the append queue. What the first
//! line sets up is not numbered. `UPDATE_SCRIPTS=1 cargo x test scripts` writes what the code did in the place of what
//! the script says: read the difference like code.

mod stage;

use std::{fs, path::Path};

/// Runs one script and gives it back as it went.
fn run(text: &str) -> String {
    let mut stage = stage::Stage::new();
    let mut out = String::new();
    for line in text.lines() {
        let code = line.split('#').next().unwrap_or_default().trim_end();
        if code.is_empty() {
            // Comments and empty lines stay where they are; comments on output lines are not kept.
            if line.is_empty() || line.trim_start().starts_with('#') {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        }
        if let Some(input) = code.strip_prefix("> ") {
            out.push_str(line);
            out.push('\n');
            for output in stage.input(input) {
                out.push_str(&output);
                out.push('\n');
            }
        } else if out.lines().all(|line| line.is_empty() || line.starts_with('#')) {
            out.push_str(line);
            out.push('\n');
            stage.set_up(code);
        }
    }
    out
}

fn scripts(folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testscripts").join(folder);
    let mut names: Vec<_> =
        fs::read_dir(&folder).expect("the folder of scripts").map(|entry| entry.expect("a file").path()).collect();
    names.sort();
    assert!(!names.is_empty(), "no scripts in {}", folder.display());
    let mut broken = Vec::new();
    for name in names {
        let text = fs::read_to_string(&name).expect("a script");
        let ran = run(&text);
        if ran == text {
            continue;
        }
        if std::env::var_os("UPDATE_SCRIPTS").is_some() {
            fs::write(&name, &ran).expect("the script is ours to write");
        } else {
            let line = text
                .lines()
                .zip(ran.lines())
                .position(|(a, b)| a != b)
                .unwrap_or(text.lines().count().min(ran.lines().count()));
            broken.push(format!(
                "{} line {}:\n  says {:?}\n  went {:?}\n--- all of it as it went ---\n{ran}",
                name.file_name().unwrap_or_default().display(),
                line + 1,
                text.lines().nth(line).unwrap_or("(end)"),
                ran.lines().nth(line).unwrap_or("(end)"),
            ));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

#[test]
fn ingest_scripts_go_as_they_say() {
    scripts("ingest");
}

#[test]
fn decide_scripts_go_as_they_say() {
    scripts("decide");
}

#[test]
fn deliver_scripts_go_as_they_say() {
    scripts("deliver");
}

#[test]
fn recover_scripts_go_as_they_say() {
    scripts("recover");
}
