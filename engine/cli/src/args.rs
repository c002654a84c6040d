//! The command line: every command with its examples.

use crate::{config::is_pipeline_name, explain};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Keeps a hospital's legacy database and its cloud FHIR server in step.
#[derive(Parser, Debug)]
#[command(name = "lockstep", version, max_term_width = 110, after_help = START)]
pub struct Cli {
    /// The configuration
    #[arg(long, short, global = true, env = "LOCKSTEP_CONFIG", default_value = "lockstep.toml")]
    pub config: PathBuf,
    /// One JSON object a line instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const START: &str = "Start here:\n  lockstep init       writes a configuration and a map to begin with, and says what comes next\n  \
lockstep check      names everything that is missing, each with its cure\n  lockstep status     where everything stands";

/// What a command ends with; stands below every `--help`.
const EXIT_CODES: &str = "Exit codes: 0 done; 1 done, and the answer is no; 2 usage or configuration; 3 a peer cannot be reached; \
4 a prerequisite is missing, the cure is printed; 5 stopped by a gap or corruption, the plan is printed; \
6 the engine is not running, or another holds data_dir/lock; 70 a fault of ours.";

/// The command line, exit codes below every `--help`.
pub fn command() -> clap::Command {
    with_exit_codes(<Cli as clap::CommandFactory>::command())
}

fn with_exit_codes(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let command = names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_exit_codes));
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    command.after_long_help(format!("{examples}\n\n{EXIT_CODES}"))
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write a commented lockstep.toml, a map to begin with, a namespace and a data directory
    #[command(after_help = "Examples:\n  lockstep init\n  lockstep init --pipeline clinic --site north")]
    Init(Init),
    /// Say everything that is missing before a run: configuration, map, source, sink
    ///
    /// Of a source that was captured before it also says whether the next run would go on: a gap is code 5, with its plan.
    /// It is ready, with code 0, also where no map is in force or another one than the file's: that is said.
    #[command(
        after_help = "Examples:\n  lockstep check\n  lockstep check --probe     # also writes at the place named `probe`"
    )]
    Check(Check),
    /// Put the map in force
    #[command(after_help = "Examples:\n  lockstep activate\n  lockstep activate --dry-run")]
    Activate(Activate),
    /// Run the pipeline until SIGTERM or Ctrl-C
    ///
    /// The first start ends with code 4 and every unmet prerequisite of both sides. A later one, and a running engine, say
    /// what is missing in their log and in `status`, try again ever more slowly, and go on by themselves. A peer that does
    /// not answer is waited for, at the first start too.
    #[command(after_help = "Examples:\n  lockstep run\n  lockstep run --log json 2>lockstep.log")]
    Run(Run),
    /// Where everything stands
    #[command(after_help = "Examples:\n  lockstep status\n  lockstep status --json")]
    Status,
    /// Read the logs; values are never printed
    #[command(
        after_help = "Examples:\n  lockstep journal ls --from 1:41 --max 7\n  lockstep journal show 1:44\n  lockstep journal verify"
    )]
    Journal {
        /// What of the journal
        #[command(subcommand)]
        command: Journal,
    },
    /// One unit: what is known of it, and why
    #[command(after_help = "Examples:\n  lockstep unit show Patient/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10 --why")]
    Unit {
        /// What of the unit
        #[command(subcommand)]
        command: Unit,
    },
    /// What the engine cannot do by itself
    #[command(
        after_help = "Examples:\n  lockstep parked ls\n  lockstep parked release \"Patient.gender: code table gender does not know the code\" --reason \"code table corrected\""
    )]
    Parked {
        /// What of the parked
        #[command(subcommand)]
        command: Parked,
    },
    /// What must come first, with the number of units that wait for it
    #[command(after_help = "Examples:\n  lockstep waiting ls")]
    Waiting {
        /// What of the waiting
        #[command(subcommand)]
        command: Waiting,
    },
    /// What a person must decide
    #[command(
        after_help = "Examples:\n  lockstep held ls\n  lockstep held answer source:legacy accept --reason \"slot was dropped by the DBA\""
    )]
    Held {
        /// What of the held
        #[command(subcommand)]
        command: Held,
    },
    /// Compare source, shadow, state and target at one position of the source; exit code 1 if anything differs
    ///
    /// Exit code 0: nothing differs in what was compared. The last line, and `complete` in --json, say whether that was
    /// everything. Not compared are rows that moved meanwhile, units that are parked, held, waiting or unsettled, versions
    /// in flight, fields as of the last mapping (`stale: allowed`), and what is left out by name. Exit code 1: something
    /// differs, and each difference is named. Other codes are as for every command.
    #[command(after_help = "Examples:\n  lockstep verify\n  lockstep verify --json")]
    Verify,
    /// Decide the journal again
    #[command(after_help = "Examples:\n  lockstep replay check\n  lockstep replay check --json")]
    Replay {
        /// What of the replay
        #[command(subcommand)]
        command: Replay,
    },
    /// The derived state
    #[command(
        after_help = "Examples:\n  lockstep state rebuild --dry-run\n  lockstep state rebuild     # with the engine stopped"
    )]
    State {
        /// What of the state
        #[command(subcommand)]
        command: State,
    },
    /// The source
    #[command(
        after_help = "Examples:\n  lockstep source drop --dry-run\n  lockstep source drop --reason \"moved to another server\""
    )]
    Source {
        /// What of the source
        #[command(subcommand)]
        command: Source,
    },
}

