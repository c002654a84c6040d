//! What a person writes about a PostgreSQL source, and what the code gets of it.
//!
//! Reads no file and no environment: whoever composes the program resolves secrets and hands over [`Options`].
//! All faults of a configuration are reported at once. A secret never prints.

use model::{SystemId, TableName};
use ports::{Secret, SecretRef, SettingFault};
use serde::Deserialize;
use std::{fmt, path::PathBuf, time::Duration};

/// The table `[system.NAME.source]` without its `kind`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `postgres://user@host:port/database?sslmode=disable|require|verify-full`, or `?host=/directory` for a socket.
    #[serde(default)]
    pub url: String,
    /// Where the role's password is.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// The certificates of the authorities that may have signed the server's, in PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// `schema.table`, each as the catalogue spells it.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Whether no real patient is behind it.
    #[serde(default)]
    pub synthetic: bool,
    /// Rows of a chunk of the first read.
    #[serde(default = "chunk_rows")]
    pub chunk_rows: usize,
    /// How long a source is silent before its place in the log becomes an entry.
    #[serde(default = "heartbeat_seconds")]
    pub heartbeat_seconds: u64,
}

/// Some ten milliseconds of reading, and a few megabytes in memory.
fn chunk_rows() -> usize {
    10_000
}

/// The server keeps as much of its log as an idle source leaves unconfirmed.
fn heartbeat_seconds() -> u64 {
    10
}

/// Everything that the connector needs, checked and loaded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names slot, publication and messages.
    pub pipeline: String,
    /// The system in whose name entries are made.
    pub system: SystemId,
    /// Where the server is, and as whom to come.
    pub address: Address,
    /// The role's password.
    pub password: Option<Secret>,
    /// Authorities in PEM.
    pub ca: Option<Vec<u8>>,
    /// The captured tables, sorted.
    pub tables: Vec<TableName>,
    /// Rows of a chunk.
    pub chunk_rows: usize,
    /// Silence that makes a heartbeat.
    pub heartbeat: Duration,
}

impl Options {
    /// The name of slot, publication and messages: `lockstep_<pipeline>`.
    pub fn name(&self) -> String {
        format!("lockstep_{}", self.pipeline)
    }
}

/// Where a server is, and as whom to come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// TCP or a socket of this machine.
    pub place: Place,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// How far the connection is protected.
    pub tls: Tls,
}

/// A way to a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A host name or address with its port.
    Tcp(String, u16),
    /// The directory of a Unix socket, and the port in the socket's name.
    Unix(PathBuf, u16),
}

/// `sslmode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    /// In the clear.
    Disable,
    /// Encrypted. The server's certificate is checked only if `ca_file` is given, then fully.
    Require,
    /// Encrypted, and the certificate is signed by an authority of `ca_file` for this very host.
    VerifyFull,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(host, port) => write!(f, "{host}:{port}/{}", self.database),
            Place::Unix(directory, port) => write!(f, "{}:{port}/{}", directory.display(), self.database),
        }
    }
}

