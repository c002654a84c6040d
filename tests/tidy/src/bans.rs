//! Words that must not stand in the code: clocks, I/O and random order in the pure crates; panics, prints, waivers anywhere.

use crate::mask::{Source, find_words};
use crate::{Violation, line_of};

/// Crates whose output must be a function of their input, and whose folder says so.
const PURE: [&str; 4] = ["engine/model", "engine/reconcile", "engine/flow", "engine/mapping"];
/// Crates that compile without the standard library.
const NO_STD: [&str; 2] = ["engine/model", "engine/reconcile"];

const IMPURE: [&str; 19] = [
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "std::time",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "HashMap",
    "HashSet",
    "RandomState",
    "rand::",
    "getrandom",
    "new_v4",
    "tokio::",
    "async fn",
];
const PRINTS: [&str; 5] = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];
const PANICS: [&str; 2] = [".unwrap()", ".unwrap_err()"];
const STUBS: [&str; 2] = ["todo!", "unimplemented!"];
const WAIVERS: [&str; 2] = ["#[allow(", "#![allow("];
const REMINDERS: [&str; 3] = ["TODO", "FIXME", "XXX"];
/// Paths of the machine that a file was written on.
const MACHINE: [&str; 2] = ["/root/", "/work/"];

/// Checks one Rust file.
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    // This crate spells what it bans.
    if path.starts_with("tests/tidy/") {
        return Vec::new();
    }
    let source = Source::new(text);
    let mut found = Vec::new();
    let mut ban = |text: &str, words: &[&str], why: &str| {
        for word in words {
            let places = find_words(text, word);
            found.extend(places.map(|at| Violation::at(path, line_of(text, at), format!("`{word}`: {why}"))));
        }
    };
    if is_test(path) {
        ban(&source.code, &STUBS, "finish it, or leave it out");
    } else {
        if within(path, &PURE) {
            let why = "time, chance and I/O come in as arguments; maps are ordered (core::time is fine)";
            ban(&source.product, &IMPURE, why);
            ban(&expanded(&source.product), &IMPURE, why);
        }
        if within(path, &NO_STD) {
            ban(&source.product, &["std::", "extern crate std"], "this crate has core and alloc");
        }
        if !may_print(path) {
            ban(&source.product, &PRINTS, "return it, or use tracing; a value must not leak to a terminal");
        }
        ban(&source.product, &PANICS, "handle it, or `expect` with the reason why it holds");
        ban(&source.code, &STUBS, "finish it, or leave it out");
    }
    ban(&source.code, &WAIVERS, "say `#[expect(lint, reason = \"…\")]`");
    ban(text, &REMINDERS, "do it, or write an issue");
    ban(text, &MACHINE, "no path of one machine");
    found.sort();
    found.dedup();
    found
}

/// Checks that the root file of a crate without the standard library says so, once it has any code.
pub fn check_no_std(path: &str, text: &str) -> Vec<Violation> {
    let root = NO_STD.iter().any(|own| path == format!("{own}/src/lib.rs"));
    let code = Source::new(text).product;
    let says = code.contains("#![no_std]") || code.contains("#![cfg_attr(not(test), no_std)]");
    if !root || says || code.trim().is_empty() {
        return Vec::new();
    }
    vec![Violation::of(path, "add `#![no_std]` and `extern crate alloc;`: clocks and I/O must not compile here")]
}

/// Whether a whole file is test code: by its folder, or by the name that `mod tests;` gives it.
pub fn is_test(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = |name: &str| ["tests", "benches", "fuzz", "examples"].contains(&name);
    folders.split('/').any(folder) || name == "tests.rs" || name.ends_with("_tests.rs")
}

fn within(path: &str, crates: &[&str]) -> bool {
    crates.iter().any(|own| path.strip_prefix(own).is_some_and(|rest| rest.starts_with('/')))
}

fn may_print(path: &str) -> bool {
    path.starts_with("engine/cli/") || path.starts_with("ops/xtask/") || path.ends_with("/build.rs")
}

/// `use std::{fs, time::Instant};` as `std::fs std::time::Instant`, on the lines where the group stands.
fn expanded(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(open) = rest.find("std::{") {
        let lines = rest[..open].matches('\n').count();
        out.extend(std::iter::repeat_n('\n', lines));
        let group = &rest[open + "std::{".len()..];
        let end = group_end(group);
        out.push_str("std::");
        let mut depth = 0usize;
        for letter in group[..end].chars() {
            match letter {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => out.push_str(" std::"),
                letter if letter == '\n' || !letter.is_whitespace() => out.push(letter),
                _ => {}
            }
        }
        // Names behind a line break still follow their `std::`.
        out = out.replace("std::\n", "\nstd::");
        rest = &group[end..];
    }
    out
}

