//! What comes in and goes out: bounded bodies, queries, streams of lines.

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

/// A request with as many targets as are allowed is smaller.
const MOST_BODY: usize = 256 * 1024;
/// Whoever has sent the head has the body at hand.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// A JSON body.
pub(crate) struct Json<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let media_type = request.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|it| it.to_str().ok()).unwrap_or("");
        let essence = media_type.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let refusal = Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("the body is '{essence}', not application/json"),
            );
            return Err(refusal.hint("curl sends JSON with --json"));
        }
        let body = Limited::new(request.into_body(), MOST_BODY);
        let collected = timeout(BODY_WITHIN, body.collect())
            .await
            .map_err(|_late| {
                Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
            })?;
        let bytes = collected.map_err(|error| refused_body(&*error))?.to_bytes();
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Refusal::bad(format!("the body: {error}")))
    }
}

fn refused_body(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Refusal {
    if error.is::<LengthLimitError>() {
        let detail = format!("the body is larger than {MOST_BODY} bytes");
        return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
    }
    Refusal::bad(format!("the body: {error}"))
}

/// A query string.
pub(crate) struct Asked<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(asked)| Self(asked))
            .map_err(|error| Refusal::bad(format!("the query: {}", error.body_text())))
    }
}

/// The one part of the path that is not fixed.
pub(crate) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(name)| Self(name))
            .map_err(|error| Refusal::bad(format!("the path: {}", error.body_text())))
    }
}

/// Where the lines of an answer go. Bounded: who does not read stops the writer.
pub(crate) type Lines = mpsc::Sender<Bytes>;

/// Pieces that may be on their way.
const PIECES: usize = 4;

/// An answer that grows, and the end to write to.
pub(crate) fn stream() -> (Lines, Response) {
    let (lines, receiver) = mpsc::channel(PIECES);
    let body = Body::from_stream(Pieces(receiver));
    (
        lines,
        ([(header::CONTENT_TYPE, NDJSON)], body).into_response(),
    )
}

struct Pieces(mpsc::Receiver<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }
}
