//! What we ask, as HTTP has it.

use http_body_util::Full;
use hyper::{Method, Request, body::Bytes, header};
use serde::Serialize;

use super::ClientError;

type Asked = Result<Request<Full<Bytes>>, ClientError>;

pub(super) const JSON: &str = "application/json";

pub(super) fn get(path: &str) -> Asked {
    build(Method::GET, path, Full::default())
}

pub(super) fn query(path: &str, query: &impl Serialize) -> Asked {
    let query = serde_urlencoded::to_string(query)?;
    get(&format!("{path}?{query}"))
}

pub(super) fn post(path: &str, body: &impl Serialize) -> Asked {
    let body = serde_json::to_vec(body)?;
    build(Method::POST, path, Full::new(Bytes::from(body)))
}

fn build(method: Method, path: &str, body: Full<Bytes>) -> Asked {
    let request = Request::builder()
        .method(method)
        .uri(path)
        // HTTP/1.1 wants one; a Unix socket has no name.
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, JSON);
    Ok(request.body(body)?)
}

/// One more segment of a path, whatever is in it.
pub(super) fn below(path: &str, segment: &str) -> String {
    use std::fmt::Write as _;

    let mut path = format!("{path}/");
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            _ => {
                // A String takes everything.
                let _infallible = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::query::Records;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(below("/v1/x", "a-b.c_d~1"), "/v1/x/a-b.c_d~1");
        assert_eq!(
            below("/v1/x", "a/../?#% é"),
            "/v1/x/a%2F..%2F%3F%23%25%20%C3%A9"
        );
    }

    #[test]
    fn a_query_says_what_is_asked_and_no_more() {
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
