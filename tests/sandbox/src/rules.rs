//! What a guard answers: pure, one function a method and flag.
//!
//! Spec: HTTP's conditional requests as FHIR R4 uses them. A deleted resource has no current representation: `If-None-Match: *`
//! lets it be created anew, `If-Match` fails. Hapi: what HAPI FHIR JPA 8.8.0 was measured to answer.

use crate::Like;

/// What stands at an id, with its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Missing,
    Live(u64),
    Deleted(u64),
}

/// The condition of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The version that `If-Match` names.
    pub if_match: Option<String>,
    /// Whether `If-None-Match: *` was sent.
    pub if_none_match_any: bool,
}

/// What becomes of a PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Create,
    Update,
    Refuse(Refusal),
}

/// What becomes of a DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delete {
    Write,
    /// It is gone already, or never was: nothing is written.
    Nothing(u16),
    Refuse(Refusal),
}

/// A refusal by a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub text: &'static str,
}

const STALE: Refusal =
    Refusal { status: 412, code: "conflict", text: "If-Match names another version than the current one" };
const ABSENT: Refusal = Refusal { status: 412, code: "conflict", text: "If-Match, but there is no current version" };
const EXISTS: Refusal = Refusal { status: 412, code: "duplicate", text: "If-None-Match: *, but the resource exists" };
const HAPI_STALE: Refusal = Refusal {
    status: 409,
    code: "processing",
    text: "HAPI-0989: Trying to update a resource with a version that is not the current version",
};

/// The condition, read from the headers' text. Spec takes entity tags only, HAPI a bare number too.
pub fn condition(like: Like, if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Condition, &'static str> {
    let if_match = match if_match {
        None => None,
        Some(tag) => {
            Some(version_of(tag.trim(), like).ok_or("If-Match is not an entity tag such as W/\"1\"")?.to_owned())
        }
    };
    let if_none_match_any = match (if_none_match.map(str::trim), like) {
        (None, _) => false,
        (Some("*"), _) => true,
        (Some(_), Like::Hapi) => false,
        (Some(_), Like::Spec) => return Err("If-None-Match of a write can only be *"),
    };
    Ok(Condition { if_match, if_none_match_any })
}

/// The version in an entity tag: `W/"3"`, `"3"`, and like HAPI also `3`.
pub fn version_of(tag: &str, like: Like) -> Option<&str> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    match tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) {
        Some(version) => Some(version),
        None => (like == Like::Hapi && !tag.is_empty()).then_some(tag),
    }
}

/// What becomes of a PUT to an id at which `standing` is.
pub fn put(like: Like, standing: Standing, condition: &Condition) -> Put {
    let named = condition.if_match.as_deref();
    let is = |version: u64| named.is_none_or(|named| named == version.to_string());
    match (like, standing) {
        (Like::Spec, Standing::Live(_)) if condition.if_none_match_any => Put::Refuse(EXISTS),
        (Like::Spec, Standing::Live(version)) if is(version) => Put::Update,
        (Like::Spec, Standing::Live(_)) => Put::Refuse(STALE),
        (Like::Spec, Standing::Missing | Standing::Deleted(_)) if named.is_some() => Put::Refuse(ABSENT),
        (Like::Spec, Standing::Missing | Standing::Deleted(_)) => Put::Create,
        // If-None-Match is not looked at, and If-Match does not protect what is not there.
        (Like::Hapi, Standing::Missing) => Put::Create,
        (Like::Hapi, Standing::Live(version)) if is(version) => Put::Update,
        (Like::Hapi, Standing::Deleted(version)) if is(version) => Put::Create,
        (Like::Hapi, Standing::Live(_) | Standing::Deleted(_)) => Put::Refuse(HAPI_STALE),
    }
}

/// What becomes of a DELETE of an id at which `standing` is.
pub fn delete(like: Like, standing: Standing, condition: &Condition) -> Delete {
    let named = condition.if_match.as_deref();
    match (like, standing) {
        (Like::Spec, Standing::Live(version)) => {
            if named.is_none_or(|named| named == version.to_string()) {
                Delete::Write
            } else {
                Delete::Refuse(STALE)
            }
        }
        (Like::Spec, Standing::Missing | Standing::Deleted(_)) if named.is_some() => Delete::Refuse(ABSENT),
        (Like::Spec, Standing::Deleted(_)) => Delete::Nothing(204),
        (Like::Spec, Standing::Missing) => Delete::Nothing(404),
        (Like::Hapi, Standing::Live(_)) => Delete::Write,
        (Like::Hapi, Standing::Missing | Standing::Deleted(_)) => Delete::Nothing(200),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDINGS: [Standing; 3] = [Standing::Missing, Standing::Live(2), Standing::Deleted(2)];

    fn puts(like: Like, if_match: Option<&str>, if_none_match: Option<&str>) -> Vec<u16> {
        let condition = condition(like, if_match, if_none_match).unwrap();
        let status = |standing| match put(like, standing, &condition) {
            Put::Create => 201,
            Put::Update => 200,
            Put::Refuse(refusal) => refusal.status,
        };
        STANDINGS.into_iter().map(status).collect()
    }

    fn deletes(like: Like, if_match: Option<&str>) -> Vec<(bool, u16)> {
        let condition = condition(like, if_match, None).unwrap();
        let status = |standing| match delete(like, standing, &condition) {
            Delete::Write => (true, 0),
            Delete::Nothing(status) => (false, status),
            Delete::Refuse(refusal) => (false, refusal.status),
        };
        STANDINGS.into_iter().map(status).collect()
    }

    #[test]
    fn every_guard_over_every_standing() {
        // missing, live at 2, deleted at 2
        for (if_match, if_none_match, spec, hapi) in [
            (None, None, [201, 200, 201], [201, 200, 201]),
            (None, Some("*"), [201, 412, 201], [201, 200, 201]),
            (Some("W/\"0\""), None, [412, 412, 412], [201, 409, 409]),
            (Some("W/\"1\""), None, [412, 412, 412], [201, 409, 409]),
            (Some("W/\"2\""), None, [412, 200, 412], [201, 200, 201]),
            (Some("\"2\""), None, [412, 200, 412], [201, 200, 201]),
        ] {
            assert_eq!(puts(Like::Spec, if_match, if_none_match), spec, "spec {if_match:?} {if_none_match:?}");
            assert_eq!(puts(Like::Hapi, if_match, if_none_match), hapi, "hapi {if_match:?} {if_none_match:?}");
        }
        assert_eq!(deletes(Like::Spec, None), [(false, 404), (true, 0), (false, 204)]);
        assert_eq!(deletes(Like::Spec, Some("W/\"1\"")), [(false, 412), (false, 412), (false, 412)]);
        assert_eq!(deletes(Like::Hapi, Some("W/\"1\"")), [(false, 200), (true, 0), (false, 200)]);
    }

    #[test]
    fn only_hapi_takes_a_bare_version() {
        assert_eq!(version_of("3", Like::Hapi), Some("3"));
        assert_eq!(version_of("3", Like::Spec), None);
        assert!(condition(Like::Spec, Some("3"), None).is_err());
    }
}