/// Arguments of `init`.
#[derive(Args, Debug)]
pub struct Init {
    /// Names slot, publication, stamp: [a-z][a-z0-9_]{0,30}
    #[arg(long, default_value = "clinic", value_parser = pipeline)]
    pub pipeline: String,
    /// Part of every minted id
    #[arg(long, default_value = "north", value_parser = site)]
    pub site: String,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct Check {
    /// Write at the place that the target's owner named, to prove guards and stamp
    #[arg(long)]
    pub probe: bool,
}

/// Arguments of `activate`.
#[derive(Args, Debug)]
pub struct Activate {
    /// Check the map and say what would change, nothing else
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// How log lines look; --json says the same as `--log json`
    #[arg(long, value_enum, default_value_t = LogForm::Text)]
    pub log: LogForm,
    /// The journal is not encrypted at rest yet: needed where the source is not marked `synthetic = true`
    #[arg(long)]
    pub accept_plaintext_journal: bool,
}

/// How log lines look.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogForm {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Commands on the logs.
#[derive(Subcommand, Debug)]
pub enum Journal {
    /// List entries
    #[command(
        after_help = "Examples:\n  lockstep journal ls\n  lockstep journal ls --from 1:41 --max 7 --json\n  lockstep journal ls --decisions"
    )]
    Ls {
        /// From this entry on
        #[arg(long, value_parser = entry_id)]
        from: Option<model::EntryId>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        max: u64,
        /// The decisions log instead of the journal
        #[arg(long)]
        decisions: bool,
    },
    /// Show one entry: cells by type and length
    #[command(after_help = "Examples:\n  lockstep journal show 1:44\n  lockstep journal show 1:18 --decisions --json")]
    Show {
        /// Which, as `writer:seq`
        #[arg(value_parser = entry_id)]
        entry: model::EntryId,
        /// The decisions log instead of the journal
        #[arg(long)]
        decisions: bool,
    },
    /// Check every byte of both logs: frames, sequence, chain; exit code 1 if anything does not hold
    #[command(after_help = "Examples:\n  lockstep journal verify\n  lockstep journal verify --json")]
    Verify,
}

/// Commands on a unit.
#[derive(Subcommand, Debug)]
pub enum Unit {
    /// Show one unit
    #[command(
        after_help = "Examples:\n  lockstep unit show Patient/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10\n  lockstep unit show Patient/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10 --why --last 3\n  lockstep unit show Patient/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10 --why --json"
    )]
    Show {
        /// `Type/id`
        #[arg(value_parser = unit)]
        id: model::Unit,
        /// Every decision with the entries behind it and what became of its effect
        #[arg(long)]
        why: bool,
        /// With --why: the last so many decisions
        #[arg(long, default_value_t = 20, requires = "why")]
        last: usize,
    },
}

/// Commands on what is waited for.
#[derive(Subcommand, Debug)]
pub enum Waiting {
    /// List what is waited for: rows that were never captured, units that the target has not acknowledged
    #[command(after_help = "Examples:\n  lockstep waiting ls\n  lockstep waiting ls --json")]
    Ls,
}

/// Commands on parked units.
#[derive(Subcommand, Debug)]
pub enum Parked {
    /// List causes with the number of units
    #[command(after_help = "Examples:\n  lockstep parked ls\n  lockstep parked ls --json")]
    Ls,
    /// Try the units of one cause again
    #[command(
        after_help = "Examples:\n  lockstep parked release \"Patient.gender: code table gender does not know the code\" --reason \"code table corrected\""
    )]
    Release {
        /// The cause, as listed
        cause: String,
        /// Why, in your words
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// Commands on holds.
#[derive(Subcommand, Debug)]
pub enum Held {
    /// List the questions and the possible answers
    #[command(after_help = "Examples:\n  lockstep held ls\n  lockstep held ls --json")]
    Ls,
    /// Answer one
    #[command(after_help = explain::ANSWER_EXAMPLES)]
    Answer {
        /// The hold, as `held ls` names it: source:NAME, table:NAME, entity:NAME, unit:TYPE/ID
        hold: String,
        /// What shall be done; `held ls` says which fit the question
        #[arg(value_parser = explain::answers(), hide_possible_values = false)]
        answer: String,
        /// Why, in your words; stands in the journal
        #[arg(long, default_value = "")]
        reason: String,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Commands on replay.
#[derive(Subcommand, Debug)]
pub enum Replay {
    /// Decide every input again, from nothing, and compare with what is recorded; exit code 1 if anything differs
    #[command(after_help = "Examples:\n  lockstep replay check\n  lockstep replay check --json")]
    Check,
}

/// Commands on the state.
#[derive(Subcommand, Debug)]
pub enum State {
    /// Throw the store away and fold it again from the logs
    #[command(
        after_help = "Examples:\n  lockstep state rebuild --dry-run     # folds beside the store, and compares\n  lockstep state rebuild     # with the engine stopped"
    )]
    Rebuild {
        /// Fold beside the store, say whether it is the same, and throw what was folded away
        #[arg(long)]
        dry_run: bool,
    },
}

/// Commands on the source.
#[derive(Subcommand, Debug)]
pub enum Source {
    /// Remove everything of ours from the source
    #[command(
        after_help = "Examples:\n  lockstep source drop --dry-run     # what would be removed\n  lockstep source drop --reason \"moved to another server\"     # with the engine stopped"
    )]
    Drop {
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Why, in your words; stands in the journal
        #[arg(long, default_value = "")]
        reason: String,
    },
}

