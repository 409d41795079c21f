//! Every route, compared with the OpenAPI document.

use std::{collections::BTreeSet, fs};

use probe_tests::{Cgroup, Daemon, Document, Victim, assert_fields, record, schema};
use serde_json::{Value, json};

use super::{armed, by_id};

/// Every route. A route that is added must be documented and tested.
const ROUTES: [(&str, &str); 9] = [
    ("get", "/healthz"),
    ("get", "/metrics"),
    ("get", "/v1/containers"),
    ("get", "/v1/containers/{id}"),
    ("get", "/v1/events"),
    ("get", "/v1/exits"),
    ("get", "/v1/info"),
    ("get", "/v1/openapi.json"),
    ("post", "/v1/wait"),
];

/// Start of a process in clock ticks after boot: field 22 of its `stat`.
fn start_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is alive");
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    let ticks = rest.split(' ').nth(19).expect("field 22");
    ticks.parse().expect("a number")
}

/// The last line of a wait that ends at once.
fn verdict(daemon: &Daemon, document: &Document, request: &Value) -> Value {
    assert!(document.allows(request), "{request}");
    let lines = document.checked("post", "/v1/wait", daemon.post("/v1/wait", request));
    lines
        .as_array()
        .and_then(|it| it.last())
        .expect("a line")
        .clone()
}

#[test]
#[ignore = "needs root"]
fn every_route_is_documented_and_answers_as_documented() {
    let daemon = Daemon::start(&[]);
    let document = Document::of(&daemon);
    let version = document.0["openapi"].as_str().expect("a version");
    assert!(version.starts_with("3.1."), "{version}");
    assert!(document.0["info"]["version"].is_string());
    let paths = document.0["paths"].as_object().expect("paths");
    let mut documented = BTreeSet::new();
    for (path, operations) in paths {
        let methods = operations.as_object().expect("operations").keys();
        documented.extend(methods.map(|method| (method.as_str(), path.as_str())));
    }
    assert_eq!(documented, ROUTES.into_iter().collect());
    let mut ids = BTreeSet::new();
    for (method, path) in ROUTES {
        let operation = &paths[path][method];
        assert!(operation["summary"].is_string(), "{method} {path}");
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id), "{id} twice");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{parameter}");
        }
    }
    for path in ["/healthz", "/metrics", "/v1/containers", "/v1/info"] {
        let answer = daemon.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let _body = document.checked("get", path, answer);
    }
    let answer = daemon.get("/v1/exits?limit=3");
    let exits = document.checked("get", "/v1/exits", answer);
    assert!(exits.as_array().expect("lines").len() <= 3);
    let answer = daemon.get("/v1/containers/none");
    assert_eq!(answer.status, 404);
    let _problem = document.checked("get", "/v1/containers/{id}", answer);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn info_and_healthz_describe_the_daemon() {
    let daemon = Daemon::start(&["--history", "77", "--max-clients", "99"]);
    let document = Document::of(&daemon);
    let info = document.checked("get", "/v1/info", daemon.get("/v1/info"));
    let expected = json!({
        "api": 1, "schema": 1, "backend": "bpf", "ready": true, "history": 77, "max_clients": 99,
    });
    assert_fields(&info, &expected);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("there is a /proc");
    assert_eq!(info["kernel"]["release"], release.trim());
    assert_eq!(daemon.get("/healthz").text(), "ok\n");
}

