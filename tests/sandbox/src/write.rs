//! PUT and DELETE.
//!
//! Checks what can be checked before the lock; guard, references and commit are one step under it. Invariants:
//! * What is stored is what was sent, number by number, save `id`, `meta.versionId`, `meta.lastUpdated`, and like HAPI `meta.source`.
//! * A refused write leaves no trace.

use crate::Like;
use crate::json::{Json, write_member, write_text};
use crate::reply::{Reply, instant};
use crate::rules::{self, Condition, Delete, Put, Refusal, Standing};
use crate::store::{Inner, Store, Version, What};
use crate::strict::{self, Findings, Rigour};
use schemas::r4::ElementTable;

/// What a write comes with, beside its body.
pub struct Target<'a> {
    pub like: Like,
    /// The server's base, without a slash at its end.
    pub base: &'a str,
    pub type_name: &'static str,
    pub id: &'a str,
    pub if_match: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
    /// The request's name, sent or made up.
    pub request_id: &'a str,
}

impl Target<'_> {
    fn condition(&self) -> Result<Condition, Reply> {
        rules::condition(self.like, self.if_match, self.if_none_match)
            .map_err(|why| Reply::outcome(400, "invalid", why))
    }

    fn refused(&self, refusal: Refusal) -> Reply {
        Reply::outcome(refusal.status, refusal.code, refusal.text)
    }
}

/// Creates or updates the resource with the id of the URL.
pub fn put(store: &Store, target: &Target<'_>, body: &[u8]) -> Reply {
    prepare(target, body).and_then(|made| commit(store, target, &made)).unwrap_or_else(|refused| refused)
}

/// A body that has passed everything but the guard and its references.
struct Prepared<'a> {
    condition: Condition,
    json: Json<'a>,
    /// Members of `meta` that are the sender's, each with a comma before it.
    meta: String,
    /// Everything else, each member with a comma before it.
    rest: String,
    links: Vec<Link>,
}

/// A reference to a resource of this server.
struct Link {
    path: String,
    type_name: &'static str,
    id: String,
}

fn prepare<'a>(target: &Target<'_>, body: &'a [u8]) -> Result<Prepared<'a>, Reply> {
    let condition = target.condition()?;
    let mut json = Json::parse(body).map_err(|bad| Reply::outcome(400, "structure", &bad.to_string()))?;
    let named = json.get("resourceType").and_then(Json::text);
    if named.as_deref() != Some(target.type_name) {
        return Err(Reply::outcome(400, "invalid", "resourceType is not the type of the URL"));
    }
    same_id(target, &json)?;
    let found = match target.like {
        Like::Spec => strict::check(&json, target.type_name, Rigour::Strict),
        Like::Hapi => {
            strict::prune(&mut json, target.type_name);
            strict::check(&json, target.type_name, Rigour::Parser)
        }
    };
    if !found.issues.is_empty() {
        return Err(unprocessable(target.like, &found, &json));
    }
    let links = links(target, &json, found)?;
    let (meta, rest) = stored(target, &json);
    Ok(Prepared { condition, json, meta, rest, links })
}

fn same_id(target: &Target<'_>, json: &Json<'_>) -> Result<(), Reply> {
    match (json.get("id").and_then(Json::text), target.like) {
        (Some(id), _) if id == target.id => Ok(()),
        (_, Like::Spec) => Err(Reply::outcome(400, "invalid", "the body's id is not the id of the URL")),
        (None, Like::Hapi) => Err(Reply::outcome(
            400,
            "processing",
            "HAPI-0419: Can not update resource, resource body must contain an ID element for update (PUT) operation",
        )),
        (Some(id), Like::Hapi) => {
            let text = format!(
                "HAPI-0420: Can not update resource, resource body must contain an ID element which matches the request URL for update (PUT) operation - Resource body ID of \"{id}\" does not match URL ID of \"{}\"",
                target.id
            );
            Err(Reply::outcome(400, "processing", &text))
        }
    }
}

