//! Bytes that are not HTTP, requests of HTTP/1.0 and pipelined requests.

use std::time::{Duration, Instant};

use probe_tests::Daemon;

use super::invalid_requests::{assert_problem, get, raw, status};

#[test]
#[ignore = "needs root"]
fn malformed_http_is_refused_or_the_connection_is_closed() {
    let daemon = Daemon::start(&[]);
    let headers = |count: usize| {
        let headers: Vec<_> = (0..count).map(|it| format!("x-{it}: y\r\n")).collect();
        let headers = headers.concat();
        format!("GET /healthz HTTP/1.1\r\n{headers}\r\n").into_bytes()
    };
    let long = |bytes: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(bytes)).into_bytes();
    let cases = [
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".repeat(10),
        b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/9.9\r\n\r\n".to_vec(),
        b"GET  /healthz HTTP/1.1\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/1.1\r\nx\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/1.1\r\nx: \0\r\n\r\n".to_vec(),
        b"POST /v1/wait HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_vec(),
        b"POST /v1/wait HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_vec(),
        b"POST /v1/wait HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n".to_vec(),
        b"POST /v1/wait HTTP/1.1\r\ncontent-type: application/json\r\n\
          transfer-encoding: chunked\r\n\r\nZZZ\r\n\r\n"
            .to_vec(),
        b"POST /v1/wait HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n".to_vec(),
        headers(1000),
        headers(100_000),
        long(100_000),
        long(10_000_000),
    ];
    let mut answered = 0;
    for bytes in cases {
        let what = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let begun = Instant::now();
        let answer = raw(daemon.socket(), &bytes);
        if !answer.is_empty() {
            let status = status(&answer);
            assert!((400..500).contains(&status), "{what}: {answer}");
            // hyper answers a head that it cannot parse, and its answers have no body.
            if !answer.contains("content-length: 0\r\n") {
                assert_problem(&answer, status, &what);
            }
            answered += 1;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        assert_eq!(daemon.get("/healthz").status, 200, "after {what}");
    }
    assert!(answered > 10, "only {answered} got a status");
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn http_1_0_and_pipelined_requests_are_served() {
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket();
    let answer = raw(socket, b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.ends_with("ok\n"), "{answer}");
    let body = r#"{"targets":[{"pid":1}],"timeout_ms":0}"#;
    let head = "POST /v1/wait HTTP/1.0\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let answer = raw(socket, request.as_bytes());
    assert!(answer.contains("\"timeout\""), "{answer}");
    assert!(!answer.contains("chunked"), "{answer}");

    // Pipelined requests are answered in order.
    let one = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let bytes = [one.repeat(50).as_bytes(), &get("/v1/exits?limit=0")].concat();
    let answer = raw(socket, &bytes);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 50, "{answer}");
    assert!(answer.contains("HTTP/1.1 400"), "{answer}");

    // An error does not close the connection.
    let wrong = "POST /v1/wait HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: 2\r\n\r\n{}";
    let bytes = [wrong, one, wrong].concat();
    let answer = raw(socket, &[bytes.as_bytes(), &get("/healthz")].concat());
    assert_eq!(answer.matches("HTTP/1.1 400").count(), 2, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    let _output = daemon.stop();
}
