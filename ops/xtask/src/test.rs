//! `cargo x test`: quick checks, a PostgreSQL, then every test of the workspace.

use crate::check;
use crate::peers;
use crate::steps::{Fault, Steps, cargo, root};
use std::path::Path;

/// Options of `cargo x test`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x test                          everything\n  cargo x test flow                     the tests of engine/flow\n  cargo x test e2e kill                 the tests of tests/e2e with `kill` in their name\n  cargo x test kafka                    what is built with a feature that is off by default: sled is part of everything,\n                                        kafka is not (librdkafka takes some CPU minutes; wants gcc and make, no cmake)\n  UPDATE_SCRIPTS=1 cargo x test flow    write golden scripts anew: read the difference like code\n\nWhat the tests are told:\n  LOCKSTEP_PG_BIN     the folder of initdb, pg_ctl and postgres; set it to choose yourself\n  LOCKSTEP_PG_USER    when we are root: the user that has to run them"
)]
pub struct Test {
    /// Crates by the name of their folder (flow, postgres, e2e), features (sled, kafka), and words that the names of
    /// tests contain.
    filters: Vec<String>,
}

impl Test {
    /// Runs the tests; a filter leaves out the checks before them.
    pub fn run(&self) -> Result<(), Fault> {
        let mut steps = Steps::default();
        if self.filters.is_empty() {
            check::quick(&mut steps)?;
        }
        let (features, filters) = with_features(&self.filters);
        if !filters.is_empty() || self.filters.is_empty() {
            let postgres = steps.time("postgresql", peers::ensure)?;
            let mut tests = cargo(&["test"]);
            tests.args(selection(&filters, &packages_in));
            postgres.tell(&mut tests);
            steps.run("tests", &mut tests)?;
        }
        for Feature { package, feature, .. } in features {
            let mut tests = cargo(&["test", "--package", package, "--features", feature]);
            steps.run(&format!("tests with {feature}"), &mut tests)?;
        }
        steps.report();
        Ok(())
    }
}

/// A cargo feature that is off by default, and the crate whose tests it adds to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Feature {
    package: &'static str,
    feature: &'static str,
    /// Whether `cargo x test` without filters runs them; the others are asked for by name.
    in_all: bool,
}

const FEATURES: [Feature; 2] = [
    Feature { package: "lockstep-store", feature: "sled", in_all: true },
    Feature { package: "lockstep-journal-kafka", feature: "kafka", in_all: false },
];

/// The features that are tested, and the filters that name none.
fn with_features(filters: &[String]) -> (Vec<Feature>, Vec<String>) {
    let is_named = |feature: &Feature| filters.iter().any(|filter| filter == feature.feature);
    let features = FEATURES.into_iter().filter(|it| is_named(it) || (filters.is_empty() && it.in_all)).collect();
    let others = filters.iter().filter(|filter| FEATURES.iter().all(|feature| feature.feature != *filter));
    (features, others.cloned().collect())
}

/// The arguments for `cargo test`: crates become packages, other words filter names.
fn selection(filters: &[String], packages_in: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut packages = Vec::new();
    let mut words = Vec::new();
    for filter in filters {
        let named = packages_in(filter);
        if named.is_empty() {
            words.push(filter.clone());
        }
        packages.extend(named.into_iter().flat_map(|package| ["--package".to_owned(), package]));
    }
    if packages.is_empty() {
        packages.push("--workspace".to_owned());
    }
    if !words.is_empty() {
        packages.push("--".to_owned());
        packages.append(&mut words);
    }
    packages
}

/// The packages in folders of that name, where our crates lie; `model` is two.
fn packages_in(name: &str) -> Vec<String> {
    let named = |folder: &Path| {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        let line = manifest.lines().find(|line| line.starts_with("name = "))?;
        Some(line.trim_start_matches("name = ").trim_matches('"').to_owned())
    };
    if name.contains(['/', '.']) {
        return Vec::new();
    }
    ["engine", "connectors", "tests", "ops", ""]
        .iter()
        .filter_map(|parent| named(&root().join(parent).join(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(filters: &[&str]) -> String {
        let filters: Vec<String> = filters.iter().map(|&filter| filter.to_owned()).collect();
        selection(&filters, &packages_in).join(" ")
    }

    #[test]
    fn no_filter_is_the_whole_workspace() {
        assert_eq!(chosen(&[]), "--workspace");
    }

    #[test]
    fn a_crate_is_named_by_its_folder() {
        assert_eq!(chosen(&["flow"]), "--package lockstep-flow");
        assert_eq!(chosen(&["cli"]), "--package lockstep");
        assert_eq!(chosen(&["schemas"]), "--package lockstep-schemas");
        assert_eq!(chosen(&["model"]), "--package lockstep-model --package lockstep-protocol");
    }

    #[test]
    fn a_feature_is_named_and_sled_is_part_of_everything() {
        let tested = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|&filter| filter.to_owned()).collect();
            let (features, filters) = with_features(&filters);
            (features.iter().map(|feature| feature.feature).collect::<Vec<_>>(), filters.join(" "))
        };
        assert_eq!(tested(&[]), (vec!["sled"], String::new()));
        assert_eq!(tested(&["kafka"]), (vec!["kafka"], String::new()));
        assert_eq!(tested(&["store", "kill"]), (vec![], "store kill".to_owned()));
    }

    #[test]
    fn other_words_filter_the_names_of_tests() {
        assert_eq!(chosen(&["kill"]), "--workspace -- kill");
        assert_eq!(chosen(&["e2e", "kill"]), "--package lockstep-e2e -- kill");
    }
}