impl Config {
    /// Checks everything; all faults at once, each with its key.
    pub fn options(
        &self,
        pipeline: &str,
        system: SystemId,
        password: Option<Secret>,
        ca: Option<Vec<u8>>,
    ) -> Result<Options, Vec<SettingFault>> {
        let mut faults = Vec::new();
        let mut wrong = |key: &str, what: String, cure: &str| faults.push(SettingFault::new(key, what, cure));
        let address = parse_url(&self.url).map_err(|fault| wrong("url", fault, URL_FORM)).ok();
        if address.as_ref().is_some_and(|address| address.tls == Tls::VerifyFull) && ca.is_none() {
            let what = "sslmode=verify-full needs the certificate of the authority that signed the server's";
            wrong("ca_file", what.to_owned(), "name its PEM file: ca_file = \"secrets/ca.pem\"");
        }
        if !is_name(pipeline) {
            let cure = "correct `pipeline` at the head of the file: it names the slot";
            wrong("", format!("pipeline '{pipeline}' is not of the form [a-z][a-z0-9_]{{0,30}}"), cure);
        }
        let mut tables: Vec<TableName> = self.tables.iter().map(|name| TableName::from(name.as_str())).collect();
        tables.sort();
        if tables.is_empty() {
            wrong("tables", "no table is named".to_owned(), "name at least one as schema.table");
        }
        for twice in tables.windows(2).filter(|two| two[0] == two[1]) {
            wrong("tables", format!("'{}' is named twice", twice[0]), "name it once");
        }
        tables.dedup();
        for table in tables.iter().filter(|table| split(table).is_none()) {
            let cure = "write it as the catalogue spells it: public.patient";
            wrong("tables", format!("'{table}' is not of the form schema.table"), cure);
        }
        if self.chunk_rows == 0 {
            wrong("chunk_rows", "it is 0".to_owned(), "at least 1; 10_000 is usual");
        }
        if self.heartbeat_seconds == 0 {
            wrong("heartbeat_seconds", "it is 0".to_owned(), "at least 1; 10 is usual");
        }
        let heartbeat = Duration::from_secs(self.heartbeat_seconds);
        match address {
            Some(address) if faults.is_empty() => Ok(Options {
                pipeline: pipeline.to_owned(),
                system,
                address,
                password,
                ca,
                tables,
                chunk_rows: self.chunk_rows,
                heartbeat,
            }),
            _ => Err(faults),
        }
    }
}

/// A URL as it should be.
const URL_FORM: &str = "write postgres://user@host:port/database?sslmode=verify-full";

/// `[a-z][a-z0-9_]{0,30}`.
fn is_name(text: &str) -> bool {
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.len() <= 31 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(named)
}

/// Schema and table of a name.
pub(crate) fn split(table: &TableName) -> Option<(&str, &str)> {
    table.as_str().split_once('.').filter(|(schema, table)| !schema.is_empty() && !table.is_empty())
}