/// Spec: 422 with paths and rules. HAPI: 400 with the value in its text, as the real one does: whoever logs it, leaks.
fn unprocessable(like: Like, found: &Findings<'_>, json: &Json<'_>) -> Reply {
    match (like, found.issues.first()) {
        (Like::Hapi, Some(issue)) => {
            let element = issue.path.rsplit('.').next().unwrap_or_default();
            let value = json.get(element).and_then(Json::text).unwrap_or_default();
            let text =
                format!("HAPI-1821: [element=\"{element}\"] Invalid attribute value \"{value}\": {}", issue.rule);
            Reply::outcome(400, "processing", &text)
        }
        _ => Reply::issues(422, &found.issues),
    }
}

/// The references that this server must be able to follow.
fn links(target: &Target<'_>, json: &Json<'_>, found: Findings<'_>) -> Result<Vec<Link>, Reply> {
    let mut links = Vec::new();
    for reference in found.references {
        let wrong = |why: &str| Reply::outcome(422, "value", &format!("{}: {why}", reference.path));
        if let Some(inner) = reference.target.strip_prefix('#') {
            if !(inner.is_empty() || contains(json, inner)) && target.like == Like::Spec {
                return Err(wrong("no contained resource has that id"));
            }
            continue;
        }
        let own = reference.target.strip_prefix(target.base).and_then(|rest| rest.strip_prefix('/'));
        let local = own.unwrap_or(&reference.target);
        if own.is_none() && (local.contains("://") || local.starts_with("urn:")) {
            continue;
        }
        let mut steps = local.split('/');
        let type_name = steps.next().and_then(|name| ElementTable::r4().resource_type(name));
        let id = steps.next().filter(|id| crate::primitives::is_id(id));
        let (Some(type_name), Some(id)) = (type_name, id) else {
            return Err(wrong("not a reference that this server can follow"));
        };
        if target.like == Like::Spec && !reference.allowed.is_empty() && !reference.allowed.contains(&type_name) {
            return Err(wrong("may not point at that resource type"));
        }
        links.push(Link { path: reference.path, type_name, id: id.to_owned() });
    }
    Ok(links)
}

fn contains(json: &Json<'_>, id: &str) -> bool {
    let Some(Json::Array(inner)) = json.get("contained") else { return false };
    inner.iter().any(|resource| resource.get("id").and_then(Json::text).as_deref() == Some(id))
}

/// The sender's part of `meta`, and the rest of the body.
fn stored(target: &Target<'_>, json: &Json<'_>) -> (String, String) {
    let (mut meta, mut rest) = (String::new(), String::new());
    let mut source = None;
    let Json::Object(members) = json else { return (meta, rest) };
    for (name, value) in members {
        match (*name, value) {
            ("resourceType" | "id", _) => {}
            ("meta", Json::Object(members)) => {
                for (name, value) in members {
                    match *name {
                        "versionId" | "lastUpdated" => {}
                        "source" if target.like == Like::Hapi => source = value.text(),
                        _ => {
                            meta.push(',');
                            write_member(&mut meta, name, value);
                        }
                    }
                }
            }
            _ => {
                rest.push(',');
                write_member(&mut rest, name, value);
            }
        }
    }
    if target.like == Like::Hapi {
        // HAPI keeps the URI, and stamps it with the request that wrote this version.
        let uri = source.as_deref().unwrap_or_default().split('#').next().unwrap_or_default();
        meta.push_str(",\"source\":");
        write_text(&mut meta, &format!("{uri}#{}", target.request_id));
    }
    (meta, rest)
}

fn commit(store: &Store, target: &Target<'_>, made: &Prepared<'_>) -> Result<Reply, Reply> {
    let (type_name, id) = (target.type_name, target.id);
    let mut inner = store.lock();
    let standing = inner.standing(type_name, id);
    let status = match rules::put(target.like, standing, &made.condition) {
        Put::Create => 201,
        Put::Update => 200,
        // A refusal tells what stands there, so it too waits for that to be durable.
        Put::Refuse(refusal) => return Err(target.refused(refusal).behind(inner.seq())),
    };
    dangling(&inner, target, &made.links)?;
    if target.like == Like::Hapi
        && let Some(current) = inner.versions(type_name, id).last()
        && unchanged(made, current)
    {
        let body = body(target, made, current.number, current.at);
        return Ok(written(target, 200, current, body.into()));
    }
    let version =
        store.add(&mut inner, type_name, id, |number, at| What::Put { body: body(target, made, number, at).into() });
    let bytes = version.body().cloned().unwrap_or_default();
    Ok(written(target, status, &version, bytes))
}

