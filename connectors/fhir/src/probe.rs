//! `check --probe`: tries at one place what the profile says of the server (J26).
//!
//! Writes only the resource that the server's owner named as `probe`, never another one (clinical S14), and deletes it in
//! the end. What it finds is a list of faults, each naming the key of the profile that is wrong.

use crate::{client::Answer, error::Error, readback::expect_ok, request::Guard, sink::FhirSink};
use bytes::Bytes;
use model::{Hash, Json};
use ports::{Failure, Fault, Version};
use schemas::profile::{DeleteIfMatch, History};

/// Two languages that the probe's resource changes between: a change that says nothing about anybody.
const LANGUAGES: [&str; 2] = ["en", "de"];

/// The probe at its place.
struct Probe<'a> {
    sink: &'a FhirSink,
    path: String,
    kind: &'a str,
    id: &'a str,
    /// Which of [`LANGUAGES`] the resource has now.
    language: usize,
    faults: Vec<Fault>,
}

impl FhirSink {
    /// Tries the profile; what it says wrongly.
    pub(crate) async fn probe(&self) -> Vec<Fault> {
        let Some(place) = &self.options.probe else {
            let what = "there is no place to probe: `probe` is not set";
            let cure = "agree on one with the server's owner, then set probe = \"Basic/lockstep\"";
            return vec![Fault::new(Failure::Misconfigured, what).cure(cure)];
        };
        let mut probe = Probe {
            sink: self,
            path: place.path(),
            kind: place.resource_type.as_str(),
            id: &place.id,
            language: 0,
            faults: Vec::new(),
        };
        if let Err(error) = probe.run().await {
            probe.faults.push(error.into());
        }
        probe.faults
    }
}

