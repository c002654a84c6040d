//! What became of the columns that a map reads, in words for the person who is asked: names and types, never a value.

use model::{Column, TableName, TableSchema};

/// Every column of `used` that was dropped, renamed or retyped; none if all are as they were.
pub(crate) fn told<'a>(old: &TableSchema, new: &TableSchema, used: impl Iterator<Item = &'a str>) -> Option<String> {
    let column = |schema: &TableSchema, name: &str| schema.column(name).map(|at| schema.columns[at].clone());
    let mut parts = Vec::new();
    for name in used {
        let (was, is) = (column(old, name), column(new, name));
        if was.as_ref().map(|was| was.native) == is.as_ref().map(|is| is.native) {
            continue;
        }
        parts.push(match (was, is) {
            (Some(was), Some(is)) => format!("column `{name}` was {}, is {}", kind(&was, &is), kind(&is, &was)),
            (Some(was), None) => {
                let like = |one: &&Column| old.column(&one.name).is_none() && one.native == was.native;
                let renamed: Vec<String> =
                    new.columns.iter().filter(like).map(|one| format!("`{}`", one.name)).collect();
                let hint = match renamed.is_empty() {
                    true => String::new(),
                    false => format!(" (new there, of the same type: {})", renamed.join(", ")),
                };
                format!("column `{name}`, {}, is gone{hint}", kind(&was, &was))
            }
            (None, _) => format!("column `{name}` was not there before"),
        });
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A question beside those that other tables raised before; an older one about this table is answered by it.
pub(crate) fn beside(asked: &str, table: &TableName, question: &str) -> String {
    let own = format!("{table}: ");
    let others = asked.split(" | ").filter(|part| !part.starts_with(&own));
    others.chain([question]).collect::<Vec<_>>().join(" | ")
}

/// A type as we read it; with the database's own number where two of its types read alike.
fn kind(of: &Column, beside: &Column) -> String {
    let word = format!("{:?}", of.ty).to_lowercase();
    match of.ty == beside.ty && of.native != beside.native {
        true => format!("{word} (native type {})", of.native),
        false => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ColumnType;

    fn table(columns: &[(&str, ColumnType, u32)]) -> TableSchema {
        let columns =
            columns.iter().map(|(name, ty, native)| Column { name: (*name).into(), ty: *ty, native: *native });
        TableSchema { table: "public.patient".into(), columns: columns.collect(), key: vec![0] }
    }

    #[test]
    fn a_question_about_one_table_does_not_hide_the_question_about_another() {
        let asked = beside("public.a: column `x` is gone", &"public.b".into(), "public.b: column `y` is gone");
        assert_eq!(asked, "public.a: column `x` is gone | public.b: column `y` is gone");
        assert_eq!(beside(&asked, &"public.a".into(), "public.a: z"), "public.b: column `y` is gone | public.a: z");
    }

    #[test]
    fn a_question_names_each_column_with_its_old_and_new_type() {
        let old =
            table(&[("id", ColumnType::Int, 20), ("sex", ColumnType::Text, 25), ("born", ColumnType::Date, 1082)]);
        let new =
            table(&[("id", ColumnType::Int, 23), ("gender", ColumnType::Text, 25), ("born", ColumnType::Text, 25)]);
        assert_eq!(
            told(&old, &new, ["id", "sex", "born"].into_iter()).unwrap(),
            "column `id` was int (native type 20), is int (native type 23), column `sex`, text, is gone (new there, of the \
             same type: `gender`), column `born` was date, is text"
        );
        assert_eq!(told(&old, &old, ["id", "sex"].into_iter()), None);
        assert_eq!(told(&old, &new, std::iter::empty()), None, "only what the map reads");
    }
}
