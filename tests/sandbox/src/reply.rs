//! What goes back: status, headers and body, and the write behind which it may leave.

use crate::json::write_text;
use crate::strict::Issue;
use bytes::Bytes;

/// An answer, before it is HTTP.
#[derive(Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
    /// The version that `ETag` names.
    pub version: Option<u64>,
    /// Milliseconds since 1970, for `Last-Modified`.
    pub modified: Option<i64>,
    pub location: Option<Box<str>>,
    /// Any other header.
    pub header: Option<Box<(&'static str, String)>>,
    /// The answer leaves when this write is durable: what was seen must survive a kill.
    pub behind: u64,
}

impl Reply {
    /// A status and a body.
    pub fn of(status: u16, body: impl Into<Bytes>) -> Reply {
        Reply { status, body: body.into(), ..Reply::default() }
    }

    /// An OperationOutcome with one issue.
    pub fn outcome(status: u16, code: &str, text: &str) -> Reply {
        Reply::of(status, outcome([(code, text, None)].into_iter()))
    }

    /// An OperationOutcome with all that was found.
    pub fn issues(status: u16, issues: &[Issue]) -> Reply {
        Reply::of(status, outcome(issues.iter().map(|issue| (issue.code, &*issue.rule, Some(&*issue.path)))))
    }

    /// The same, behind write number `seq`.
    pub fn behind(mut self, seq: u64) -> Reply {
        self.behind = seq;
        self
    }
}

fn outcome<'a>(issues: impl Iterator<Item = (&'a str, &'a str, Option<&'a str>)>) -> String {
    let mut out = String::from(r#"{"resourceType":"OperationOutcome","issue":["#);
    for (at, (code, text, path)) in issues.enumerate() {
        if at > 0 {
            out.push(',');
        }
        let severity = if code == "informational" { "information" } else { "error" };
        out.push_str(r#"{"severity":""#);
        out.push_str(severity);
        out.push_str(r#"","code":"#);
        write_text(&mut out, code);
        out.push_str(r#","diagnostics":"#);
        match path {
            Some(path) => write_text(&mut out, &format!("{path}: {text}")),
            None => write_text(&mut out, text),
        }
        if let Some(path) = path {
            out.push_str(r#","expression":["#);
            write_text(&mut out, path);
            out.push(']');
        }
        out.push('}');
    }
    out.push_str("]}");
    out
}

/// `2026-11-22T08:00:01.031Z`
pub fn instant(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map_or_else(|_| "1970-01-01T00:00:00.000Z".to_owned(), |at| format!("{at:.3}"))
}

/// `Sun, 22 Nov 2026 08:00:01 GMT`
pub fn http_date(at: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
