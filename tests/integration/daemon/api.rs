//! Every route, compared with the OpenAPI document.

use std::{collections::BTreeSet, fs};

use probe_tests::{Cgroup, Daemon, Document, Victim, record, schema};
use rustix::process::Signal;
use serde_json::{Value, json};

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

fn identity(cgroup: &Cgroup) -> Value {
    json!({"hierarchy": 0, "id": cgroup.id()})
}

/// The lines of a wait that ends at once.
fn wait(daemon: &Daemon, document: &Document, request: &Value) -> Vec<Value> {
    assert!(document.allows(request), "{request}");
    let lines = document.checked("post", "/v1/wait", daemon.post("/v1/wait", request));
    lines.as_array().expect("lines").clone()
}

fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|it| it["type"].as_str()).collect()
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
    let documented = paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations");
        operations
            .keys()
            .map(move |method| (method.as_str(), path.as_str()))
    });
    let documented: BTreeSet<_> = documented.collect();
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
    assert_eq!((&info["api"], &info["schema"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&info["backend"], &info["ready"]),
        (&json!("bpf"), &json!(true))
    );
    assert_eq!(
        (&info["history"], &info["max_clients"]),
        (&json!(77), &json!(99))
    );
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
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let pid = victim.pid();
        let target = match kind {
            "cgroup" => json!({"cgroup": identity(&cgroup)}),
            "path" | "v1" => json!({"path": cgroup.path()}),
            "pid" => json!({"pid": pid, "until": "reaped"}),
            _ => json!({"process": {"pid": pid, "start_ticks": start_ticks(pid)}}),
        };
        let request = json!({"targets": [target]});
        assert!(document.allows(&request), "{request}");
        let answer = daemon.post("/v1/wait", &request);
        assert_eq!(answer.status, 200, "{kind}");
        let lines = answer.stream();
        assert_eq!(lines.next(), json!({"type": "armed", "live": 1}), "{kind}");
        victim.signal(Signal::KILL);
        victim.wait();
        let rest = lines.rest();
        assert_eq!(types(&rest), ["exit", "met", "wait"], "{kind}: {rest:#?}");
        let [exit, met, verdict] = rest.as_slice() else {
            panic!("three lines")
        };
        schema::validate(exit);
        assert_eq!(record::pid(exit), pid, "{kind}");
        assert_eq!(record::wait_status(exit), 9, "{kind}");
        assert_eq!(met["target"], 0);
        assert_eq!(
            (&verdict["outcome"], &verdict["met"], &verdict["exits"]),
            (&json!("done"), &json!(1), &json!(1)),
            "{kind}"
        );
        assert_eq!(
            (&verdict["survivors"], &verdict["lost"]),
            (&json!([]), &json!(0))
        );
    }
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_wait_with_count_is_done_when_that_many_targets_are_met() {
    let daemon = Daemon::start(&[]);
    let document = Document::of(&daemon);
    let cgroups = ["a", "b", "c"].map(Cgroup::v2);
    let mut victims = cgroups
        .each_ref()
        .map(|it| Victim::spawn(&["pause"], Some(it)));
    let targets: Vec<_> = cgroups
        .iter()
        .map(|it| json!({"cgroup": identity(it)}))
        .collect();
    let request = json!({"targets": targets, "count": 2, "timeout_ms": 60_000});
    assert!(document.allows(&request));
    let lines = daemon.post("/v1/wait", &request).stream();
    assert_eq!(lines.next(), json!({"type": "armed", "live": 3}));
    for index in [2, 0] {
        victims[index].signal(Signal::KILL);
        victims[index].wait();
        assert_eq!(lines.next_of("met")["target"], index);
    }
    let verdict = lines.next_of("wait");
    assert_eq!(
        (&verdict["outcome"], &verdict["met"], &verdict["exits"]),
        (&json!("done"), &json!(2), &json!(2))
    );
    // Only the second cgroup is still populated.
    let request = json!({"targets": targets, "count": 1, "until": "empty", "timeout_ms": 0});
    let lines = wait(&daemon, &document, &request);
    let verdict = lines.last().expect("a verdict");
    assert_eq!(
        (&verdict["outcome"], &verdict["met"]),
        (&json!("already"), &json!(2))
    );
    let request = json!({"targets": targets, "timeout_ms": 0});
    let lines = wait(&daemon, &document, &request);
    let verdict = lines.last().expect("a verdict");
    assert_eq!(
        (&verdict["outcome"], &verdict["survivors"]),
        (&json!("timeout"), &json!([victims[1].pid()]))
    );
}

#[test]
#[ignore = "needs root"]
fn a_wait_until_a_cgroup_is_removed_ends_with_its_directory() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("removed");
    let target = json!({"cgroup": identity(&cgroup), "until": "removed"});
    let request = json!({"targets": [target]});
    let lines = daemon.post("/v1/wait", &request).stream();
    assert_eq!(lines.next()["type"], "armed");
    fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
    assert_eq!(lines.next_of("wait")["outcome"], "done");
    // The id of a removed cgroup names no other cgroup.
    let answer = daemon.post("/v1/wait", &request);
    assert_eq!(answer.status, 404);
}

#[test]
#[ignore = "needs root"]
fn a_condition_that_a_process_cannot_meet_is_refused_by_document_and_daemon() {
    let daemon = Daemon::start(&[]);
    let document = Document::of(&daemon);
    let cgroup = Cgroup::v2("becomes");
    let own = std::process::id();
    let cases = [
        (
            json!({"targets": [{"pid": own, "until": "removed"}]}),
            false,
        ),
        (json!({"until": "empty", "targets": [{"pid": own}]}), false),
        (json!({"until": "exited", "targets": [{"pid": own}]}), true),
        (
            json!({"until": "empty", "targets": [{"pid": own, "until": "reaped"}]}),
            true,
        ),
        (
            json!({"until": "empty", "targets": [{"path": cgroup.path()}]}),
            true,
        ),
    ];
    for (mut request, is_good) in cases {
        request["timeout_ms"] = json!(0);
        assert_eq!(document.allows(&request), is_good, "{request}");
        let status = if is_good { 200 } else { 400 };
        assert_eq!(
            daemon.post("/v1/wait", &request).status,
            status,
            "{request}"
        );
    }
}
