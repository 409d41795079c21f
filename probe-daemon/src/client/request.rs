//! HTTP requests of the client.

use http_body_util::Full;
use hyper::{Method, Request, body::Bytes, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::ClientError;

type RequestResult = Result<Request<Full<Bytes>>, ClientError>;

pub(super) const JSON: &str = "application/json";

pub(super) fn get(path: &str) -> RequestResult {
    build(Method::GET, path, Full::default())
}

pub(super) fn query(path: &str, query: &impl Serialize) -> RequestResult {
    let query = serde_urlencoded::to_string(query)?;
    get(&format!("{path}?{query}"))
}

pub(super) fn post(path: &str, body: &impl Serialize) -> RequestResult {
    let body = serde_json::to_vec(body)?;
    build(Method::POST, path, Full::new(Bytes::from(body)))
}

fn build(method: Method, path: &str, body: Full<Bytes>) -> RequestResult {
    let request = Request::builder()
        .method(method)
        .uri(path)
        // HTTP/1.1 requires a host, and a Unix socket has no name.
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, JSON);
    Ok(request.body(body)?)
}

/// Bytes of a path segment that are not percent-encoded: the unreserved ones of RFC 3986.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The path with one more segment, which is percent-encoded.
pub(super) fn below(path: &str, segment: &str) -> String {
    format!("{path}/{}", utf8_percent_encode(segment, UNRESERVED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::query::Records;

    #[test]
    fn a_name_with_slashes_stays_one_segment() {
        assert_eq!(below("/v1/x", "a-b.c_d~1"), "/v1/x/a-b.c_d~1");
        assert_eq!(
            below("/v1/x", "a/../?#% é"),
            "/v1/x/a%2F..%2F%3F%23%25%20%C3%A9"
        );
    }

    #[test]
    fn a_query_has_only_the_fields_that_are_set() {
        let asked = query(
            "/v1/events",
            &Records {
                cgroup: Some("/a b&c".to_owned()),
                failed: true,
                ..Records::default()
            },
        );
        let asked = asked.expect("a request");
        assert_eq!(asked.uri(), "/v1/events?cgroup=%2Fa+b%26c&failed=true");
    }
}
