//! What a person writes about a FHIR sink, and what the code gets of it.
//!
//! Reads no file and no environment: whoever composes the program resolves secrets and profile and hands over
//! [`Options`]. All faults of a configuration are reported at once. A secret never prints.

use model::ResourceType;
use ports::{Secret, SecretRef, SettingFault};
use reqwest::Url;
use schemas::profile::{CreateGuard, Profile};
use schemas::r4::ElementTable;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// The table `[system.NAME.sink]` without its `kind`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the server's FHIR base is: `https://fhir.hospital.example/r4`.
    #[serde(default)]
    pub base_url: String,
    /// The server's habits: a profile of the program by its name, or a file that ends in `.toml`.
    #[serde(default)]
    pub profile: String,
    /// `meta.source` of what we write is this, `#` and the request's stamp (J28).
    #[serde(default)]
    pub stamp_uri: String,
    /// How we show who we are; none for a server that asks nobody.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Requests in flight at most.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// How long a request may take before its outcome is unknown.
    #[serde(default = "request_timeout_seconds")]
    pub request_timeout_seconds: u64,
    /// A server that has answered nothing for so long is looked at: one read of what was written last.
    #[serde(default = "heartbeat_seconds")]
    pub heartbeat_seconds: u32,
    /// The certificates of the authorities that may have signed the server's, in PEM. Without it the system's count.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The one place, named by the target's owner, where `check --probe` writes: `Basic/lockstep`.
    #[serde(default)]
    pub probe: Option<String>,
}

/// Enough to keep a server with some cores busy, few enough to be a polite guest.
fn concurrency() -> usize {
    16
}

/// Servers and their proxies usually give up at 30 or 60 seconds.
fn request_timeout_seconds() -> u64 {
    30
}

/// Soon enough to hear of an outage from us, seldom enough not to fill the server's audit log with reads.
fn heartbeat_seconds() -> u32 {
    60
}

/// Ways to show who we are.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// A bearer token.
    pub bearer: SecretRef,
}

/// Everything that the connector needs, checked and loaded.
#[derive(Clone, Debug)]
pub struct Options {
    /// The FHIR base, without a slash at its end.
    pub base_url: String,
    /// The server's habits.
    pub profile: Profile,
    /// `meta.source` up to `#`.
    pub stamp_uri: String,
    /// The bearer token.
    pub bearer: Option<Secret>,
    /// The token's file, read again when the server refuses the token.
    pub bearer_file: Option<PathBuf>,
    /// Requests in flight at most.
    pub concurrency: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long nothing may be heard before we look.
    pub heartbeat_seconds: u32,
    /// Authorities in PEM; none = the system's.
    pub ca: Option<Vec<u8>>,
    /// Where the probe writes.
    pub probe: Option<ProbePlace>,
    /// The resource types that will be written, for `check`; empty = not known.
    pub types: Vec<ResourceType>,
}

/// The resource that the probe may write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbePlace {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id, chosen by the target's owner.
    pub id: String,
}

impl ProbePlace {
    /// Reads `Type/id`. The type must need nothing that we could not make up without saying something.
    pub fn parse(text: &str) -> Result<ProbePlace, String> {
        let named = text.split_once('/').filter(|(_, id)| is_id(id));
        let (kind, id) = named.ok_or_else(|| "it is a resource of its own: probe = \"Basic/lockstep\"".to_owned())?;
        let table = ElementTable::r4();
        let group = table.resource_type(kind).and_then(|kind| table.group(kind));
        let group =
            group.ok_or_else(|| format!("R4 has no resource type '{kind}': Basic/lockstep is the usual place"))?;
        if kind != "Basic" && table.required(group).next().is_some() {
            return Err(format!(
                "a {kind} cannot be written without saying something: Basic/lockstep is the usual place"
            ));
        }
        Ok(ProbePlace { resource_type: ResourceType::from(kind), id: id.to_owned() })
    }

    /// `Type/id`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.resource_type, self.id)
    }
}

/// R4's `id`.
fn is_id(text: &str) -> bool {
    // A path of dots alone would be another place.
    (1..=64).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.'))
}

impl Config {
    /// Checks everything; all faults at once, each with its key.
    pub fn options(
        &self,
        profile: Profile,
        bearer: Option<Secret>,
        ca: Option<Vec<u8>>,
        types: Vec<ResourceType>,
    ) -> Result<Options, Vec<SettingFault>> {
        let mut faults = Vec::new();
        let mut wrong = |key: &str, what: String, cure: &str| faults.push(SettingFault::new(key, what, cure));
        let base_url =
            self.base(bearer.is_some()).map_err(|(what, cure)| wrong("base_url", what.to_owned(), cure)).ok();
        if !is_stamp_uri(&self.stamp_uri) {
            let cure = "write one without '#' or spaces: https://ids.hospital.example/lockstep/clinic";
            wrong("stamp_uri", "it is not an absolute URI".to_owned(), cure);
        }
        if profile.create_guard == CreateGuard::GetFirst {
            let what =
                format!("`{}` has create_guard = \"get_first\", which this version cannot do safely", profile.name);
            wrong("profile", what, "use a server that honours If-None-Match or If-Match on a create");
        }
        if bearer.as_ref().is_some_and(|secret| secret.token().is_none()) {
            let what = "the token is empty or holds spaces, line breaks or letters outside ASCII";
            wrong("auth.bearer", what.to_owned(), "put the token alone into its file");
        }
        let most = usize::from(profile.concurrency_max);
        if !(1..=most).contains(&self.concurrency) {
            let cure = format!("write 1 to {most}, which the profile `{}` names", profile.name);
            wrong("concurrency", "more than the server's profile allows, or none".to_owned(), &cure);
        }
        if !(1..=3_600).contains(&self.request_timeout_seconds) {
            wrong("request_timeout_seconds", "out of range".to_owned(), "write 1 to 3600; 30 is usual");
        }
        if !(1..=3_600).contains(&self.heartbeat_seconds) {
            wrong("heartbeat_seconds", "out of range".to_owned(), "write 1 to 3600; 10 is usual");
        }
        let probe = self.probe.as_deref().map(ProbePlace::parse).transpose();
        let probe = probe.unwrap_or_else(|fault| {
            wrong("probe", fault, "Basic/lockstep is the usual place");
            None
        });
        match base_url {
            Some(base_url) if faults.is_empty() => Ok(Options {
                base_url,
                profile,
                stamp_uri: self.stamp_uri.clone(),
                bearer,
                bearer_file: None,
                concurrency: self.concurrency,
                request_timeout: Duration::from_secs(self.request_timeout_seconds),
                heartbeat_seconds: self.heartbeat_seconds,
                ca,
                probe,
                types,
            }),
            _ => Err(faults),
        }
    }

