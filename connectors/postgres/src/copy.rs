//! The text form of `COPY … TO STDOUT`: one line a row, tabs between cells, backslashes before what would be mistaken.
//!
//! The text of a cell is the very text that the stream and an ordinary SELECT have (one output function in one session), so
//! the row's bytes are the same. No value is built on the way: each cell goes from the read buffer into the row's bytes.

use crate::{error::Error, pgoutput::Malformed, values};
use model::{Cell, Row};
use schemas::{Plan, RowWriter};

/// Makes rows of lines through buffers that are used again and again.
#[derive(Default)]
pub(crate) struct Lines {
    writer: RowWriter,
    plain: String,
    bytes: Vec<u8>,
}

impl Lines {
    /// The row that a line says.
    pub(crate) fn row(&mut self, plan: &Plan, line: &[u8]) -> Result<Row, Error> {
        let line = str::from_utf8(line).map_err(|_| Malformed::Utf8)?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        let escapes = line.contains('\\');
        let mut columns = plan.schema().columns.iter();
        let mut row = self.writer.row(plan);
        for text in line.split('\t') {
            let cell = match columns.next() {
                _ if text == "\\N" => Cell::Null,
                Some(column) if escapes && text.contains('\\') => {
                    unescape(text, &mut self.plain);
                    values::cell(column.ty, &self.plain, &mut self.bytes)
                }
                Some(column) => values::cell(column.ty, text, &mut self.bytes),
                // One cell too many: the row says so below.
                None => Cell::Raw(text),
            };
            row.push(cell)?;
        }
        Ok(row.finish()?)
    }
}

/// What the server writes behind a backslash is a letter for a control character, or the character itself.
fn unescape(text: &str, out: &mut String) {
    out.clear();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '\\' => match characters.next() {
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('v') => '\u{b}',
                Some(itself) => itself,
                None => '\\',
            },
            plain => plain,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::schema;
    use proptest::prelude::*;

    fn plan(oids: &[u32]) -> Plan {
        let names: Vec<String> = (0..oids.len()).map(|at| format!("c{at}")).collect();
        let columns = names.iter().map(String::as_str).zip(oids.iter().copied());
        Plan::new(&schema(&"public.a".into(), columns, &["c0".to_owned()]))
    }

    /// As the server does.
    fn escaped(text: &str) -> String {
        let mut out = String::new();
        for character in text.chars() {
            match character {
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{b}' => out.push_str("\\v"),
                '\\' => out.push_str("\\\\"),
                plain => out.push(plain),
            }
        }
        out
    }

    #[test]
    fn null_is_not_its_own_spelling_and_empty_is_not_null() {
        let plan = plan(&[20, 25, 25, 25, 17]);
        let row = Lines::default().row(&plan, b"7\t\\N\t\\\\N\t\t\\\\x00ff\n").unwrap();
        let cells = [Cell::Int(7), Cell::Null, Cell::Text("\\N"), Cell::Text(""), Cell::Bytes(&[0, 255])];
        assert_eq!(row, plan.row(&cells).unwrap());
    }

    #[test]
    fn a_line_of_another_shape_is_refused() {
        let mut lines = Lines::default();
        for line in [&b"1\n"[..], b"1\t2\t3\n", b"1\t\xff\n"] {
            assert!(lines.row(&plan(&[20, 25]), line).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(first: String, second: Option<String>) {
            let plan = plan(&[25, 25]);
            let spelled = second.as_deref().map_or("\\N".to_owned(), escaped);
            let line = format!("{}\t{spelled}\n", escaped(&first));
            let second = second.as_deref().map_or(Cell::Null, Cell::Text);
            prop_assert_eq!(Lines::default().row(&plan, line.as_bytes()).unwrap(), plan.row(&[Cell::Text(&first), second]).unwrap());
        }

        #[test]
        fn any_bytes_are_a_row_or_an_error(line: Vec<u8>) {
            let _ = Lines::default().row(&plan(&[20, 25, 17]), &line);
        }
    }
}
