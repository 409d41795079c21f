//! `GET /v1/openapi.json`: the OpenAPI document, derived from the code.

use axum::Json;
use probe_user::model::Until;
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::{containers, events, exits, health, info, metrics, wait};

/// The API of the probe daemon.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "probe daemon",
        description = "Waits for the end of processes, cgroups and containers. HTTP/1.1 over a \
                       Unix socket; the uid of the peer decides which processes it may see.",
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
        (name = "wait", description = "Waits"),
        (name = "records", description = "Exits"),
        (name = "containers", description = "Containers"),
        (name = "daemon", description = "The daemon"),
    ),
)]
struct Api;

/// The document: the part that utoipa derives from the code, and the constraints that
/// types cannot express. An answer that consists of lines has the schema of one line.
#[must_use]
pub fn document() -> Value {
    let mut document = serde_json::to_value(Api::openapi()).unwrap_or_default();
    bound_integers(&mut document);
    let schemas = &mut document["components"]["schemas"];
    for (name, text) in LINES {
        schemas[name] = published(text);
    }
    if let Some(lines) = schemas["Line"]["oneOf"].as_array_mut() {
        lines.extend(LINES.iter().map(|(name, _)| reference(name)));
    }
    schemas["Target"]["oneOf"] = TARGETS.iter().map(|name| target_by(name)).collect();
    // Apart from the names: otherwise a target with a pid and a path would have exactly one of them
    // as soon as its condition does not fit a process.
    schemas["Target"]["if"] = json!({"not": is_not_a_process()});
    schemas["Target"]["then"] = json!({"properties": {"until": {"not": conditions_of_cgroups()}}});
    if let Some(request) = schemas["Request"].as_object_mut() {
        let of_a_cgroup = json!({
            "properties": {"until": conditions_of_cgroups()}, "required": ["until"],
        });
        request.insert("if".to_owned(), of_a_cgroup);
        let targets = json!({"items": {"anyOf": [is_not_a_process(), has_own_condition()]}});
        let then = json!({"properties": {"targets": targets}});
        request.insert("then".to_owned(), then);
    }
    document
}

/// Line types that have a schema file.
const LINES: [(&str, &str); 2] = [
    ("Exit", include_str!("../../../schemas/exit.schema.json")),
    ("Lost", include_str!("../../../schemas/lost.schema.json")),
];

/// Fields that name a target.
const TARGETS: [&str; 5] = ["cgroup", "process", "path", "pid", "container"];
/// Fields that name a process.
const PROCESSES: [&str; 2] = ["process", "pid"];

/// The schema of a file, as a part of the document.
fn published(text: &str) -> Value {
    let mut schema: Value = serde_json::from_str(text).unwrap_or_default();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("$schema");
        schema.remove("$id");
    }
    schema
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The schema of a target that is named by this field.
fn target_by(name: &str) -> Value {
    json!({"required": [name], "properties": {name: {"not": {"type": "null"}}}})
}

/// The conditions that only a cgroup can meet.
fn conditions_of_cgroups() -> Value {
    let all = Until::ALL.into_iter();
    let names = all.filter(|it| !it.is_about_processes()).map(Until::as_str);
    json!({"enum": names.collect::<Vec<_>>()})
}

fn is_not_a_process() -> Value {
    let [process, pid] = PROCESSES;
    json!({"properties": {process: {"type": "null"}, pid: {"type": "null"}}})
}

fn has_own_condition() -> Value {
    json!({"required": ["until"], "properties": {"until": {"not": {"type": "null"}}}})
}

/// Replaces the formats `int32` and `int64`, which are signed, with the maximum of the
/// unsigned integers that the API has.
fn bound_integers(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let most = match members.get("format").and_then(Value::as_str) {
                Some("int32") => Some(u64::from(u32::MAX)),
                Some("int64") => Some(u64::MAX),
                _ => None,
            };
            if let Some(most) = most {
                members.remove("format");
                members.entry("maximum").or_insert(most.into());
            }
            members.values_mut().for_each(bound_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

/// The OpenAPI document
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "daemon",
    responses((status = 200, description = "OpenAPI 3.1", body = Value,
               content_type = "application/json"))
)]
pub(super) async fn openapi() -> Json<Value> {
    Json(document())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_resolves() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|it| references(it, found));
                }
                Value::Array(items) => items.iter().for_each(|it| references(it, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            let pointer = reference
                .strip_prefix('#')
                .expect("a pointer into the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_process_of_a_request_and_that_of_an_answer_have_different_schemas() {
        let schemas = &document()["components"]["schemas"];
        assert!(schemas["ProcessIdentity"]["properties"]["start_ticks"].is_object());
        assert!(schemas["LiveProcess"]["properties"]["comm"].is_object());
    }

    #[test]
    fn integer_schemas_have_the_maximum_of_their_type() {
        let schemas = &document()["components"]["schemas"];
        let maximum = |of: &str, field: &str| schemas[of]["properties"][field]["maximum"].as_u64();
        assert_eq!(maximum("Target", "pid"), Some(u64::from(u32::MAX)));
        assert_eq!(maximum("Cgroup", "id"), Some(u64::MAX));
        assert_eq!(maximum("Request", "timeout_ms"), Some(31_536_000_000));
    }
}
