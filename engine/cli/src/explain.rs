//! Words of the engine, explained to people: what each answer does and when to use it, what a cause or question means.
//!
//! `--json` keeps the words; a text adds the sentence. Every answer that the server takes stands here, tested.

use clap::builder::{PossibleValue, PossibleValuesParser};

/// An answer to a hold.
pub struct AnswerHelp {
    /// As it is written.
    pub name: &'static str,
    /// What it does, and when to use it.
    pub help: &'static str,
}

/// Every answer there is.
pub const ANSWERS: [AnswerHelp; 8] = [
    AnswerHelp {
        name: "expand",
        help: "Of a truncated table: every row that was in it counts as deleted, and the map's delete_means says what that \
               means. When the table was emptied on purpose",
    },
    AnswerHelp {
        name: "read-again",
        help: "Of any captured table, held or not: read it again whole, in marked chunks; rows that are not there any more are \
               found by their absence. When it was emptied and filled again, what a chunk found looks like an accident, or \
               its key is as it was",
    },
    AnswerHelp {
        name: "accept",
        help: "Of a source: changes in the named interval may be missing; make a new slot and read every table again. Of a \
               table: the many deletions that a chunk found are right, or its new key names the same rows by the same values, \
               as after a renaming. Of a unit: what the legacy rows say is written over \
               what stands at the target",
    },
    AnswerHelp {
        name: "release",
        help: "Of an entity: go on with the map in force, which fits the table's new shape. Of a unit: try again, and let what \
               others wrote beside our elements stand. When the reason of the stop is gone",
    },
    AnswerHelp {
        name: "recreate",
        help: "Of a unit that was deleted at the target: make it again from what the legacy rows say now. When the deletion \
               was a mistake, or was kept (keep-deleted) and the patient is back; then nothing asks, name the unit",
    },
    AnswerHelp {
        name: "keep-deleted",
        help: "Of a unit that was deleted at the target: it stays deleted, or is deleted again; changes of its rows are \
               followed and write nothing. When the deletion was right",
    },
    AnswerHelp {
        name: "rebind",
        help: "Of a table that has another key: read it again under the new one; the columns of the old key go on saying which \
               resource a row is, so every row stays the resource that it was and the map stays as it is. When the old key's \
               columns are still there with their values",
    },
    AnswerHelp {
        name: "unbind",
        help: "Of a table that has another key and lost the columns of the old one: its resources stay at the target as they \
               are, nothing of ours changes them again, and its rows become new resources by a map in which they are an \
               entity with a name and a `part` of their own. When nothing leads from a row to what it was",
    },
];

/// Examples of `held answer`, one for each answer.
pub const ANSWER_EXAMPLES: &str = "Examples:
  lockstep held answer table:public.observation expand --reason \"old visits were archived\"
  lockstep held answer table:public.observation read-again --reason \"reloaded from a backup\"
  lockstep held answer source:legacy accept --reason \"slot was dropped by the DBA\"
  lockstep held answer entity:patient release --reason \"bigint reads as int did\"
  lockstep held answer unit:Patient/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10 recreate --reason \"deleted by mistake\"
  lockstep held answer unit:Patient/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10 keep-deleted
  lockstep held answer table:public.patient rebind --reason \"the key is (site, mrn) now, patient_id is kept\"
  lockstep held answer table:public.patient unbind --reason \"keys were assigned anew, the old ones are gone\"
  lockstep held answer source:legacy accept --dry-run     # says what it would do, and does nothing";

/// The answers, for the command line.
pub fn answers() -> PossibleValuesParser {
    PossibleValuesParser::new(ANSWERS.iter().map(|answer| PossibleValue::new(answer.name).help(answer.help)))
}