/// Reads a connection URL; refuses a password in it, because URLs are printed and passwords are not.
pub fn parse_url(url: &str) -> Result<Address, String> {
    if url.is_empty() {
        return Err("it is missing".to_owned());
    }
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .ok_or("it does not begin with postgres://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) =
        rest.split_once('/').ok_or("it names no database: postgres://user@host:port/database")?;
    let (user, host) = authority.rsplit_once('@').ok_or("it names no role: postgres://user@host:port/database")?;
    if user.contains(':') {
        return Err(
            "it holds a password; put the password into a file and name it: password = { file = \"…\" }".to_owned()
        );
    }
    let (host, port) = host_and_port(host)?;
    let (mut tls, mut directory) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", "disable")) => tls = Some(Tls::Disable),
            Some(("sslmode", "require")) => tls = Some(Tls::Require),
            Some(("sslmode", "verify-full")) => tls = Some(Tls::VerifyFull),
            Some(("sslmode", _)) => return Err("sslmode is none of disable, require and verify-full".to_owned()),
            Some(("host", path)) => directory = Some(decode(path)?),
            Some(("password", _)) => {
                return Err("it holds a password; put it into a file: password = { file = \"…\" }".to_owned());
            }
            _ => return Err("its query holds another key than sslmode and host".to_owned()),
        }
    }
    let (user, database) = (decode(user)?, decode(database)?);
    if user.is_empty() || database.is_empty() {
        return Err("its role or its database is empty: postgres://user@host:port/database".to_owned());
    }
    match directory {
        Some(path) if host.is_empty() && path.starts_with('/') => match tls {
            None | Some(Tls::Disable) => {
                Ok(Address { place: Place::Unix(PathBuf::from(path), port), user, database, tls: Tls::Disable })
            }
            Some(_) => Err("a Unix socket has no TLS; leave sslmode out".to_owned()),
        },
        Some(_) => Err("host= in its query is no directory of a Unix socket, or another host is named, too".to_owned()),
        None if host.is_empty() => {
            Err("it names neither a host nor a socket's directory (?host=/directory)".to_owned())
        }
        None => Ok(Address { place: Place::Tcp(host, port), user, database, tls: tls.unwrap_or(Tls::VerifyFull) }),
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("its IPv6 address does not end with ]")?,
        None => text.rfind(':').map_or((text, ""), |colon| text.split_at(colon)),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| "the port is not a number")?,
        None if port.is_empty() => 5432,
        None => return Err("there is no colon before the port".to_owned()),
    };
    Ok((host.to_owned(), port))
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            bytes.push(
                digits
                    .and_then(|two| u8::from_str_radix(two, 16).ok())
                    .ok_or("a % is not followed by two hex digits")?,
            );
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, tables: &[&str]) -> Config {
        Config {
            url: url.to_owned(),
            password: None,
            ca_file: None,
            tables: tables.iter().map(|table| (*table).to_owned()).collect(),
            synthetic: false,
            chunk_rows: 10,
            heartbeat_seconds: 1,
        }
    }

    #[test]
    fn urls_are_read() {
        let address = parse_url("postgres://capture@127.0.0.1:5433/ehr?sslmode=disable").unwrap();
        assert_eq!(address.place, Place::Tcp("127.0.0.1".into(), 5433));
        assert_eq!((address.user.as_str(), address.database.as_str(), address.tls), ("capture", "ehr", Tls::Disable));
        let socket = parse_url("postgres://capture@/ehr?host=/run/postgresql").unwrap();
        assert_eq!(socket.place, Place::Unix("/run/postgresql".into(), 5432));
        let six = parse_url("postgres://a%40b@[::1]:6000/e%2Fhr").unwrap();
        assert_eq!((six.place, six.user.as_str(), six.tls), (Place::Tcp("::1".into(), 6000), "a@b", Tls::VerifyFull));
        assert_eq!(six.database, "e/hr");
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        for url in ["postgres://u:canary@h/d", "postgres://u@h/d?password=canary"] {
            let fault = parse_url(url).unwrap_err();
            assert!(fault.contains("password") && !fault.contains("canary"), "{fault}");
        }
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        for (url, wrong) in [
            ("mysql://u@h/d", "it does not begin with postgres://"),
            ("postgres://h/d", "it names no role"),
            ("postgres://u@h", "it names no database"),
            ("postgres://u@h:x/d", "the port is not a number"),
            ("postgres://u@/d", "it names neither a host"),
            ("postgres://u@h/d?sslmode=prefer", "sslmode is none of"),
            ("postgres://u@h/d?host=/run", "another host is named"),
            ("postgres://u@/d?host=/run&sslmode=require", "has no TLS"),
            ("postgres://u@h/d?port=1", "another key than"),
            ("postgres://u%zz@h/d", "is not followed by two hex digits"),
            ("postgres://u@h/", "its database is empty"),
            ("postgres://u@[::1/d", "does not end with ]"),
            ("postgres://u@[::1]5/d", "no colon before the port"),
        ] {
            let said = parse_url(url).unwrap_err();
            assert!(said.contains(wrong), "{url}: {said}");
        }
    }

    #[test]
    fn the_example_is_read_and_unknown_keys_are_not() {
        let mut example: toml::Table = toml::from_str(include_str!("../example.toml")).unwrap();
        assert_eq!(example.remove("kind"), Some("postgres".into()), "the catalogue takes it");
        let config: Config = example.clone().try_into().unwrap();
        assert_eq!(config.password, Some(SecretRef::File("secrets/capture".into())));
        let options = config.options("clinic", "legacy".into(), None, Some(Vec::new())).unwrap();
        assert_eq!((options.tables.len(), options.name().as_str()), (4, "lockstep_clinic"));
        example.insert("passwort".to_owned(), "x".into());
        assert!(example.try_into::<Config>().is_err());
    }

    #[test]
    fn all_faults_come_at_once_each_with_its_key() {
        let mut wrong = config("postgres://u@h/d", &["patient", "public.a", "public.a"]);
        wrong.chunk_rows = 0;
        let faults = wrong.options("Clinic", "legacy".into(), None, None).unwrap_err();
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["ca_file", "", "tables", "tables", "chunk_rows"]);
        assert!(faults.iter().all(|fault| !fault.cure.is_empty()), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.what.contains("'public.a' is named twice")), "{faults:?}");
    }

    #[test]
    fn a_secret_never_prints() {
        let mut options = config("postgres://u@h/d?sslmode=disable", &["public.a"])
            .options("clinic", "legacy".into(), None, None)
            .unwrap();
        options.password = Some(Secret::new("canary\n"));
        assert!(!format!("{options:?}").contains("canary"));
    }
}