fn dangling(inner: &Inner, target: &Target<'_>, links: &[Link]) -> Result<(), Reply> {
    for link in links {
        let itself = link.type_name == target.type_name && link.id == target.id;
        if itself || matches!(inner.standing(link.type_name, &link.id), Standing::Live(_)) {
            continue;
        }
        let refused = match target.like {
            Like::Spec => {
                Reply::outcome(422, "not-found", &format!("{}: points at a resource that is not here", link.path))
            }
            Like::Hapi => {
                let text = format!(
                    "HAPI-1094: Resource {}/{} not found, specified in path: {}",
                    link.type_name, link.id, link.path
                );
                Reply::outcome(400, "processing", &text)
            }
        };
        return Err(refused.behind(inner.seq()));
    }
    Ok(())
}

/// Whether a body says what stands there already, stamps aside.
fn unchanged(made: &Prepared<'_>, current: &Version) -> bool {
    let Some(Ok(held)) = current.body().map(|body| Json::parse(body)) else { return false };
    content(&made.json).same_as(&content(&held))
}

/// A body without what a server stamps into it.
fn content<'a>(json: &Json<'a>) -> Json<'a> {
    let Json::Object(members) = json else { return Json::Null };
    let mut members = members.clone();
    for (name, value) in &mut members {
        if let ("meta", Json::Object(meta)) = (*name, value) {
            meta.retain(|(name, _)| !matches!(*name, "versionId" | "lastUpdated" | "source"));
        }
    }
    members.retain(|(name, value)| !(*name == "meta" && matches!(value, Json::Object(meta) if meta.is_empty())));
    Json::Object(members)
}

fn body(target: &Target<'_>, made: &Prepared<'_>, version: u64, at: i64) -> String {
    format!(
        "{{\"resourceType\":\"{}\",\"id\":\"{}\",\"meta\":{{\"versionId\":\"{version}\",\"lastUpdated\":\"{}\"{}}}{}}}",
        target.type_name,
        target.id,
        instant(at),
        made.meta,
        made.rest
    )
}

fn written(target: &Target<'_>, status: u16, version: &Version, body: bytes::Bytes) -> Reply {
    Reply {
        status,
        body,
        version: Some(version.number),
        modified: Some(version.at),
        location: Some(Box::from(format!(
            "{}/{}/{}/_history/{}",
            target.base, target.type_name, target.id, version.number
        ))),
        header: None,
        behind: version.seq,
    }
}

/// Deletes the resource: a version without content.
pub fn delete(store: &Store, target: &Target<'_>) -> Reply {
    let condition = match target.condition() {
        Ok(condition) => condition,
        Err(refused) => return refused,
    };
    let mut inner = store.lock();
    let seq = inner.seq();
    match rules::delete(target.like, inner.standing(target.type_name, target.id), &condition) {
        Delete::Refuse(refusal) => target.refused(refusal).behind(seq),
        Delete::Nothing(404) => Reply::outcome(404, "not-found", "no resource has that id"),
        Delete::Nothing(204) => Reply { status: 204, ..Reply::default() }.behind(seq),
        Delete::Nothing(status) => {
            Reply::outcome(status, "informational", "Not deleted, resource does not exist.").behind(seq)
        }
        Delete::Write => {
            let version = store.add(&mut inner, target.type_name, target.id, |_, _| What::Deleted);
            let mut reply = match target.like {
                Like::Spec => Reply { status: 204, ..Reply::default() },
                Like::Hapi => Reply::outcome(200, "informational", "Successfully deleted 1 resource(s)."),
            };
            (reply.version, reply.modified, reply.behind) = (Some(version.number), Some(version.at), version.seq);
            reply
        }
    }
}