/// What an answer does to this hold.
pub fn answer(hold: &str, question: &str, name: &str) -> &'static str {
    let kind = hold.split(':').next().unwrap_or_default();
    match (kind, question, name) {
        ("source", _, "accept") => "accept that changes may be missing: a new slot, and every table is read again",
        ("table", _, "expand") => {
            "every row that was in it counts as deleted; the map's delete_means says what that means"
        }
        ("table", question, "read-again") if question.starts_with("truncated") => {
            "read it again whole; every row that is not in it by then is deleted, and nobody is asked again"
        }
        ("table", _, "read-again") => "read it again whole; rows that are gone are found by their absence",
        ("table", question, "accept") if question.starts_with("its key was") => {
            "the same values name the same rows as before: go on, and read it again whole"
        }
        ("table", question, "accept") if question.starts_with("under its new key") => {
            "their rows are gone: read it again, and the map's delete_means says what that means"
        }
        ("table", _, "accept") => "the deletions are right: fold them",
        ("table", _, "rebind") => {
            "the old key's columns go on naming its resources: each row stays the one it was, the map stays; it is read again whole"
        }
        ("table", _, "unbind") => {
            "its resources stay at the target as they are; its rows become new ones, by an entity with a name and a part of \
             its own"
        }
        ("entity", _, "release") => "go on with the map in force: it fits the table as it is now",
        ("unit", _, "recreate") => "make it again at the target, from what the legacy rows say now",
        ("unit", "gone_at_target", "keep-deleted") => {
            "leave it deleted; changes of its rows are followed and write nothing"
        }
        ("unit", _, "keep-deleted") => "delete it at the target again",
        ("unit", "absence_beneath", "accept") => "let our write stand",
        ("unit", _, "accept") => {
            "write what the legacy rows say over what stands there; what others wrote is kept in the log"
        }
        ("unit", "unexpected_existing", "release") => "try the create again, once what stood there is gone",
        ("unit", "recreated_at_target" | "narrative_additional" | "foreign_unreadable", "release") => {
            "write our elements, and let the text and elements of others stand"
        }
        ("unit", _, "release") => "try it again",
        _ => "see lockstep held answer --help",
    }
}

/// What a question of a unit, or a cause of parking, means; none if it is a sentence already.
pub fn cause(word: &str) -> Option<&'static str> {
    Some(match word {
        "gone_at_target" => "somebody deleted it at the target; the deletion stands until a person decides",
        "absence_beneath" => "somebody had deleted it when our update came, and the target made it anew",
        "recreated_at_target" => "it was deleted at the target, and somebody made it again",
        "narrative_additional" => "its text at the target says more than its elements: compare it with the change",
        "foreign_unreadable" => "somebody wrote a version whose content the target does not show",
        "not_taken_by_target" => {
            "the target takes the write and does not keep its content: it would be written for ever"
        }
        "unexpected_existing" => "the target had a resource of this id before our first write",
        "not_system_of_record" => "a system that is not the system of record speaks of it",
        "internal" => "a fault of ours while it was decided: the engine's log names the input; please report it",
        _ => return None,
    })
}

/// A verdict with its sentence, where it has a word of ours in it.
pub fn verdict(text: &str) -> String {
    let word = text.split_once(": ").map(|(_, word)| word);
    word.and_then(cause).map_or_else(|| text.to_owned(), |sentence| format!("{text} ({sentence})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_that_the_server_takes_is_explained_with_an_example() {
        assert_eq!(ANSWERS.each_ref().map(|answer| answer.name), server::answer_names());
        for AnswerHelp { name, .. } in ANSWERS {
            assert!(ANSWER_EXAMPLES.contains(&format!(" {name}")), "{name}");
        }
    }

    #[test]
    fn every_word_of_a_unit_has_a_sentence_and_so_has_each_answer_that_fits_it() {
        let words = [
            "gone_at_target",
            "absence_beneath",
            "recreated_at_target",
            "narrative_additional",
            "foreign_unreadable",
            "unexpected_existing",
            "not_taken_by_target",
            "not_system_of_record",
            flow::INTERNAL,
        ];
        for word in words {
            assert!(cause(word).is_some(), "{word}");
            for fits in flow::answers_to(word) {
                assert!(!answer("unit:X/1", word, server::answer_name(*fits)).starts_with("see "), "{word} {fits:?}");
            }
        }
        assert_eq!(verdict("held: gone_at_target").find("(somebody deleted it"), Some(21));
        assert_eq!(verdict("write"), "write");
    }
}
