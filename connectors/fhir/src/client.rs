//! One HTTP client: connections kept and reused, no redirects, answers up to a limit.
//!
//! Never retries, save with a renewed token what was refused for the one before, and never decides what an answer means. It says whether a request can have arrived: one that could not
//! even connect has not, any other without an answer may have.

use crate::{config::Options, error::Error, token::Token};
use bytes::{Bytes, BytesMut};
use model::Json;
use reqwest::{
    Certificate, Method,
    header::{AUTHORIZATION, ETAG, HeaderMap, LOCATION},
    redirect::Policy,
};
use std::{error::Error as _, sync::Arc, time::Duration};

/// An answer may have so many bytes: a page of history holds a few dozen resources.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// A server that takes longer to accept a connection is as good as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most servers close an idle connection after one to five minutes; we are first, so that no request meets a closed one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// A request, made.
#[derive(Clone)]
pub(crate) struct Call {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An answer, whole.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The version that `ETag` names (`W/"3"`, `"3"`, `3`), else the one in `Location`.
    pub(crate) fn version(&self) -> Option<Box<str>> {
        let text = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        text(ETAG).and_then(version_in_tag).or_else(|| text(LOCATION).and_then(version_in_url)).map(Into::into)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Json, Error> {
        Json::parse(&self.body).map_err(|_| Error::Malformed("the body is not JSON"))
    }
}

/// The version in an entity tag.
pub(crate) fn version_in_tag(tag: &str) -> Option<&str> {
    let tag = tag.trim();
    let version = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
    (!version.is_empty()).then_some(version)
}

/// The version at the end of `…/_history/3`.
pub(crate) fn version_in_url(url: &str) -> Option<&str> {
    let (_, version) = url.rsplit_once("/_history/")?;
    (!version.is_empty() && !version.contains(['/', '?'])).then_some(version)
}

/// The client of one server.
pub(crate) struct Client {
    http: reqwest::Client,
    token: Arc<Token>,
}

impl Client {
    /// Connects to nothing yet.
    pub(crate) fn new(options: &Options, token: Arc<Token>) -> Result<Client, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(options.request_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(options.concurrency);
        if let Some(pem) = &options.ca {
            let wrong = || Error::Unusable("`ca_file` holds no certificate in PEM".to_owned());
            let authorities = Certificate::from_pem_bundle(pem).map_err(|_| wrong())?;
            if authorities.is_empty() {
                return Err(wrong());
            }
            builder = builder.tls_certs_only(authorities);
        } else if options.base_url.starts_with("http:") {
            // Without TLS the system's authorities need not even be there.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| {
            Error::Unusable(format!(
                "no TLS: {}; name `ca_file`, or install the system's authorities",
                innermost(&error)
            ))
        })?;
        Ok(Client { http, token })
    }

    /// One request, one answer. Who is not known by the token of now is asked who he is once more, if the token's file
    /// has another one by then: a 401 was certainly not applied.
    pub(crate) async fn call(&self, call: Call) -> Result<Answer, Error> {
        let answer = self.attempt(call.clone()).await?;
        let refused = call.headers.get(AUTHORIZATION).filter(|_| answer.status == 401);
        let Some(token) = refused.and_then(|refused| self.token.other_than(refused)) else { return Ok(answer) };
        let mut again = call;
        again.headers.insert(AUTHORIZATION, token);
        self.attempt(again).await
    }

    async fn attempt(&self, call: Call) -> Result<Answer, Error> {
        let request = self.http.request(call.method, call.url).headers(call.headers).body(call.body);
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Error::TooLong(ANSWER_BYTES_MAX >> 20));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

fn failed(error: &reqwest::Error) -> Error {
    let what = innermost(error);
    if error.is_connect() {
        Error::Unreachable(what)
    } else if error.is_timeout() {
        Error::NoAnswer("the request timed out".to_owned())
    } else if error.is_builder() {
        Error::Unusable(format!("the request cannot be made: {what}"))
    } else {
        Error::NoAnswer(what)
    }
}

/// What lies at the bottom: the outer texts repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut deepest = error.source();
    while let Some(below) = deepest.and_then(|error| error.source()) {
        deepest = Some(below);
    }
    deepest.map_or_else(|| "no detail is given".to_owned(), |error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_in_all_three_forms_of_a_tag_and_from_a_location() {
        for tag in ["W/\"3\"", "\"3\"", "3"] {
            assert_eq!(version_in_tag(tag), Some("3"));
        }
        assert_eq!((version_in_tag("W/\"\""), version_in_tag("")), (None, None));
        assert_eq!(version_in_url("http://h/fhir/Patient/1/_history/12"), Some("12"));
        assert_eq!(version_in_url("Patient/1"), None);
    }
}
