//! The programs under test, from the same build as the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The folder of `lockstep` and `lockstep-sandbox`: LOCKSTEP_BIN_DIR, or this build's own after bringing it up to date.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| match std::env::var_os("LOCKSTEP_BIN_DIR") {
        Some(told) => PathBuf::from(told),
        None => built(),
    })
}

/// Cargo looks whether they are fresh: testing yesterday's binary would prove nothing.
fn built() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // target/PROFILE/deps/e2e-HASH
    let folder = test.parent().and_then(Path::parent).unwrap().to_owned();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "-p", "lockstep", "-p", "lockstep-sandbox", "--bins"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).env("CARGO_TARGET_DIR", folder.parent().unwrap());
    let status = cargo.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "lockstep and its sandbox do not build");
    folder
}
