//! Validates lines of output against the published schemas.
//!
//! The schemas allow fields that a later version adds. Here every object is closed, so that a
//! field of this version cannot be undocumented.

use std::{collections::HashMap, sync::LazyLock};

use jsonschema::Validator;
use serde_json::{Value, json};

macro_rules! schemas {
    ($($name:literal)*) => {
        [$((
            $name,
            include_str!(concat!("../../probe-daemon/schemas/", $name, ".schema.json")),
        )),*]
    };
}

const SCHEMAS: [(&str, &str); 12] = schemas!("armed" "exit" "start" "lost" "teardown" "wait" "kill" "why" "run" "doctor" "container" "process");

static VALIDATORS: LazyLock<HashMap<&str, Validator>> = LazyLock::new(|| {
    let closed = |(name, text): (&'static str, &str)| {
        let mut schema = parse(name, text);
        close(&mut schema);
        let validator = jsonschema::draft202012::new(&schema);
        (
            name,
            validator.unwrap_or_else(|error| panic!("{name}: {error}")),
        )
    };
    SCHEMAS.map(closed).into()
});

fn parse(name: &str, text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}.schema.json: {error}"))
}

/// Forbids members that `properties` does not name, in every object but the conditions, which
/// name only the field that they test.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (key, member) in &mut *members {
                if !matches!(key.as_str(), "if" | "then" | "else") {
                    close(member);
                }
            }
            if members.contains_key("properties") && members.contains_key("required") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(members) => members.iter_mut().for_each(close),
        _ => {}
    }
}

/// How a line violates its schema; `None` if it is valid.
#[must_use]
pub fn violation(line: &Value) -> Option<String> {
    let Some(name) = line.get("type").and_then(Value::as_str) else {
        return Some("the line has no type".to_owned());
    };
    let Some(validator) = VALIDATORS.get(name) else {
        return Some(format!("no schema for type {name}"));
    };
    let faults: Vec<_> = validator
        .iter_errors(line)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    (!faults.is_empty()).then(|| faults.join("\n"))
}

/// Validates a line against the schema of its type.
///
/// # Panics
///
/// If the line is not valid.
pub fn validate(line: &Value) {
    if let Some(violation) = violation(line) {
        panic!("{violation}\nin the line {line}");
    }
}