    /// The base as it is used, or what is wrong with it and the cure.
    fn base(&self, with_token: bool) -> Result<String, (&'static str, &'static str)> {
        const FORM: &str = "write https://fhir.hospital.example/r4";
        if self.base_url.is_empty() {
            return Err(("it is missing", FORM));
        }
        let url = Url::parse(&self.base_url).map_err(|_| ("it is not a URL", FORM))?;
        let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match url.scheme() {
            "https" => {}
            "http" if with_token && !here => {
                return Err(("a token would cross the network in the clear", "use https"));
            }
            "http" => {}
            _ => return Err(("it does not begin with https:// (or http://)", FORM)),
        }
        if !url.username().is_empty() || url.password().is_some() {
            let cure = "name a token's file instead: auth = { bearer = { file = \"secrets/token\" } }";
            return Err(("it holds a user or a password", cure));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(("it has a '?' or a '#'", "write the FHIR base alone"));
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }
}

fn is_stamp_uri(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, rest)| (scheme, !rest.is_empty()));
    let named = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(|c| c.is_ascii_alphanumeric())
    };
    scheme.is_some_and(|(scheme, more)| named(scheme) && more)
        && text.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'#' | b'"' | b'<' | b'>' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    fn sandbox() -> Profile {
        Profile::builtin("sandbox").unwrap()
    }

    #[test]
    fn the_example_is_read_and_makes_options() {
        let example: toml::Table = include_str!("../example.toml").parse().unwrap();
        let mut sink = example["system"]["cloud"]["sink"].as_table().unwrap().clone();
        assert_eq!(sink.remove("kind").unwrap().as_str(), Some("fhir"));
        let config: Config = sink.try_into().unwrap();
        let options = config.options(sandbox(), Some(Secret::new("t\n")), None, Vec::new()).unwrap();
        assert_eq!(options.base_url, "https://fhir.hospital.example/r4");
        assert_eq!(options.probe.unwrap().path(), "Basic/lockstep");
    }

    #[test]
    fn all_faults_come_at_once_and_name_their_key() {
        let wrong = config(
            "base_url = \"ftp://x\"\nprofile = \"p\"\nstamp_uri = \"a#b\"\nconcurrency = 0\nrequest_timeout_seconds = 0\nheartbeat_seconds = 0\nprobe = \"Encounter/x\"",
        );
        let mut profile = sandbox();
        profile.create_guard = CreateGuard::GetFirst;
        let faults = wrong.options(profile, Some(Secret::new("a b")), None, Vec::new()).unwrap_err();
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "base_url",
                "stamp_uri",
                "profile",
                "auth.bearer",
                "concurrency",
                "request_timeout_seconds",
                "heartbeat_seconds",
                "probe"
            ]
        );
        assert!(faults.iter().all(|fault| !fault.cure.is_empty()), "{faults:?}");
    }

    #[test]
    fn a_token_does_not_cross_the_network_in_the_clear() {
        let at = |url: &str| config(&format!("base_url = \"{url}\"\nprofile = \"p\"\nstamp_uri = \"urn:x\""));
        let options =
            |url: &str, token: Option<&str>| at(url).options(sandbox(), token.map(Secret::new), None, Vec::new());
        assert!(options("http://fhir.example/r4", Some("t")).unwrap_err()[0].what.contains("in the clear"));
        assert!(options("http://fhir.example/r4", None).is_ok());
        assert!(options("http://127.0.0.1:8080/fhir/", Some("t")).is_ok());
        assert!(
            options("https://u:canary@fhir.example", None)
                .unwrap_err()
                .iter()
                .all(|fault| !fault.to_string().contains("canary"))
        );
    }

    #[test]
    fn a_probe_place_says_nothing_about_anybody() {
        assert!(ProbePlace::parse("Basic/lockstep").is_ok());
        assert!(ProbePlace::parse("Patient/lockstep-probe").is_ok());
        for wrong in ["Basic", "Basic/", "Basic/a b", "Observation/x", "Nothing/x", "Basic/..", "Basic/."] {
            assert!(ProbePlace::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_never_prints() {
        let config = config("base_url = \"https://h/r4\"\nprofile = \"p\"\nstamp_uri = \"urn:x\"");
        let options = config.options(sandbox(), Some(Secret::new("canary\n")), None, Vec::new()).unwrap();
        assert!(!format!("{options:?}").contains("canary"));
        assert_eq!(options.bearer.map(|secret| secret.expose().to_owned()).as_deref(), Some("canary"));
    }
}
