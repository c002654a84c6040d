//! What a FHIR server is like, where servers differ: data, proven by `lockstep check --probe`, never guessed from a name.
//!
//! Reads no file: the profiles that we measured are part of the binary, another one is given as text. Invariants:
//! * Every habit is stated: there are no defaults, and unknown keys are refused.
//! * A profile that contradicts itself is refused with all its faults at once.
//! * What a server does to content (drops the version of a reference, an empty list, outer space, writes another offset)
//!   is no habit of a profile: the one canonical form takes it out for every server, so that no hash and no decision hangs
//!   on which profile is in force; and a map cannot say an element that R4 does not know.

use serde::Deserialize;

/// The profiles that come with the program: name and text.
const BUILTIN: [(&str, &str); 2] =
    [("sandbox", include_str!("../servers/sandbox.toml")), ("hapi", include_str!("../servers/hapi.toml"))];

/// The habits of one server.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// How a first write is kept from overwriting (J26).
    pub create_guard: CreateGuard,
    /// With which statuses a guarded create is refused where something stands.
    pub create_refused: Vec<u16>,
    /// With which statuses an `If-Match` that names another version than the current one is refused.
    pub stale: Vec<u16>,
    /// Whether a DELETE looks at `If-Match`.
    pub delete_if_match: DeleteIfMatch,
    /// Where an instance's past can be read.
    pub history: History,
    /// Whether `meta.source` comes back as it was sent (J28); where not, the hash alone decides.
    pub keeps_stamp: bool,
    /// Whether an equal body keeps the version.
    pub no_op_keeps_version: bool,
    /// What version ids are.
    pub version_ids: VersionIds,
    /// Whether numbers begin again at 1 when everything of a resource was expunged: then a smaller number says less (J33).
    pub expunge_restarts_versions: bool,
    /// How long a request that we gave up may still arrive (J27).
    pub request_lifetime_max_seconds: u32,
    /// Requests in flight at most.
    pub concurrency_max: u16,
}

/// Guards of a create.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreateGuard {
    /// `If-None-Match: *`.
    IfNoneMatch,
    /// `If-Match: W/"0"`.
    IfMatchZero,
    /// GET, expect 404, PUT bare, require 201. Known, but no sink of this version does it.
    GetFirst,
}

/// What a DELETE does with `If-Match`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteIfMatch {
    /// Another version is refused.
    Honoured,
    /// Whatever stands is deleted.
    Ignored,
}

/// Where an instance's past can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// `Type/id/_history`.
    Instance,
    /// Nowhere: the current version alone.
    None,
}

/// What version ids are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionIds {
    /// Rising numbers.
    Numbers,
    /// Anything.
    Opaque,
}

/// Why a profile cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProfileError {
    /// No such profile.
    #[error("there is no profile `{0}`; known: {known}, or the name of a file that ends in .toml", known = names().join(", "))]
    Unknown(String),
    /// Not a profile.
    #[error("the profile is not readable: {0}; `schemas/servers/hapi.toml` shows every key")]
    Malformed(String),
    /// It contradicts itself.
    #[error("the profile contradicts itself: {}", .0.join("; "))]
    Inconsistent(Vec<&'static str>),
}

fn names() -> Vec<&'static str> {
    BUILTIN.iter().map(|(name, _)| *name).collect()
}

impl Profile {
    /// A profile that comes with the program.
    pub fn builtin(name: &str) -> Result<Profile, ProfileError> {
        let known = BUILTIN.iter().find(|(known, _)| *known == name);
        let (_, text) = known.ok_or_else(|| ProfileError::Unknown(name.to_owned()))?;
        Profile::parse(text)
    }

    /// Reads a profile.
    pub fn parse(text: &str) -> Result<Profile, ProfileError> {
        let profile: Profile =
            toml::from_str(text).map_err(|error| ProfileError::Malformed(error.message().to_owned()))?;
        let faults = profile.faults();
        if faults.is_empty() { Ok(profile) } else { Err(ProfileError::Inconsistent(faults)) }
    }

    fn faults(&self) -> Vec<&'static str> {
        let refusal = |status: &u16| matches!(status, 304 | 400..=499);
        let mut faults = Vec::new();
        if self.name.is_empty() {
            faults.push("`name` is empty");
        }
        if self.create_refused.is_empty() || !self.create_refused.iter().all(refusal) {
            faults.push("`create_refused` lists the statuses of a refusal: 304 or 4xx, at least one");
        }
        if self.stale.is_empty() || !self.stale.iter().all(refusal) {
            faults.push("`stale` lists the statuses of a refusal: 304 or 4xx, at least one");
        }
        if self.request_lifetime_max_seconds == 0 {
            faults.push("`request_lifetime_max_seconds` is at least 1");
        }
        if self.concurrency_max == 0 {
            faults.push("`concurrency_max` is at least 1");
        }
        if self.history == History::None && !self.keeps_stamp {
            faults.push("without a history and without a stamp an unknown outcome cannot be settled");
        }
        faults
    }

    /// Whether `after` is the number right behind `before`; none where version ids say nothing of the kind.
    pub fn follows(&self, before: &str, after: &str) -> Option<bool> {
        let number = |version: &str| version.parse::<u64>().ok();
        match self.version_ids {
            VersionIds::Numbers => Some(number(before)?.checked_add(1)? == number(after)?),
            VersionIds::Opaque => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profiles_of_the_binary_are_read_and_named_as_they_are_asked_for() {
        for (name, _) in BUILTIN {
            assert_eq!(Profile::builtin(name).map(|profile| profile.name), Ok(name.to_owned()));
        }
        let unknown = Profile::builtin("medplum").unwrap_err().to_string();
        assert!(unknown.contains("medplum") && unknown.contains("sandbox, hapi"), "{unknown}");
    }

    #[test]
    fn an_unknown_or_a_missing_key_is_refused() {
        let text = BUILTIN[0].1;
        let more = Profile::parse(&format!("{text}\nretries = 3\n")).unwrap_err();
        assert!(more.to_string().contains("retries"), "{more}");
        let less = Profile::parse(&text.replace("keeps_stamp", "# keeps_stamp")).unwrap_err();
        assert!(less.to_string().contains("keeps_stamp"), "{less}");
    }

    #[test]
    fn a_profile_that_contradicts_itself_says_all_of_it() {
        let text = BUILTIN[0].1.replace("stale = [412]", "stale = []").replace("= 60", "= 0");
        let Err(ProfileError::Inconsistent(faults)) = Profile::parse(&text) else { panic!("it was taken") };
        assert_eq!(faults.len(), 2);
    }

    #[test]
    fn a_number_follows_another_and_an_opaque_id_says_nothing() {
        let mut profile = Profile::builtin("hapi").unwrap();
        assert_eq!((profile.follows("1", "2"), profile.follows("2", "4")), (Some(true), Some(false)));
        assert_eq!(profile.follows("x", "2"), None);
        profile.version_ids = VersionIds::Opaque;
        assert_eq!(profile.follows("1", "2"), None);
    }
}
