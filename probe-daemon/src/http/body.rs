//! Extractors for bounded bodies, queries and path segments, and streamed answers.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_core::Stream;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, time::timeout};

use crate::access::refusal::Refusal;
use crate::api::NDJSON;

/// Largest request body. A request with the maximum number of targets is smaller.
const MAX_BODY: usize = 256 * 1024;
/// Timeout from the head of a request to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body.
pub(crate) struct Json<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let media_type = request.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|it| it.to_str().ok()).unwrap_or("");
        let essence = media_type.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = match essence {
                "" => "the header content-type is missing (expected application/json)".to_owned(),
                _ => format!("the header content-type is '{essence}' (expected application/json)"),
            };
            let refusal = Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
            return Err(refusal.hint(
                "send the header content-type: application/json; with curl: \
                 --header 'content-type: application/json'",
            ));
        }
        let body = Limited::new(request.into_body(), MAX_BODY);
        let collected = timeout(BODY_TIMEOUT, body.collect())
            .await
            .map_err(|_elapsed| {
                let detail = format!("the body did not arrive within {BODY_TIMEOUT:?}");
                Refusal::new(StatusCode::REQUEST_TIMEOUT, detail)
            })?;
        let bytes = collected.map_err(|error| refused_body(&*error))?.to_bytes();
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Refusal::bad(format!("invalid body: {error}")))
    }
}

fn refused_body(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Refusal {
    if error.is::<LengthLimitError>() {
        let detail = format!("the body is larger than {MAX_BODY} bytes");
        return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
    }
    Refusal::bad(format!("invalid body: {error}"))
}

/// The query of a request.
pub(crate) struct QueryParams<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(params)| Self(params))
            .map_err(|error| Refusal::bad(format!("invalid query: {}", error.body_text())))
    }
}

/// The variable segment of a path.
pub(crate) struct PathSegment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathSegment {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(name)| Self(name))
            .map_err(|error| Refusal::bad(format!("invalid path: {}", error.body_text())))
    }
}

/// The writing end of a streamed answer. The channel is bounded: the writer waits
/// while the client does not read.
pub(crate) type Lines = mpsc::Sender<Bytes>;

/// Capacity of the channel, in chunks.
const CHUNKS: usize = 4;

/// A streamed answer and its writing end.
pub(crate) fn stream() -> (Lines, Response) {
    let (lines, receiver) = mpsc::channel(CHUNKS);
    let body = Body::from_stream(Chunks(receiver));
    (
        lines,
        ([(header::CONTENT_TYPE, NDJSON)], body).into_response(),
    )
}

struct Chunks(mpsc::Receiver<Bytes>);

impl Stream for Chunks {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(Ok))
    }
}