fn pipeline(text: &str) -> Result<String, String> {
    if is_pipeline_name(text) { Ok(text.to_owned()) } else { Err("it has the form [a-z][a-z0-9_]{0,30}".to_owned()) }
}

/// It is written into a TOML text as it is.
fn site(text: &str) -> Result<String, String> {
    let plain = !text.is_empty() && !text.contains(|c: char| c == '"' || c == '\\' || c.is_control());
    if plain { Ok(text.to_owned()) } else { Err("a site is a word without quotes or backslashes".to_owned()) }
}

/// `Type/id`; the type is one of R4's, and the id is a UUID, for it was minted.
fn unit(text: &str) -> Result<model::Unit, String> {
    let form = || "a unit is named Type/id, and its id is a UUID, as in `lockstep journal ls`".to_owned();
    let (kind, id) = text.split_once('/').ok_or_else(form)?;
    let table = schemas::r4::ElementTable::r4();
    if table.resource_type(kind).is_none() {
        let known: Vec<&str> = table.resource_types().collect();
        let near = ports::setting::did_you_mean(kind, &known);
        let near = if near.starts_with("did you mean") { near } else { "Patient is one".to_owned() };
        return Err(format!("R4 has no resource type of this name: {near}"));
    }
    let id = uuid::Uuid::try_parse(id).map_err(|_| form())?;
    Ok(model::Unit { resource_type: kind.into(), id: model::UnitId(id) })
}

/// `writer:seq`.
pub fn entry_id(text: &str) -> Result<model::EntryId, String> {
    let parts = text.split_once(':').and_then(|(writer, seq)| Some((writer.parse().ok()?, seq.parse().ok()?)));
    parts
        .map(|(writer, seq)| model::EntryId::new(writer, seq))
        .ok_or_else(|| "an entry's name is writer:seq, such as 1:44".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn look(command: &clap::Command, names: &str) {
            for command in command.get_subcommands() {
                let names = format!("{names} {}", command.get_name());
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.starts_with(&format!("Examples:\n  {names}")), "{names}: {help}");
                look(command, &names);
            }
        }
        look(&Cli::command(), "lockstep");
    }

    #[test]
    fn every_help_ends_with_the_exit_codes() {
        fn look(command: &clap::Command) {
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.ends_with(EXIT_CODES), "{}", command.get_name());
            command.get_subcommands().for_each(look);
        }
        look(&command());
    }

    #[test]
    fn every_example_of_the_help_is_a_command_line() {
        fn look(command: &clap::Command) {
            for command in command.get_subcommands() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                for line in help.lines().skip(1) {
                    let line = line.split(" # ").next().unwrap_or_default().split(" 2>").next().unwrap_or_default();
                    let mut words = Vec::new();
                    for (at, part) in line.split('"').enumerate() {
                        match at % 2 {
                            0 => words.extend(part.split_whitespace().map(str::to_owned)),
                            _ => words.push(part.to_owned()),
                        }
                    }
                    assert!(Cli::try_parse_from(&words).is_ok(), "{words:?}");
                }
                look(command);
            }
        }
        look(&Cli::command());
    }

    #[test]
    fn a_unit_is_named_by_type_and_uuid() {
        let id = "0B7C62E9-7A55-5D13-9F0E-2F7B5A1C4D10";
        assert_eq!(unit(&format!("Patient/{id}")).unwrap().to_string(), format!("Patient/{}", id.to_lowercase()));
        assert!(unit(&format!("Pateint/{id}")).is_err_and(|told| told.contains("did you mean `Patient`?")));
        assert!(
            ["Patient", "Patient/7", "/x", "Pa tient/0b7c62e9-7a55-5d13-9f0e-2f7b5a1c4d10"]
                .map(unit)
                .iter()
                .all(Result::is_err)
        );
    }

    #[test]
    fn what_init_is_told_can_stand_in_the_file() {
        assert!(pipeline("clinic_2").is_ok() && pipeline("Clinic").is_err() && pipeline("").is_err());
        assert!(site("north wing").is_ok() && site("a\"b").is_err() && site("").is_err());
    }

    #[test]
    fn an_entry_is_named_by_writer_and_seq() {
        assert_eq!(entry_id("1:44"), Ok(model::EntryId::new(1, 44)));
        assert!(entry_id("44").is_err());
    }
}
