//! Visibility for each endpoint: a user sees its own processes, and of others only
//! whether a cgroup is empty.

use std::{fs, os::unix::fs::chown, path::Path};

use probe_tests::{
    Cgroup, Daemon, Victim, as_user,
    http::{self, Answer},
    record,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A user with processes of its own.
const USER: u32 = 4242;
/// A subuid of [`USER`]: a uid that user namespaces of that user may map.
const SUBUID: u32 = 104_242;
/// A user that owns none of the processes and cgroups.
pub(super) const STRANGER: u32 = 4343;

/// A daemon that every user may connect to.
pub(super) fn open_to_all() -> Daemon {
    Daemon::start(&["--mode", "0666"])
}

fn get(socket: &Path, uid: u32, target: &str) -> Answer {
    as_user(uid, || http::send(socket, "GET", target, None))
}

fn post(socket: &Path, uid: u32, body: &Value) -> Answer {
    as_user(uid, || http::send(socket, "POST", "/v1/wait", Some(body)))
}

/// Pids of the exits that `/v1/exits` returns to a user.
fn exits(socket: &Path, uid: u32, cgroup: &Cgroup) -> Vec<u32> {
    let answer = get(socket, uid, &format!("/v1/exits?cgroup={}", cgroup.path()));
    assert_eq!(answer.status, 200);
    answer.stream().rest().iter().map(record::pid).collect()
}

/// A cgroup that its name makes a container, and the id of that container.
pub(super) fn container(above: &Cgroup) -> (String, Cgroup) {
    let id = format!("{:064x}", above.id());
    let cgroup = above.sub(&format!("docker-{id}.scope"));
    (id, cgroup)
}

pub(super) fn die(victim: &mut Victim) {
    victim.signal(Signal::KILL);
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn a_user_learns_nothing_about_processes_of_root_but_gets_the_right_verdict() {
    let daemon = open_to_all();
    let socket = daemon.socket();
    let above = Cgroup::v2("roots");
    let (id, cgroup) = container(&above);
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let name = format!("/v1/containers/{id}");
    assert_eq!(daemon.get(&name).json()["live"], 1, "root sees the process");

    // While the process is alive.
    let info = get(socket, STRANGER, "/v1/info").json();
    assert_eq!(
        (&info["ready"], &info["loss"]),
        (&json!(true), &Value::Null)
    );
    let listed = get(socket, STRANGER, "/v1/containers").json();
    assert_eq!(listed, json!({"containers": []}));
    for target in [
        name.clone(),
        format!("/v1/containers/{}", &id[..40]),
        format!("/v1/exits?container={id}"),
        format!("/v1/events?container={id}"),
    ] {
        let (known, unknown) = (target.clone(), target.replace(&id[40..], "0123"));
        let known = get(socket, STRANGER, &known);
        let absent = get(socket, STRANGER, &unknown);
        assert_eq!((known.status, absent.status), (404, 404), "{target}");
    }
    let request = json!({"targets": [{"container": id}]});
    assert_eq!(post(socket, STRANGER, &request).status, 404);

    let events = get(socket, STRANGER, "/v1/events").stream();
    let of_cgroup = get(
        socket,
        STRANGER,
        &format!("/v1/events?cgroup={}", cgroup.path()),
    );
    let of_cgroup = of_cgroup.stream();
    let targets = [
        json!({"path": cgroup.path()}),
        json!({"cgroup": {"hierarchy": 0, "id": cgroup.id()}}),
        json!({"pid": victim.pid()}),
    ];
    for target in &targets {
        let request = json!({"targets": [target], "timeout_ms": 0});
        let lines = post(socket, STRANGER, &request).stream().rest();
        let [armed, verdict] = lines.as_slice() else {
            panic!("not two lines: {lines:#?}")
        };
        assert_eq!(armed, &json!({"type": "armed", "live": null}));
        assert_eq!(
            (&verdict["outcome"], &verdict["survivors"]),
            (&json!("timeout"), &Value::Null),
            "{target}"
        );
    }
    let waits = targets.map(|target| {
        let lines = post(socket, STRANGER, &json!({"targets": [target]})).stream();
        assert_eq!(lines.next(), json!({"type": "armed", "live": null}));
        lines
    });
    die(&mut victim);
    for lines in waits {
        let rest = lines.rest();
        let [met, verdict] = rest.as_slice() else {
            panic!("not two lines: {rest:#?}")
        };
        assert_eq!(met["type"], "met");
        assert_eq!(verdict["outcome"], "done");
        assert_eq!(
            (&verdict["exits"], &verdict["survivors"]),
            (&json!(0), &Value::Null)
        );
    }

    // After the process has exited.
    assert_eq!(exits(socket, 0, &cgroup), [victim.pid()]);
    assert_eq!(exits(socket, STRANGER, &cgroup), [0; 0]);
    let all = get(socket, STRANGER, "/v1/exits").stream().rest();
    assert_eq!(all, [0; 0]);
    let metrics = daemon.get("/metrics").text();
    assert!(metrics.contains(&id), "{metrics}");
    let metrics = get(socket, STRANGER, "/metrics").text();
    assert!(
        !metrics.contains(&id) && !metrics.contains("docker"),
        "{metrics}"
    );
    assert!(metrics.contains("probe_exits_total"), "{metrics}");

    // The streams show the user's own process first: they have shown no exit before.
    let mut own = Victim::start(&["as", "4343", "exit", "0"], Some(&cgroup));
    own.wait();
    assert_eq!(record::pid(&events.next()), own.pid());
    assert_eq!(record::pid(&of_cgroup.next()), own.pid());
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn processes_of_a_user_are_visible_to_no_other_user() {
    let daemon = open_to_all();
    let socket = daemon.socket();
    let above = Cgroup::v2("own");
    let (id, cgroup) = container(&above);
    let mut victim = Victim::start(&["as", "4242", "exec", "ready", "pause"], Some(&cgroup));
    let _ready = victim.report();
    let _root = Victim::spawn(&["pause"], Some(&cgroup));
    let pid = victim.pid();
    let lines = post(socket, USER, &json!({"targets": [{"pid": pid}]})).stream();
    assert_eq!(lines.next(), json!({"type": "armed", "live": 1}));
    let strangers = post(socket, STRANGER, &json!({"targets": [{"pid": pid}]})).stream();
    assert_eq!(strangers.next(), json!({"type": "armed", "live": null}));
    // The process of root in the same cgroup is not counted.
    let listed = get(socket, USER, "/v1/containers").json();
    let listed = listed["containers"].as_array().expect("a list");
    assert_eq!(listed.len(), 1, "{listed:#?}");
    assert_eq!(
        (&listed[0]["id"], &listed[0]["live"]),
        (&json!(id), &json!(1))
    );
    die(&mut victim);
    assert_eq!(record::pid(&lines.next_of("exit")), pid);
    assert_eq!(lines.next_of("wait")["exits"], 1);
    assert_eq!(strangers.next_of("wait")["exits"], 0);
    assert_eq!(exits(socket, USER, &cgroup), [pid]);
    assert_eq!(exits(socket, STRANGER, &cgroup), [0; 0]);
}

#[test]
#[ignore = "needs root"]
fn the_owner_of_a_cgroup_sees_processes_of_every_user_in_it() {
    let daemon = open_to_all();
    let socket = daemon.socket();
    let above = Cgroup::v2("given");
    let (id, cgroup) = container(&above);
    chown(cgroup.path(), Some(USER), None).expect("the test runs as root");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let pid = victim.pid();
    let events = get(socket, USER, "/v1/events").stream();
    let one = get(socket, USER, &format!("/v1/containers/{id}")).json();
    assert_eq!(one["processes"][0]["pid"], pid, "{one}");
    assert_eq!(
        get(socket, STRANGER, &format!("/v1/containers/{id}")).status,
        404
    );
    let targets = [json!({"path": cgroup.path()}), json!({"container": id})];
    for target in &targets {
        let request = json!({"targets": [target], "timeout_ms": 0});
        let lines = post(socket, USER, &request).stream();
        assert_eq!(lines.next()["live"], 1);
        assert_eq!(lines.next_of("wait")["survivors"], json!([pid]));
    }
    let waits = targets.map(|target| {
        let lines = post(socket, USER, &json!({"targets": [target]})).stream();
        assert_eq!(lines.next()["type"], "armed");
        lines
    });
    die(&mut victim);
    for lines in waits {
        assert_eq!(record::pid(&lines.next_of("exit")), pid);
        assert_eq!(lines.next_of("wait")["outcome"], "done");
    }
    assert_eq!(record::pid(&events.next()), pid);
    assert_eq!(exits(socket, USER, &cgroup), [pid]);
    assert_eq!(exits(socket, STRANGER, &cgroup), [0; 0]);
    // The owner sees the exit also after the cgroup is removed.
    fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
    assert_eq!(exits(socket, USER, &cgroup), [pid]);
}

#[test]
#[ignore = "needs root"]
fn the_owner_of_a_user_namespace_sees_processes_with_mapped_uids() {
    let daemon = open_to_all();
    let socket = daemon.socket();
    let cgroup = Cgroup::v2("subuid");
    let words = [
        "as",
        "4242",
        "user-namespace",
        "ready",
        "held",
        "as",
        "7",
        "ready",
        "pause",
    ];
    let mut victim = Victim::start(&words, Some(&cgroup));
    let _ready = victim.report();
    let pid = victim.pid();
    for map in ["uid_map", "gid_map"] {
        let map = format!("/proc/{pid}/{map}");
        fs::write(&map, format!("0 {USER} 1\n7 {SUBUID} 1")).expect("the test runs as root");
    }
    victim.release();
    let _ready = victim.report();
    let path = format!("/v1/events?cgroup={}", cgroup.path());
    let events = [USER, SUBUID].map(|uid| get(socket, uid, &path).stream());
    die(&mut victim);
    for events in events {
        let exit = events.next();
        assert_eq!((record::pid(&exit), &exit["uid"]), (pid, &json!(SUBUID)));
    }
    assert_eq!(exits(socket, USER, &cgroup), [pid]);
    assert_eq!(exits(socket, STRANGER, &cgroup), [0; 0]);
}
