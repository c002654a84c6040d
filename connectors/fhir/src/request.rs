//! What leaves: method, URL, headers, body. Pure.
//!
//! * A create carries the guard that the profile proves, an update and a DELETE carry `If-Match` (J26).
//! * Every write carries the request's stamp in `X-Request-Id`, the same at every attempt (J28).
//! * Every look-up carries `Cache-Control: no-cache` (J27), and goes to our own server: a link to another is not followed.

use crate::{client::Call, config::Options, error::Error, token::Token};
use bytes::Bytes;
use model::{ResourceType, Unit, Write};
use ports::{SendBase, SendRequest};
use reqwest::{
    Method, Url,
    header::{
        ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH,
    },
};
use schemas::profile::CreateGuard;
use std::sync::Arc;

const FHIR_JSON: HeaderValue = HeaderValue::from_static("application/fhir+json");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Versions on a page of an instance's history: most outcomes are settled by the newest.
const VERSIONS_OF_A_PAGE: u32 = 20;
/// Resources on a page of a type.
const RESOURCES_OF_A_PAGE: u32 = 200;

/// What must stand at the target for a write to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Guard<'a> {
    /// Nothing is asked: only the probe writes so, at its own place.
    Bare,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match: W/"…"`.
    Version(&'a str),
}

/// Makes requests to one server.
pub(crate) struct Requests {
    base: Url,
    base_text: String,
    token: Arc<Token>,
    create_guard: CreateGuard,
}

impl Requests {
    /// For the server of these options.
    pub(crate) fn new(options: &Options, token: Arc<Token>) -> Result<Requests, Error> {
        let wrong = |_| Error::Unusable("base_url cannot stand in a request".to_owned());
        Ok(Requests {
            base: Url::parse(&options.base_url).map_err(wrong)?,
            base_text: options.base_url.clone(),
            token,
            create_guard: options.profile.create_guard,
        })
    }

    /// The write that an effect intends, guarded.
    pub(crate) fn write(&self, request: &SendRequest) -> Result<Call, Error> {
        let path = path(&request.unit);
        let guard = match &request.base {
            SendBase::Create => self.create_guard(),
            SendBase::Version(version) => Guard::Version(version),
            // Where zero guards a create, a deletion is guarded by its own version (HAPI, measured); elsewhere a deletion
            // is an absence.
            SendBase::Deleted(version) if self.create_guard == CreateGuard::IfMatchZero => Guard::Version(version),
            SendBase::Deleted(_) => self.create_guard(),
        };
        match request.write {
            Write::Put => {
                self.put(&path, guard, request.request.as_str(), Bytes::from_owner(Arc::clone(&request.body)))
            }
            Write::Delete => self.delete(&path, guard, request.request.as_str()),
        }
    }

    /// The guard of a create, as the profile names it.
    pub(crate) fn create_guard(&self) -> Guard<'static> {
        match self.create_guard {
            CreateGuard::IfMatchZero => Guard::Version("0"),
            // A profile with GET first is refused with the configuration.
            CreateGuard::IfNoneMatch | CreateGuard::GetFirst => Guard::Absent,
        }
    }

    /// PUT of a whole resource.
    pub(crate) fn put(&self, path: &str, guard: Guard<'_>, stamp: &str, body: Bytes) -> Result<Call, Error> {
        let mut call = self.call(Method::PUT, format!("{}/{path}", self.base_text), body);
        call.headers.insert(CONTENT_TYPE, FHIR_JSON);
        call.headers.insert(PREFER, HeaderValue::from_static("return=minimal"));
        guarded(&mut call.headers, guard, stamp)?;
        Ok(call)
    }

    /// DELETE of a resource; a guard of absence makes no sense there and is left out.
    pub(crate) fn delete(&self, path: &str, guard: Guard<'_>, stamp: &str) -> Result<Call, Error> {
        let mut call = self.call(Method::DELETE, format!("{}/{path}", self.base_text), Bytes::new());
        let guard = if guard == Guard::Absent { Guard::Bare } else { guard };
        guarded(&mut call.headers, guard, stamp)?;
        Ok(call)
    }

    /// The current version of a resource.
    pub(crate) fn current(&self, path: &str) -> Call {
        self.get(format!("{}/{path}", self.base_text))
    }

    /// One version of a resource, by its number.
    pub(crate) fn version(&self, path: &str, version: &str) -> Call {
        self.get(format!("{}/{path}/_history/{version}", self.base_text))
    }

    /// The first page of an instance's history, newest first. HAPI counts a history once, keeps the count for a minute and
    /// shows no more versions than that, so that the oldest are missing (its issue 7897; measured); it does not count
    /// where a time is named, so the beginning of time is.
    pub(crate) fn history(&self, path: &str) -> Call {
        let query = format!("_since=1970-01-01T00:00:00Z&_count={VERSIONS_OF_A_PAGE}");
        self.get(format!("{}/{path}/_history?{query}", self.base_text))
    }

    /// The first page of a type's current resources. A parameter that the server does not know is to be refused: ignored,
    /// it could widen the answer.
    pub(crate) fn list(&self, kind: &ResourceType) -> Call {
        let mut call = self.get(format!("{}/{kind}?_count={RESOURCES_OF_A_PAGE}", self.base_text));
        call.headers.insert(PREFER, HeaderValue::from_static("handling=strict"));
        call
    }

    /// What the server says it can do; without our token, which it must not need for that.
    pub(crate) fn metadata(&self) -> Call {
        let mut call = self.get(format!("{}/metadata", self.base_text));
        call.headers.remove(AUTHORIZATION);
        call
    }

    /// A page that the server named. Servers behind a proxy name themselves by another address: the path counts, and it
    /// is asked at ours, so that the token goes nowhere else.
    pub(crate) fn follow(&self, link: &str) -> Result<Call, Error> {
        // A relative link is meant below the base, which a URL takes for a file.
        let below = Url::parse(&format!("{}/", self.base_text)).and_then(|base| base.join(link));
        let mut url = below.map_err(|_| Error::Malformed("the link to the next page is not a URL"))?;
        if !url.path().starts_with(self.base.path()) {
            return Err(Error::ForeignLink);
        }
        let ours = url.set_scheme(self.base.scheme()).is_ok()
            && url.set_host(self.base.host_str()).is_ok()
            && url.set_port(self.base.port()).is_ok()
            && url.set_username("").is_ok()
            && url.set_password(None).is_ok();
        if ours { Ok(self.get(url.into())) } else { Err(Error::ForeignLink) }
    }

    fn get(&self, url: String) -> Call {
        let mut call = self.call(Method::GET, url, Bytes::new());
        call.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        call
    }

    fn call(&self, method: Method, url: String, body: Bytes) -> Call {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(ACCEPT, FHIR_JSON);
        if let Some(token) = self.token.header() {
            headers.insert(AUTHORIZATION, token);
        }
        Call { method, url, headers, body }
    }
}

/// A guard that cannot be written is an error: the write must not leave without it.
fn guarded(headers: &mut HeaderMap, guard: Guard<'_>, stamp: &str) -> Result<(), Error> {
    let unwritable = || Error::Unusable("a version id or stamp cannot stand in a header".to_owned());
    match guard {
        Guard::Bare => {}
        Guard::Absent => {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        Guard::Version(version) if version.is_empty() || version.contains('"') => return Err(unwritable()),
        Guard::Version(version) => {
            let tag = HeaderValue::try_from(format!("W/\"{version}\"")).map_err(|_| unwritable())?;
            headers.insert(IF_MATCH, tag);
        }
    }
    headers.insert(REQUEST_ID, HeaderValue::from_str(stamp).map_err(|_| unwritable())?);
    Ok(())
}

/// `Type/id` of a unit; both are ours and need no escape.
pub(crate) fn path(unit: &Unit) -> String {
    unit.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use model::{EffectId, Hash, UnitId};
    use ports::Secret;
    use schemas::Profile;

    fn requests(profile: &str, base_url: &str) -> Requests {
        let config: Config =
            toml::from_str(&format!("base_url = \"{base_url}\"\nprofile = \"p\"\nstamp_uri = \"urn:x\"")).unwrap();
        let profile = Profile::builtin(profile).unwrap();
        let options = config.options(profile, Some(Secret::new("t")), None, Vec::new()).unwrap();
        Requests::new(&options, Arc::new(Token::new(&options).unwrap())).unwrap()
    }

    fn request(write: Write, base: SendBase) -> SendRequest {
        let effect = EffectId(Hash::of(b"e"));
        let unit = Unit { resource_type: "Patient".into(), id: UnitId::from_bytes([7; 16]) };
        let (body, body_hash) = (b"{}".as_slice().into(), Hash::default());
        SendRequest { effect, request: effect.request(), unit, write, base, body, body_hash, attempt: 1 }
    }

    fn header<'c>(call: &'c Call, name: &str) -> Option<&'c str> {
        call.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_create_carries_the_guard_of_its_profile() {
        for (profile, name, value) in [("sandbox", "if-none-match", "*"), ("hapi", "if-match", "W/\"0\"")] {
            let call = requests(profile, "https://h/r4").write(&request(Write::Put, SendBase::Create)).unwrap();
            assert_eq!((call.method.as_str(), header(&call, name)), ("PUT", Some(value)));
            assert_eq!(call.url, "https://h/r4/Patient/07070707-0707-0707-0707-070707070707");
            assert_eq!(header(&call, "authorization"), Some("Bearer t"));
            assert_eq!(header(&call, "content-type"), Some("application/fhir+json"));
        }
    }

    #[test]
    fn an_update_and_a_delete_carry_the_version_and_the_same_stamp_at_every_attempt() {
        let requests = requests("sandbox", "https://h/r4");
        for write in [Write::Put, Write::Delete] {
            let mut again = request(write, SendBase::Version("7".into()));
            let first = requests.write(&again).unwrap();
            again.attempt = 2;
            let second = requests.write(&again).unwrap();
            assert_eq!(header(&first, "if-match"), Some("W/\"7\""));
            assert_eq!(header(&first, "x-request-id"), header(&second, "x-request-id"));
            assert_eq!(header(&first, "x-request-id").unwrap().len(), 16);
        }
    }

    #[test]
    fn a_write_whose_guard_cannot_be_written_does_not_leave() {
        let requests = requests("sandbox", "https://h/r4");
        for version in ["", "1\"", "1\n"] {
            assert!(requests.write(&request(Write::Put, SendBase::Version(version.into()))).is_err());
        }
    }

    #[test]
    fn look_ups_go_past_every_cache_and_to_our_server_alone() {
        let requests = requests("hapi", "https://h:8443/r4");
        let history = requests.history("Patient/1");
        assert_eq!(header(&history, "cache-control"), Some("no-cache"));
        assert!(history.url.contains("_since="), "HAPI shows no more versions than it counted before");
        let url = |link: &str| requests.follow(link).map(|call| call.url).map_err(|error| error.to_string());
        assert_eq!(url("http://inner:8080/r4?_getpages=x").unwrap(), "https://h:8443/r4?_getpages=x");
        assert_eq!(url("Patient?_count=2").unwrap(), "https://h:8443/r4/Patient?_count=2");
        assert!(url("https://elsewhere/other?x").is_err());
        assert!(header(&requests.metadata(), "authorization").is_none());
    }
}
