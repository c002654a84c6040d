//! The idle heartbeat (J35): does the server answer, does it let us in, and is what we wrote last still what stands?
//!
//! Reads one resource, its history only where another version stands than the one we know, and our own version by its
//! number only where that history does not list it: a server may count a history once and leave out the oldest for a while
//! (HAPI), and that a target went back in time is an alarm that stays. Writes nothing.

use crate::{error::Error, request, sink::FhirSink};
use model::ResourceType;
use ports::{Look, Version, Written};
use schemas::{
    Profile,
    profile::{History, VersionIds},
};

impl FhirSink {
    /// Looks at what was written last, or only whether we are let in.
    pub(crate) async fn look_at(&self, written: Option<Written>) -> Result<Look, Error> {
        let Some(written) = written else { return self.let_in().await.map(|()| Look::Answered) };
        let (path, profile) = (request::path(&written.unit), &self.options.profile);
        let current = self.reader().current(&path).await?;
        if current.as_ref().is_some_and(|current| is_ours(&written, current, profile)) {
            return Ok(Look::Ours);
        }
        let versions = match profile.history {
            History::Instance => self.reader().versions(&path, Some(&written.version)).await?,
            History::None => current.into_iter().collect(),
        };
        if versions.is_empty() {
            // Nothing where a version was is what any other path of any other server says too.
            self.reader().at_home().await?;
        }
        let listed = versions.is_empty() || versions.iter().any(|version| is_ours(&written, version, profile));
        let own = match profile.history {
            History::Instance if !listed => self.reader().version_at(&path, &written.version).await?,
            History::Instance | History::None => None,
        };
        Ok(judge(&written, &versions, own.as_ref(), profile))
    }

    /// A read of what does not exist: the answer says whether we are let in, and shows nobody's data.
    pub(crate) async fn let_in(&self) -> Result<(), Error> {
        let kind = self.options.types.first().map_or("Patient", ResourceType::as_str);
        let answer = self.client.call(self.requests.current(&format!("{kind}/lockstep-check"))).await?;
        match answer.status {
            status @ (401 | 403) => Err(Error::Refused { during: "reading", status }),
            200 | 404 | 410 => Ok(()),
            status => Err(Error::Status { during: "reading", status }),
        }
    }
}

/// What the versions say, newest first, down to ours where it is among them. `own` is what stands at our version's number
/// where it is not.
fn judge(written: &Written, versions: &[Version], own: Option<&Version>, profile: &Profile) -> Look {
    let Some(top) = versions.first() else {
        return if written.exists { Look::Gone(None) } else { Look::Ours };
    };
    let stands = top.version.clone();
    let number = |version: &str| version.parse::<u64>().ok();
    let smaller = profile.version_ids == VersionIds::Numbers && number(&top.version) < number(&written.version);
    let unlisted = own.is_some_and(|own| is_ours(written, own, profile));
    match versions.iter().position(|version| is_ours(written, version, profile)) {
        Some(0) => Look::Ours,
        None if !unlisted && (smaller || profile.history == History::Instance) => Look::Behind(stands),
        Some(_) | None if top.body.is_none() => Look::Gone(Some(stands)),
        Some(_) | None => Look::Foreign(stands),
    }
}

/// The same version id with another stamp is a version of somebody else, written after the server went back in time.
fn is_ours(written: &Written, version: &Version, profile: &Profile) -> bool {
    let stamped = match &written.request {
        Some(request) if profile.keeps_stamp => version.request.as_deref() == Some(request.as_str()),
        Some(_) | None => true,
    };
    version.version == written.version && version.body.is_some() == written.exists && stamped
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{EffectId, Hash, Json, Unit, UnitId};

    fn written(version: &str, exists: bool) -> Written {
        let unit = Unit { resource_type: "Patient".into(), id: UnitId::from_bytes([7; 16]) };
        let request = exists.then(|| EffectId(Hash::of(b"ours")).request());
        Written { unit, version: version.into(), exists, request }
    }

    fn version(version: &str, stamp: Option<&str>, live: bool) -> Version {
        Version { version: version.into(), request: stamp.map(Into::into), body: live.then_some(Json::Null) }
    }

    #[test]
    fn every_past_says_one_thing() {
        let known = written("3", true);
        let stamp = known.request.expect("a stamp");
        let ours = || version("3", Some(stamp.as_str()), true);
        let theirs = |number| version(number, None, true);
        let deletion = |number| version(number, None, false);
        let mut profile = Profile::builtin("hapi").expect("ours");
        for (versions, expected) in [
            (vec![], Look::Gone(None)),
            (vec![ours()], Look::Ours),
            (vec![theirs("5"), theirs("4"), ours()], Look::Foreign("5".into())),
            (vec![deletion("4"), ours()], Look::Gone(Some("4".into()))),
            (vec![theirs("2")], Look::Behind("2".into())),
            (vec![deletion("2")], Look::Behind("2".into())),
            // Restored, and written again by others until the number was the same or more.
            (vec![theirs("3")], Look::Behind("3".into())),
            (vec![theirs("9")], Look::Behind("9".into())),
        ] {
            assert_eq!(judge(&known, &versions, None, &profile), expected);
        }
        assert_eq!(judge(&written("4", false), &[], None, &profile), Look::Ours);
        assert_eq!(judge(&written("4", false), &[deletion("4")], None, &profile), Look::Ours);
        assert_eq!(
            judge(&written("4", false), &[theirs("5"), deletion("4")], None, &profile),
            Look::Foreign("5".into())
        );
        // A history that leaves out its oldest versions proves nothing against ours, if it is there by its number.
        assert_eq!(judge(&known, &[theirs("5"), theirs("4")], Some(&ours()), &profile), Look::Foreign("5".into()));
        assert_eq!(judge(&known, &[deletion("5")], Some(&ours()), &profile), Look::Gone(Some("5".into())));
        assert_eq!(judge(&known, &[theirs("5")], Some(&theirs("3")), &profile), Look::Behind("5".into()));
        assert_eq!(judge(&known, &[theirs("5")], Some(&deletion("3")), &profile), Look::Behind("5".into()));
        let gone = written("4", false);
        assert_eq!(judge(&gone, &[theirs("5")], Some(&deletion("4")), &profile), Look::Foreign("5".into()));
        // Without a history a greater version, or another opaque one, can only be called foreign.
        profile.history = History::None;
        assert_eq!(judge(&known, &[theirs("9")], None, &profile), Look::Foreign("9".into()));
        assert_eq!(judge(&known, &[theirs("2")], None, &profile), Look::Behind("2".into()));
        profile.version_ids = VersionIds::Opaque;
        assert_eq!(judge(&known, &[theirs("2")], None, &profile), Look::Foreign("2".into()));
        assert_eq!(judge(&known, &[deletion("x")], None, &profile), Look::Gone(Some("x".into())));
    }
}
