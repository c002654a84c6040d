//! `init`: a commented configuration, a namespace, a data directory. Never overwrites anything.

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
    let written = write_all(dir, config, &namespace, &text);
    written.map_err(|error| {
        CliError::new(Exit::Usage, format!("cannot write: {error}"), "choose a directory that this user may write")
    })?;
    output.say(json!({ "config": config.display().to_string(), "namespace": namespace.display().to_string() }), || {
        format!(
            "wrote {}, {} (back it up: it seeds every id) and data/\nnext: edit {}, then `lockstep check`",
            config.display(),
            namespace.display(),
            config.display()
        )
    });
    Ok(Exit::Done)
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
        fs::write(dir.path().join("secrets/capture"), "x").unwrap();
        fs::write(dir.path().join("secrets/token"), "x").unwrap();
        let settings = Settings::load(&config).map_err(|faults| faults.messages()).unwrap();
        assert_eq!((settings.pipeline.as_str(), settings.site.as_str()), ("clinic", "north"));
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
