//! Reads the checkout: its files, and what cargo says of it. Changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("tests/tidy lies two folders below the root")
}

/// The texts of the files with this extension, by their path from the root; hidden folders and target left out.
pub fn files(extension: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(root(), extension, &mut found);
    found
}

fn walk(folder: &Path, extension: &str, found: &mut BTreeMap<String, String>) {
    let entries = std::fs::read_dir(folder).expect("the checkout is readable");
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type().expect("the checkout is readable");
        if kind.is_dir() && !name.starts_with('.') && name != "target" {
            walk(&path, extension, found);
        } else if kind.is_file() && path.extension().is_some_and(|own| own == extension) {
            let text = std::fs::read(&path).expect("the checkout is readable");
            let inside = path.strip_prefix(root()).expect("walked from the root");
            found.insert(inside.to_string_lossy().into_owned(), String::from_utf8_lossy(&text).into_owned());
        }
    }
}

/// The text of one file, if it is there.
pub fn file(path: &str) -> Option<String> {
    std::fs::read_to_string(root().join(path)).ok()
}

/// The names of the folders below one folder.
pub fn folders(path: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join(path))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The files under version control, one path a line; `None` where there is no git to ask (a source archive).
pub fn tracked() -> Option<String> {
    let output = Command::new("git").args(["ls-files"]).current_dir(root()).output().ok()?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && !list.is_empty()).then_some(list)
}

/// What `cargo metadata` says of our crates.
pub fn members() -> serde_json::Value {
    json(&["metadata", "--format-version", "1", "--no-deps"])
}

/// What `cargo metadata` says of everything that the lock file names for Linux, where we run.
pub fn packages() -> serde_json::Value {
    json(&["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"])
}

/// `name vVERSION` of every crate that a build or test of the workspace compiles here.
///
/// The lock file and `cargo metadata` also name crates behind features that nobody asks for.
pub fn built() -> String {
    cargo(&["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"])
}

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&cargo(arguments)).expect("cargo prints JSON")
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(program).args(arguments).current_dir(root()).output().expect("cargo starts: it runs this test");
    assert!(output.status.success(), "cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}
