//! Answers of the daemon: a JSON value, a stream of JSON lines, or an error answer.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Response, body::Incoming, header};
use serde::de::DeserializeOwned;

use super::{ClientError, request::JSON};
use crate::api::{NDJSON, problem};

/// Largest JSON value that is accepted; many times the size of a list of the containers
/// of a full machine.
const MAX_VALUE: usize = 16 << 20;
const MAX_PROBLEM: usize = 64 << 10;

/// The JSON value of an answer.
pub(super) async fn value<T: DeserializeOwned>(
    response: Response<Incoming>,
) -> Result<T, ClientError> {
    let response = success(response).await?;
    expect(&response, JSON)?;
    let bytes = bytes(response, MAX_VALUE).await?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// An answer that consists of JSON lines.
pub(super) async fn stream(
    response: Response<Incoming>,
) -> Result<Response<Incoming>, ClientError> {
    let response = success(response).await?;
    expect(&response, NDJSON)?;
    Ok(response)
}

async fn success(response: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    if media_type(&response) != problem::MEDIA_TYPE {
        return Err(ClientError::Status { status });
    }
    let bytes = bytes(response, MAX_PROBLEM).await?;
    Err(ClientError::Refused(serde_json::from_slice(&bytes)?))
}

fn expect(response: &Response<Incoming>, expected: &'static str) -> Result<(), ClientError> {
    let actual = media_type(response);
    if actual == expected {
        return Ok(());
    }
    Err(ClientError::MediaType {
        expected,
        actual: actual.escape_debug().to_string(),
    })
}

/// The media type without its parameters.
fn media_type(response: &Response<Incoming>) -> &str {
    let value = response.headers().get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim()
}

async fn bytes(response: Response<Incoming>, limit: usize) -> Result<Vec<u8>, ClientError> {
    let body = Limited::new(response.into_body(), limit);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => ClientError::Http(*error),
            Err(error) if error.is::<LengthLimitError>() => ClientError::TooLong { limit },
            Err(_nothing_else) => ClientError::Gone,
        }),
    }
}
