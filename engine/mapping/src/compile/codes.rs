//! The closed look-ups of a map.

use super::words::Words;
use crate::{
    error::Faults,
    map::{Code, CodeTable},
    yaml::{Key, Node, Scalar},
};
use std::collections::BTreeMap;

/// All tables; those with faults too, so that what uses them is checked.
pub(super) fn tables(node: &Node, at: crate::error::Place, faults: &mut Faults) -> Vec<CodeTable> {
    let Some(words) = Words::of(node, at, "`codes`", faults) else { return Vec::new() };
    words.members.iter().filter_map(|(key, node)| table(key, node, faults)).collect()
}

fn table(name: &Key, node: &Node, faults: &mut Faults) -> Option<CodeTable> {
    let words = Words::of(node, name.at, &format!("code table `{}`", name.text), faults)?;
    let (mut codes, mut otherwise) = (BTreeMap::new(), None);
    for (key, node) in words.members {
        let Some(scalar) = node.scalar() else {
            faults.add(
                node.at,
                format!("`{}` becomes {}, not a code", key.text, node.kind()),
                "write one code, `park` or `null`",
            );
            continue;
        };
        if key.plain && &*key.text == "else" {
            otherwise = Some((code(scalar), node.at));
        } else {
            codes.insert(key.text.clone(), code(scalar));
        }
    }
    if codes.is_empty() {
        faults.add(name.at, format!("code table `{}` is empty", name.text), "add a line a code");
    }
    match &otherwise {
        None => {
            let remedy =
                "say what becomes of a code that is not listed: `else: park`, `else: null`, or one of its values";
            faults.add(name.at, format!("code table `{}` has no `else`", name.text), remedy);
        }
        Some((Code::Is(value), at)) if !codes.values().any(|code| matches!(code, Code::Is(held) if held == value)) => {
            let remedy = "write `park`, `null`, or one of the table's own values";
            faults.add(*at, format!("`else` gives `{value}`, which no line of the table gives"), remedy);
        }
        Some(_) => {}
    }
    let otherwise = otherwise.map_or(Code::Park, |(code, _)| code);
    Some(CodeTable { name: name.text.clone(), codes, otherwise })
}

fn code(scalar: &Scalar) -> Code {
    if scalar.is_null() {
        Code::Nothing
    } else if scalar.plain && &*scalar.text == "park" {
        Code::Park
    } else {
        Code::Is(scalar.text.clone())
    }
}
