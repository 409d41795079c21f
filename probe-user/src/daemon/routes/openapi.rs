//! `GET /v1/openapi.json`: the API as this very code has it.

use axum::Json;
use utoipa::{OpenApi, openapi};

use super::{containers, events, exits, health, info, metrics, wait};

/// The API of the probe daemon.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "probe daemon",
        description = "Know the moment a container's processes are gone. HTTP/1.1 over a Unix \
                       socket; who may see what is decided by the uid of the peer.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        wait::wait,
        events::events,
        exits::exits,
        containers::list,
        containers::one,
        info::info,
        health::health,
        metrics::metrics,
        openapi,
    ),
    tags(
        (name = "wait", description = "Until something is gone"),
        (name = "records", description = "What ended, and why"),
        (name = "containers", description = "What runs"),
        (name = "daemon", description = "The daemon itself"),
    ),
)]
struct Api;

/// The document.
#[must_use]
pub fn document() -> openapi::OpenApi {
    Api::openapi()
}

/// This document
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "daemon",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value,
               content_type = "application/json"))
)]
pub(super) async fn openapi() -> Json<openapi::OpenApi> {
    Json(document())
}

#[cfg(test)]
mod tests {
    use super::document;

    #[test]
    fn a_process_that_is_waited_for_is_named_by_identity() {
        let document = serde_json::to_value(document()).expect("JSON");
        let target = "/components/schemas/Target/properties/process/oneOf/0/$ref";
        let reference = document.pointer(target).and_then(|it| it.as_str());
        let pointer = reference.expect("a reference").trim_start_matches('#');
        let process = document.pointer(pointer).expect("it is there");
        assert!(
            process["properties"]["start_ticks"].is_object(),
            "{process}"
        );
    }
}