#[test]
#[ignore = "needs root"]
fn a_wait_for_each_kind_of_target_reports_exits_and_a_verdict() {
    let daemon = Daemon::start(&[]);
    let document = Document::of(&daemon);
    for kind in ["cgroup", "path", "v1", "pid", "process"] {
        let cgroup = match kind {
            "v1" => Cgroup::v1("pids", "api"),
            _ => Cgroup::v2("api"),
        };
        let mut victim = Victim::paused(&cgroup);
        let pid = victim.pid();
        let target = match kind {
            "cgroup" => by_id(&cgroup),
            "path" | "v1" => json!({"path": cgroup.path()}),
            "pid" => json!({"pid": pid, "until": "reaped"}),
            _ => json!({"process": {"pid": pid, "start_ticks": start_ticks(pid)}}),
        };
        let request = json!({"targets": [target]});
        assert!(document.allows(&request), "{request}");
        println!("a target by {kind}");
        let lines = armed(&daemon, &request, 1);
        victim.kill();
        let rest = lines.rest();
        let [exit, met, verdict] = rest.as_slice() else {
            panic!("{kind}: not three lines: {rest:#?}")
        };
        schema::validate(exit);
        assert_fields(exit, &json!({"type": "exit", "pid": pid}));
        assert_eq!(record::wait_status(exit), 9, "{kind}");
        assert_fields(met, &json!({"type": "met", "target": 0}));
        let expected = json!({
            "type": "wait", "outcome": "done", "met": 1, "exits": 1, "survivors": [], "lost": 0,
        });
        assert_fields(verdict, &expected);
    }
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_wait_with_count_is_done_when_that_many_targets_are_met() {
    let daemon = Daemon::start(&[]);
    let document = Document::of(&daemon);
    let cgroups = ["a", "b", "c"].map(Cgroup::v2);
    let mut victims = cgroups.each_ref().map(Victim::paused);
    let targets = cgroups.each_ref().map(by_id);
    let request = json!({"targets": targets, "count": 2, "timeout_ms": 60_000});
    assert!(document.allows(&request));
    let lines = armed(&daemon, &request, 3);
    for index in [2, 0] {
        victims[index].kill();
        assert_eq!(lines.next_of("met")["target"], index);
    }
    let expected = json!({"outcome": "done", "met": 2, "exits": 2});
    assert_fields(&lines.next_of("wait"), &expected);
    // Only the second cgroup is still populated.
    let request = json!({"targets": targets, "count": 1, "until": "empty", "timeout_ms": 0});
    let expected = json!({"outcome": "already", "met": 2});
    assert_fields(&verdict(&daemon, &document, &request), &expected);
    let request = json!({"targets": targets, "timeout_ms": 0});
    let expected = json!({"outcome": "timeout", "survivors": [victims[1].pid()]});
    assert_fields(&verdict(&daemon, &document, &request), &expected);
}

#[test]
#[ignore = "needs root"]
fn a_wait_until_a_cgroup_is_removed_ends_with_its_directory() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("removed");
    let mut target = by_id(&cgroup);
    target["until"] = json!("removed");
    let request = json!({"targets": [target]});
    let lines = daemon.post("/v1/wait", &request).stream();
    assert_eq!(lines.next()["type"], "armed");
    fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
    assert_eq!(lines.next_of("wait")["outcome"], "done");
    // The id of a removed cgroup names no other cgroup.
    assert_eq!(daemon.post("/v1/wait", &request).status, 404);
}

#[test]
#[ignore = "needs root"]
fn a_condition_that_a_process_cannot_meet_is_refused_by_document_and_daemon() {
    let daemon = Daemon::start(&[]);
    let document = Document::of(&daemon);
    let cgroup = Cgroup::v2("becomes");
    let own = std::process::id();
    let own_until = |until| json!({"pid": own, "until": until});
    let cases = [
        ("empty", own_until("removed"), 400),
        ("empty", json!({"pid": own}), 400),
        ("exited", json!({"pid": own}), 200),
        ("empty", own_until("reaped"), 200),
        ("empty", json!({"path": cgroup.path()}), 200),
    ];
    for (until, target, expected) in cases {
        let request = json!({"targets": [target], "until": until, "timeout_ms": 0});
        assert_eq!(document.allows(&request), expected == 200, "{request}");
        let status = daemon.post("/v1/wait", &request).status;
        assert_eq!(status, expected, "{request}");
    }
}
