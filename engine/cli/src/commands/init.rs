//! `init`: a commented configuration, a map to begin with, a namespace, a data directory. Never overwrites anything.

use crate::{args::Init, error::CliError, exit::Exit, output::Output};
use serde_json::json;
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// The file that `init` writes; a test loads it.
const TEMPLATE: &str = include_str!("../../templates/lockstep.toml");

/// The map that `init` writes beside it: the test clinic's, which is what the documentation speaks of.
const MAP: &str = include_str!("../../../../schemas/maps/clinic/map.yaml");
/// The reference of the map language; stands beside the maps.
const MAPS: &str = include_str!("../../../../schemas/maps/README.md");
/// Where one's own map begins; stands at its head.
const MAP_HEAD: &str = "# A map to learn from: the tables of the test clinic. For your own database: name your tables in lockstep.toml, keep one
# entity here (a patient is a good one), put your table, key and columns in the place of the clinic's, and let
# `lockstep check` name line by line what does not fit. Then the next entity. `lockstep activate` puts it in force.
# Every word, function and type: maps/README.md.
#
";

/// Writes the files beside `config`.
pub fn run(config: &Path, args: &Init, output: Output) -> Result<Exit, CliError> {
    let dir = config.parent().unwrap_or(Path::new(""));
    let namespace = dir.join("secrets/namespace");
    for path in [config, &namespace] {
        if path.exists() {
            return Err(CliError::new(
                Exit::Usage,
                format!("{} exists", path.display()),
                "init never overwrites: name another file with --config, or edit this one",
            ));
        }
    }
    let text = TEMPLATE.replace("{pipeline}", &args.pipeline).replace("{site}", &args.site);
    let map = dir.join("maps/clinic/map.yaml");
    let kept = map.exists();
    let written = write_all(dir, config, &namespace, &text).and_then(|()| if kept { Ok(()) } else { write_map(&map) });
    written.map_err(|error| {
        CliError::new(Exit::Usage, format!("cannot write: {error}"), "choose a directory that this user may write")
    })?;
    let object = json!({
        "config": config.display().to_string(), "namespace": namespace.display().to_string(),
        "map": map.display().to_string(), "map_kept": kept,
    });
    output.say(object, || told(&config.display().to_string(), kept));
    Ok(Exit::Done)
}

/// What was written, and what comes next.
fn told(config: &str, kept: bool) -> String {
    let map =
        if kept { "was there, and is kept" } else { "the test clinic's map: to learn from, and to replace by yours" };
    format!(
        "wrote
  {config:22} the pipeline, commented
  maps/clinic/map.yaml   {map}
  maps/README.md         the reference of the map language
  secrets/namespace      seeds every id: back it up, never change it
  data/                  logs and state to come

next
  1. {config}: where the database and the FHIR server are (url, base_url), which tables
  2. secrets/capture, secrets/token: the role's password and the bearer token, one a file, chmod 600
  3. lockstep check      names everything that is still missing, as SQL for the DBA where that helps
  4. lockstep activate   puts the map in force; then: lockstep run"
    )
}

fn write_map(path: &Path) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
        let maps = dir.parent().unwrap_or(dir).join("README.md");
        if !maps.exists() {
            write_new(&maps, MAPS, 0o644)?;
        }
    }
    write_new(path, &format!("{MAP_HEAD}{MAP}"), 0o644)
}

fn write_all(dir: &Path, config: &Path, namespace: &Path, text: &str) -> io::Result<()> {
    for name in ["secrets", "data"] {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join(name))?;
    }
    write_new(namespace, &format!("{}\n", random_uuid()?), 0o600)?;
    write_new(config, text, 0o644)
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A random UUID from the kernel (version 4).
fn random_uuid() -> io::Result<uuid::Uuid> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn what_init_writes_is_refused_only_for_what_a_person_must_fill_in() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("lockstep.toml");
        let args = Init { pipeline: "clinic".into(), site: "north".into() };
        run(&config, &args, Output::new(true)).unwrap();
        let open = Settings::load(&config).map(drop).expect_err("a person must fill in three things").messages();
        let names = |word: &str| open.iter().filter(|(what, cure)| what.contains(word) && !cure.is_empty()).count();
        assert_eq!((open.len(), names("capture"), names("token"), names("ca_file")), (3, 1, 1, 1), "{open:?}");
        for name in ["capture", "token", "ca.pem"] {
            fs::write(dir.path().join("secrets").join(name), "x").unwrap();
        }
        let settings = Settings::load(&config).map_err(|faults| faults.messages()).unwrap();
        assert_eq!((settings.pipeline.as_str(), settings.site.as_str()), ("clinic", "north"));
        assert!(fs::read_to_string(&settings.map).unwrap().ends_with(MAP), "with a word at its head");
        let again = run(&config, &args, Output::new(true)).unwrap_err();
        assert_eq!(again.exit(), Exit::Usage);
    }

    #[test]
    fn the_namespace_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let args = Init { pipeline: "clinic".into(), site: "north".into() };
        run(&dir.path().join("lockstep.toml"), &args, Output::new(true)).unwrap();
        let mode = fs::metadata(dir.path().join("secrets/namespace")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