/// Parses a line as JSON and validates it.
pub(crate) fn parse_line(line: &str) -> Value {
    let value = serde_json::from_str(line);
    let value = value.unwrap_or_else(|error| panic!("{error} in {line}"));
    validate(&value);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit() -> Value {
        json!({
            "schema": 1, "type": "exit", "time": "2026-01-02T03:04:05.678901234Z",
            "boottime_ns": 183_000_000, "pid": 42, "tid": 42, "ppid": 1, "uid": 0,
            "comm": "nginx", "start_boottime_ns": 1_000_000, "group_dead": true,
            "leader": true,
            "status": {"kind": "signaled", "code": null, "signal": "SIGKILL", "number": 9,
                "core_dumped": false},
            "age_ns": 182_000_000,
            "cgroup": {"hierarchy": 0, "id": 7411, "path": "/machine.slice/x"},
            "container": {"runtime": "runc", "id": "x", "name": null, "pod_uid": null,
                "pod": null, "location": null},
            "killed_by": {"pid": 999, "comm": "runc", "uid": 0, "signal": "SIGKILL",
                "via": "kill", "cause": null, "forged": false},
            "killer_forgotten": false, "oom": false,
            "usage": {"user_ns": 1, "system_ns": 2, "max_rss_bytes": 3},
            "ns": {"pid": 1, "pid_ns": 4_026_531_836_u32},
            "task": {"comm": "nginx", "start_boottime_ns": 1_000_000, "age_ns": 182_000_000,
                "cgroup": null},
        })
    }

    fn wait() -> Value {
        json!({
            "schema": 1, "type": "wait", "outcome": "timeout", "until": "empty",
            "backend": "bpf", "backends": ["bpf"], "woken_by": null, "exact": true,
            "elapsed_ns": 412_000, "exits": 3, "lost": 0,
            "targets": [
                {"cgroup": {"hierarchy": 0, "id": 7, "path": "/x"}, "process": null,
                    "container": null, "unit": null, "until": "empty", "outcome": "timeout"},
                {"cgroup": null, "process": {"pid": 2, "comm": null}, "container": null,
                    "unit": null, "until": "empty", "outcome": "already"},
                {"cgroup": null, "process": null, "unit": "a.service", "until": "empty",
                    "container": {"runtime": null, "id": null, "name": "x"}, "outcome": "done"},
            ],
            "survivors": [{"pid": 1, "comm": "x", "state": "D", "wchan": null, "age_ns": 1,
                "reason": {"code": "stopped", "tid": null, "phase": "living",
                    "text": "is stopped by a signal", "hint": "SIGCONT continues it"}}],
            "migrated": [{"pid": 3, "comm": "y", "cgroup": null}],
        })
    }

    fn kill() -> Value {
        let mut kill = wait();
        kill["type"] = "kill".into();
        kill["outcome"] = "not_removed".into();
        kill["killed"] = 3.into();
        kill["kills_clones"] = json!(["/sys/fs/cgroup/x"]);
        kill
    }

    fn start() -> Value {
        json!({
            "schema": 1, "type": "start", "cause": "exec",
            "time": "2026-01-02T03:04:05.678901234Z", "boottime_ns": 1, "pid": 42, "tid": 42,
            "ppid": 1, "uid": 0, "comm": "sh", "start_boottime_ns": 1, "args": ["sh", "-c", ""],
            "args_truncated": false, "cgroup": null, "container": null, "ns": null,
        })
    }

    fn samples() -> [Value; 12] {
        let check = json!({"name": "btf", "ok": false, "detail": "why", "hint": "what to do"});
        [
            json!({"schema": 1, "type": "armed", "live": 3, "reports_exits": false}),
            exit(),
            wait(),
            kill(),
            json!({"schema": 1, "type": "run", "outcome": "leftovers", "exit_code": 123, "pid": 42,
                "status": {"kind": "exited", "code": 0, "signal": null, "number": null,
                    "core_dumped": false},
                "command_ns": 1, "elapsed_ns": 2, "cgroup": null,
                "leftovers": [{"pid": 43, "comm": "x", "action": "killed", "killed_by": null}],
                "killed_by": null,
                "cpu": {"usage_ns": 2, "user_ns": 1, "system_ns": 1},
                "memory_peak_bytes": null, "oom_kills": null}),
            start(),
            json!({"schema": 1, "type": "lost", "count": 3, "reason": "ring_full"}),
            json!({"schema": 1, "type": "why", "target": "/x", "summary": "x", "hint": null,
                "survivors": [], "obstacles": [{"code": "children", "path": "/x/y"}]}),
            json!({"schema": 1, "type": "teardown", "time": "2026-01-02T03:04:05.678901234Z",
                "boottime_ns": 3, "pid": 42, "comm": "x", "start_boottime_ns": 2,
                "is_complete": false, "elapsed_ns": 2, "zombie_ns": 1, "reaped_ns": null,
                "reason": null}),
            json!({"schema": 1, "type": "doctor", "kernel": "6.18", "event_driven": true,
                "backends": [check], "checks": [check],
                "engines": [{"engine": "docker", "location": "/x", "tells": "names",
                    "containers": null, "error": "Permission denied"}]}),
            json!({"schema": 1, "type": "container", "runtime": "runc", "id": "x", "name": null,
                "pod_uid": null, "pod": null, "location": null, "cgroup": "/x", "live": 1,
                "oldest_start_boottime_ns": 1, "age_ns": 1, "recent_exits": null}),
            json!({"schema": 1, "type": "process", "depth": 0, "pid": 1, "ppid": 0, "uid": 0,
                "comm": "x", "state": "running", "start_boottime_ns": 1, "age_ns": 1,
                "cgroup": null}),
        ]
    }

    #[test]
    fn every_line_type_has_a_valid_sample() {
        let mut types: Vec<_> = samples()
            .iter()
            .map(|line| {
                validate(line);
                line["type"].as_str().expect("a type").to_owned()
            })
            .collect();
        types.sort();
        let mut schemas: Vec<_> = SCHEMAS.iter().map(|(name, _)| (*name).to_owned()).collect();
        schemas.sort();
        assert_eq!(types, schemas);
    }

    #[test]
    fn a_line_without_a_required_field_is_refused_at_every_depth() {
        for sample in samples() {
            for path in objects(&sample) {
                let object = sample.pointer(&path).and_then(Value::as_object);
                for key in object.expect("an object").keys() {
                    let mut damaged = sample.clone();
                    let object = damaged.pointer_mut(&path).and_then(Value::as_object_mut);
                    object.expect("an object").remove(key);
                    assert!(violation(&damaged).is_some(), "{path}/{key} may be missing");
                }
            }
        }
    }

    #[test]
    fn an_undocumented_field_is_refused_at_every_depth() {
        for sample in samples() {
            for path in objects(&sample) {
                let mut damaged = sample.clone();
                let object = damaged.pointer_mut(&path).and_then(Value::as_object_mut);
                object
                    .expect("an object")
                    .insert("undocumented".to_owned(), json!(1));
                assert!(violation(&damaged).is_some(), "{path} may have more fields");
            }
        }
    }

    /// JSON pointers of all objects in a line.
    fn objects(value: &Value) -> Vec<String> {
        let below = |key: &str, value: &Value| -> Vec<String> {
            objects(value)
                .into_iter()
                .map(|path| format!("/{key}{path}"))
                .collect()
        };
        match value {
            Value::Object(members) => {
                let mut paths = vec![String::new()];
                paths.extend(members.iter().flat_map(|(key, member)| below(key, member)));
                paths
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .flat_map(|(index, item)| below(&index.to_string(), item))
                .collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_field_with_an_invalid_value_is_refused() {
        let faults = [
            ("/schema", json!(2)),
            ("/type", json!("exits")),
            ("/time", json!("2026-01-02T03:04:05Z")),
            ("/pid", json!(0)),
            ("/pid", json!("42")),
            ("/boottime_ns", json!(1.5)),
            ("/comm", json!("sixteen letters!")),
            ("/oom", json!(null)),
            ("/age_ns", json!(-1)),
            ("/cgroup/path", json!("x")),
            ("/killed_by/via", json!("magic")),
            ("/status/kind", json!("stopped")),
        ];
        for (path, value) in faults {
            let mut line = exit();
            *line.pointer_mut(path).expect("a field") = value.clone();
            assert!(violation(&line).is_some(), "{path} may be {value}");
        }
    }

    #[test]
    fn a_status_is_either_a_code_or_a_signal() {
        let mut both = exit();
        both["status"]["code"] = json!(0);
        assert!(violation(&both).is_some());
        let mut neither = exit();
        neither["status"]["kind"] = json!("exited");
        assert!(violation(&neither).is_some());
    }

    #[test]
    fn a_sender_is_required_only_for_signals_that_a_process_sent() {
        let mut nameless = exit();
        nameless["killed_by"]["comm"] = json!(null);
        assert!(violation(&nameless).is_some());
        let mut outside = exit();
        outside["killed_by"]["pid"] = json!(null);
        validate(&outside);
        let mut stranger = exit();
        stranger["killed_by"]["via"] = json!("timer");
        assert!(violation(&stranger).is_some());
    }

    #[test]
    fn unknown_values_may_be_null() {
        let nullable = [
            "ppid",
            "uid",
            "start_boottime_ns",
            "status",
            "age_ns",
            "cgroup",
            "container",
            "killed_by",
            "usage",
            "ns",
        ];
        let mut line = exit();
        for key in nullable {
            line[key] = json!(null);
        }
        validate(&line);
    }

    #[test]
    fn every_field_is_described() {
        fn fields_are_described(schema: &Value, place: &str) {
            if let Some(fields) = schema["properties"].as_object() {
                for (key, field) in fields {
                    let place = format!("{place}.{key}");
                    assert!(
                        field["description"].is_string(),
                        "{place} lacks a description"
                    );
                    fields_are_described(field, &place);
                }
            }
            if schema["items"].is_object() {
                fields_are_described(&schema["items"], &format!("{place}[]"));
            }
        }
        for (name, text) in SCHEMAS {
            fields_are_described(&parse(name, text), name);
        }
    }
}