fn group_end(group: &str) -> usize {
    let mut depth = 0usize;
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return at,
            '}' => depth -= 1,
            _ => {}
        }
    }
    group.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, text: &str, word: &str) {
        let found = check(path, text);
        assert!(found.iter().any(|violation| violation.what.contains(word)), "{path}: {text}: {found:?}");
    }

    #[test]
    fn a_clock_in_the_flow_fails_and_names_its_line() {
        let text = "fn f() {\n    let now = std::time::Instant::now();\n}\n";
        let found = check("engine/flow/src/decide.rs", text);
        assert!(found.iter().all(|violation| violation.line == 2), "{found:?}");
        refused("engine/flow/src/decide.rs", text, "`Instant::now`");
        refused("engine/flow/src/decide.rs", text, "`std::time`");
    }

    #[test]
    fn io_and_random_order_in_a_pure_crate_fail() {
        for (text, word) in [
            ("use std::collections::HashMap;", "HashMap"),
            ("use std::collections::HashSet as Set;", "HashSet"),
            ("fn f() { std::fs::read(p); }", "std::fs"),
            ("use std::net::TcpStream;", "std::net"),
            ("use std::thread;", "std::thread"),
            ("fn f() { rand::random() }", "rand::"),
            ("use std::time::SystemTime;", "SystemTime"),
        ] {
            for own in PURE {
                refused(&format!("{own}/src/a.rs"), text, word);
            }
        }
        assert_eq!(check("engine/runtime/src/a.rs", "use std::time::SystemTime;"), []);
    }

    #[test]
    fn a_group_hides_nothing() {
        refused("engine/mapping/src/a.rs", "use std::{fmt, time::Instant};", "std::time");
        let found = check("engine/mapping/src/a.rs", "\nuse std::{\n    fmt::{self, Debug},\n    fs,\n};");
        assert_eq!((found.len(), found[0].line), (1, 4), "{found:?}");
        assert_eq!(check("engine/mapping/src/a.rs", "use std::{fmt, mem};"), []);
    }

    #[test]
    fn the_standard_library_in_a_no_std_crate_fails() {
        refused("engine/reconcile/src/a.rs", "use std::fmt;", "std::");
        assert_eq!(check("engine/reconcile/src/a.rs", "use core::fmt;"), []);
        assert_eq!(check_no_std("engine/model/src/lib.rs", "pub mod a;").len(), 1);
        assert_eq!(check_no_std("engine/model/src/lib.rs", "//! Nouns.\n#![no_std]\npub mod a;"), []);
        assert_eq!(check_no_std("engine/flow/src/lib.rs", "pub mod a;"), []);
    }

    #[test]
    fn a_panic_outside_tests_fails() {
        refused("engine/journal/src/a.rs", "fn f() { g().unwrap(); }", ".unwrap()");
        let in_tests = "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { h().unwrap(); } }";
        assert_eq!(check("engine/journal/src/a.rs", in_tests), []);
        assert_eq!(check("engine/journal/tests/a.rs", "fn f() { g().unwrap(); }"), []);
        assert_eq!(check("engine/journal/src/a.rs", "fn f() { g().unwrap_or(1); }"), []);
    }

    #[test]
    fn a_print_outside_the_command_line_fails() {
        for print in PRINTS {
            refused("connectors/fhir/src/a.rs", &format!("fn f() {{ {print}(\"a\") }}"), print);
        }
        assert_eq!(check("engine/cli/src/main.rs", "fn f() { println!() }"), []);
        assert_eq!(check("tests/sandbox/src/main.rs", "fn f() { println!() }"), []);
    }

    #[test]
    fn waivers_stubs_and_reminders_fail_everywhere() {
        for path in ["engine/cli/src/a.rs", "tests/e2e/src/a.rs"] {
            refused(path, "#[allow(dead_code)]\nfn f() {}", "#[allow(");
            refused(path, "#![allow(dead_code)]", "#![allow(");
            refused(path, "#[cfg(test)]\nmod t { #[allow(dead_code)] fn f() {} }", "#[allow(");
            refused(path, "fn f() { todo!() }", "todo!");
            refused(path, "fn f() { unimplemented!() }", "unimplemented!");
            refused(path, "// TODO: later", "TODO");
            refused(path, "// FIXME", "FIXME");
        }
        assert_eq!(check("engine/cli/src/a.rs", "#[expect(dead_code, reason = \"b\")]\nfn f() {}"), []);
    }

    #[test]
    fn a_comment_or_a_string_is_not_a_call() {
        let text = "//! Never a HashMap.\nfn f() -> &'static str { \"x.unwrap() println!\" }";
        assert_eq!(check("engine/model/src/a.rs", text), []);
    }

    #[test]
    fn a_path_of_one_machine_fails() {
        refused("engine/cli/src/a.rs", "const A: &str = \"/root/x\";", "/root/");
    }
}