impl Probe<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let Some(first) = self.make_it_live().await? else { return Ok(()) };
        self.create_on_existing(&first).await?;
        let Some(second) = self.update().await? else { return Ok(()) };
        self.stale(&first, &second).await?;
        self.past(&first, &second).await?;
        let current = self.no_op(&second).await?;
        self.delete_stale(&first, &current).await
    }

    /// Creates the resource, if it is not there, under the guard of a create.
    async fn make_it_live(&mut self) -> Result<Option<Box<str>>, Error> {
        let guard = match self.sink.reader().current(&self.path).await? {
            Some(Version { version, body: Some(_), .. }) => return self.put_back(version).await,
            // What an earlier probe deleted is made again; a guard of absence may well refuse that.
            Some(Version { body: None, .. }) => Guard::Bare,
            None if self.was_there().await? => Guard::Bare,
            None => self.sink.requests.create_guard(),
        };
        let answer = self.put(guard, 0).await?;
        match (answer.status, answer.version()) {
            (201, Some(version)) => Ok(Some(version)),
            (200 | 201, None) => self
                .wrong("no version comes with a success", "without ETag this version cannot guard an update")
                .map(|()| None),
            (401 | 403, _) => Err(Error::Refused { during: "writing the probe", status: answer.status }),
            (status, _) => {
                let what = format!("a guarded create of {} where nothing is answers HTTP {status}, not 201", self.path);
                self.wrong(&what, "correct `create_guard` in the profile, or have create by update enabled there")
                    .map(|()| None)
            }
        }
    }

    /// What an earlier probe left behind gets the first language, so that the next change is one.
    async fn put_back(&self, version: Box<str>) -> Result<Option<Box<str>>, Error> {
        let answer = self.put(Guard::Version(&version), 0).await?;
        Ok(Some(expect_ok(answer, "writing the probe")?.version().unwrap_or(version)))
    }

    async fn was_there(&self) -> Result<bool, Error> {
        match self.sink.options.profile.history {
            History::Instance => Ok(!self.sink.reader().versions(&self.path, None).await?.is_empty()),
            History::None => Ok(false),
        }
    }

    async fn create_on_existing(&mut self, first: &str) -> Result<(), Error> {
        let answer = self.put(self.sink.requests.create_guard(), 1).await?;
        let stands = self.stands().await?;
        if stands.as_deref() != Some(first) {
            self.language = 1;
            let what = format!(
                "the create guard does not hold: an existing resource was overwritten (HTTP {})",
                answer.status
            );
            return self.wrong(&what, "correct `create_guard` in the profile: if_none_match or if_match_zero");
        }
        self.status(&answer, "create_refused", &self.sink.options.profile.create_refused)
    }

    /// An update under the version that stands.
    async fn update(&mut self) -> Result<Option<Box<str>>, Error> {
        let Some(stands) = self.stands().await? else {
            return self.wrong("the probe's resource vanished", "nobody else may write there").map(|()| None);
        };
        self.language = 1 - self.language;
        let answer = self.put(Guard::Version(&stands), self.language).await?;
        match (answer.status, answer.version()) {
            (200, Some(version)) if *version != *stands => Ok(Some(version)),
            (status, _) => {
                let what = format!("an update under the current version answers HTTP {status} and no new version");
                self.wrong(&what, "the server must honour If-Match on PUT, and answer with an ETag").map(|()| None)
            }
        }
    }

    async fn stale(&mut self, first: &str, second: &str) -> Result<(), Error> {
        let answer = self.put(Guard::Version(first), 1 - self.language).await?;
        if self.stands().await?.as_deref() != Some(second) {
            let what =
                format!("a stale If-Match is not refused: HTTP {}, and the resource was overwritten", answer.status);
            return self.wrong(&what, "this server cannot be written safely: have versioned updates enabled there");
        }
        self.status(&answer, "stale", &self.sink.options.profile.stale)
    }

    /// Stamp and history of what was just written.
    async fn past(&mut self, first: &str, second: &str) -> Result<(), Error> {
        let profile = &self.sink.options.profile;
        if profile.history == History::Instance {
            let answer = self.sink.client.call(self.sink.requests.history(&self.path)).await?;
            if answer.status != 200 {
                let what = format!("an instance's history answers HTTP {}", answer.status);
                return self.wrong(&what, "correct `history` in the profile, or have it enabled there");
            }
        }
        let versions = self.sink.reader().versions(&self.path, Some(first)).await?;
        let shows = |version: &str| versions.iter().any(|held| *held.version == *version);
        if profile.history == History::Instance && !(shows(first) && shows(second)) {
            return self.wrong(
                "the history does not show every version",
                "set history = \"none\" in the profile, or have it kept there",
            );
        }
        let written = versions.iter().find(|held| *held.version == *second);
        let kept = written.and_then(|held| held.request.as_deref()) == Some(&*stamp(self.language));
        match (profile.keeps_stamp, kept) {
            (true, false) => {
                self.wrong("meta.source does not come back as it was sent", "set keeps_stamp = false in the profile")
            }
            (false, true) => self.wrong(
                "meta.source comes back as it was sent",
                "set keeps_stamp = true in the profile: the stamp is the better proof",
            ),
            (true, true) | (false, false) => Ok(()),
        }
    }

    async fn no_op(&mut self, second: &str) -> Result<Box<str>, Error> {
        let answer = self.put(Guard::Version(second), self.language).await?;
        let version = expect_ok(answer, "writing the probe again")?.version().unwrap_or_else(|| second.into());
        let kept = *version == *second;
        if kept != self.sink.options.profile.no_op_keeps_version {
            let what = if kept { "an equal body keeps the version" } else { "an equal body makes a new version" };
            self.wrong(what, &format!("set no_op_keeps_version = {kept} in the profile"))?;
        }
        Ok(version)
    }

    /// A DELETE under a version that does not stand, then the one that cleans up.
    async fn delete_stale(&mut self, first: &str, current: &str) -> Result<(), Error> {
        let call = self.sink.requests.delete(&self.path, Guard::Version(first), &stamp(2))?;
        let answer = self.sink.client.call(call).await?;
        let honoured = self.stands().await?.is_some();
        match (self.sink.options.profile.delete_if_match, honoured) {
            (DeleteIfMatch::Honoured, false) => {
                let what = format!("a DELETE ignores If-Match: HTTP {}, and the resource is gone", answer.status);
                self.wrong(&what, "set delete_if_match = \"ignored\" in the profile")?;
            }
            (DeleteIfMatch::Ignored, true) => {
                let what = "a DELETE honours If-Match, or the server does not delete";
                self.wrong(what, "set delete_if_match = \"honoured\" in the profile")?;
            }
            (DeleteIfMatch::Honoured, true) | (DeleteIfMatch::Ignored, false) => {}
        }
        if honoured {
            let call = self.sink.requests.delete(&self.path, Guard::Version(current), &stamp(3))?;
            self.sink.client.call(call).await?;
        }
        Ok(())
    }

    /// The version that stands at the place.
    async fn stands(&self) -> Result<Option<String>, Error> {
        let current = self.sink.reader().current(&self.path).await?;
        Ok(current.filter(|held| held.body.is_some()).map(|held| held.version.into()))
    }

    async fn put(&self, guard: Guard<'_>, language: usize) -> Result<Answer, Error> {
        let stamp = stamp(language);
        let body = Bytes::from(self.body(language, &stamp).to_bytes());
        self.sink.client.call(self.sink.requests.put(&self.path, guard, &stamp, body)?).await
    }

    fn body(&self, language: usize, stamp: &str) -> Json {
        let source = format!("{}#{stamp}", self.sink.options.stamp_uri);
        let mut members = vec![
            ("resourceType", Json::text(self.kind)),
            ("id", Json::text(self.id)),
            ("meta", Json::object([("source", Json::text(&source))])),
            ("language", Json::text(LANGUAGES[language])),
        ];
        if self.kind == "Basic" {
            members.push(("code", Json::object([("text", Json::text("Lockstep probe"))])));
        }
        Json::object(members)
    }

    fn status(&mut self, answer: &Answer, key: &str, known: &[u16]) -> Result<(), Error> {
        if known.contains(&answer.status) {
            return Ok(());
        }
        let what = format!("the refusal is HTTP {}, which `{key}` in the profile does not name", answer.status);
        self.wrong(&what, &format!("add {} to `{key}`", answer.status))
    }

    fn wrong(&mut self, what: &str, cure: &str) -> Result<(), Error> {
        let profile = &self.sink.options.profile.name;
        self.faults.push(Fault::new(Failure::Misconfigured, format!("profile `{profile}`: {what}")).cure(cure));
        Ok(())
    }
}

/// A request's name, as long as a real one.
fn stamp(n: usize) -> String {
    let text = Hash::of(format!("lockstep probe {n}").as_bytes()).to_string().to_uppercase();
    text[..16].to_owned()
}
