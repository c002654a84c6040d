//! What engine/ARCHITECTURE.md names in its tables is there: each `file.rs`, and in that file each name that follows it.

use crate::Violation;

/// The file whose tables are read.
pub const PATH: &str = "engine/ARCHITECTURE.md";
/// The tables, by the headings above them; names stand in their last column.
const TABLES: [&str; 2] = ["## Invariants, and where they hold", "## The crash table"];

/// Checks the tables against the files as `read` finds them.
pub fn check(text: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<Violation> {
    let (mut found, mut inside, mut rows) = (Vec::new(), false, 0);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("## ") {
            inside = TABLES.contains(&line);
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        if let (true, true, Some(last)) = (inside, line.starts_with("| "), cells.last()) {
            rows += 1;
            let wrong = names(last, read);
            found.extend(wrong.into_iter().map(|what| Violation::at(PATH, number + 1, what)));
        }
    }
    if rows == 0 {
        found.push(Violation::of(PATH, format!("has none of the tables {}", TABLES.join(", "))));
    }
    found
}

/// What a cell names and is not there: words in backticks, each file with the names behind it.
fn names(cell: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let (mut found, mut file) = (Vec::new(), None);
    for word in cell.split('`').skip(1).step_by(2) {
        if word.ends_with(".rs") {
            let places = [format!("engine/{word}"), word.to_owned(), format!("engine/flow/src/{word}")];
            file = places.iter().find_map(|path| read(path)).map(|text| (word, text));
            if file.is_none() {
                found.push(format!("there is no file `{word}`"));
            }
        } else if word.contains([' ', '/']) {
            file = None;
        } else if let Some((path, text)) = &file {
            let missing = |name: &&str| !name.is_empty() && !text.split(is_no_letter).any(|held| held == *name);
            let names = word.split(is_no_letter);
            found.extend(names.filter(missing).map(|name| format!("`{path}` has no `{name}`: say where it is now")));
        }
    }
    found
}

fn is_no_letter(letter: char) -> bool {
    !letter.is_alphanumeric() && letter != '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cell: &str) -> Vec<String> {
        let text = format!(
            "## The crash table\n\n| crash after | the line |\n|---|---|\n| a `gone` | {cell} |\n\n## Else\n| `x.rs` |\n"
        );
        let read =
            |path: &str| (path == "engine/flow/src/ask.rs").then(|| "fn take_timers() { Phase::Steps }".to_owned());
        check(&text, &read).into_iter().map(|wrong| wrong.to_string()).collect()
    }

    #[test]
    fn a_name_that_its_file_does_not_have_is_found() {
        let place = "engine/ARCHITECTURE.md:5: ";
        assert_eq!(found("`ask.rs` `take_timers` (`Phase::Steps`), seen by `lockstep status` `none`"), [""; 0]);
        assert_eq!(
            found("`ask.rs` `timers_due`"),
            [format!("{place}`ask.rs` has no `timers_due`: say where it is now")]
        );
        assert_eq!(found("`asked.rs` `take_timers`"), [format!("{place}there is no file `asked.rs`")]);
        assert_eq!(found("`ask.rs` (`timers`)").len(), 1, "a part of a name is not the name");
    }

    #[test]
    fn a_file_without_the_tables_fails() {
        assert_eq!(check("# Something else\n", &|_| None).len(), 1);
    }
}
