//! A door for `tests/fuzz`: any request, answered without a socket. Not for tests of anything else.

use crate::{
    Like, Options,
    server::{Arrived, Service},
};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// A method, a URL below the host, headers, a body.
pub type Asked<'a> = (&'a str, &'a str, &'a [(&'static str, &'a str)], &'a [u8]);

/// What a new server answers to these requests, one after the other: the last status.
pub fn answers(like: Like, requests: &[Asked<'_>]) -> u16 {
    let options = Options::new(like);
    let Ok(service) = Service::open(&options, "http://127.0.0.1:1/fhir".to_owned()) else { return 0 };
    let mut status = 0;
    for (method, url, headers, body) in requests {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let mut map = HeaderMap::new();
        for (name, value) in *headers {
            if let Ok(value) = HeaderValue::try_from(*value) {
                map.insert(HeaderName::from_static(name), value);
            }
        }
        status = service.replies(&Arrived {
            method: (*method).to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: map,
            body: body.to_vec().into(),
        });
    }
    status
}
