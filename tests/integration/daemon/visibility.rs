//! Visibility for each endpoint: a user sees its own processes, and of others only
//! whether a cgroup is empty.

use std::{fs, os::unix::fs::chown, path::Path};

use probe_tests::{
    Cgroup, Daemon, Victim, as_user, assert_fields,
    http::{self, Answer, Stream},
    record, words,
};
use serde_json::{Value, json};

use super::container;

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

/// A user as a client of the daemon at this socket.
#[derive(Clone, Copy)]
struct User<'a>(u32, &'a Path);

impl User<'_> {
    fn get(self, target: &str) -> Answer {
        as_user(self.0, || http::send(self.1, "GET", target, None))
    }

    fn post(self, request: &Value) -> Answer {
        let request = Some(request);
        as_user(self.0, || http::send(self.1, "POST", "/v1/wait", request))
    }

    /// Waits for this target with a timeout of 0; returns all lines.
    fn look(self, target: &Value) -> Vec<Value> {
        let request = json!({"targets": [target], "timeout_ms": 0});
        self.post(&request).stream().rest()
    }

    /// Waits for this target, in which the daemon counts this many processes for the user.
    fn wait(self, target: &Value, live: Option<u32>) -> Stream {
        let lines = self.post(&json!({"targets": [target]})).stream();
        assert_eq!(lines.next(), json!({"type": "armed", "live": live}));
        lines
    }

    /// Pids of the exits of a cgroup that `/v1/exits` returns.
    fn exits(self, cgroup: &Cgroup) -> Vec<u32> {
        let answer = self.get(&format!("/v1/exits?cgroup={}", cgroup.path()));
        assert_eq!(answer.status, 200);
        answer.stream().rest().iter().map(record::pid).collect()
    }
}

/// Asserts that the exits of the cgroup are visible to its owner and to no other user.
fn assert_exits(daemon: &Daemon, owner: u32, cgroup: &Cgroup, expected: &[u32]) {
    let exits = |uid| User(uid, daemon.socket()).exits(cgroup);
    assert_eq!(exits(owner), expected);
    assert_eq!(exits(STRANGER), [0; 0]);
}

#[test]
#[ignore = "needs root"]
fn a_user_learns_nothing_about_processes_of_root_but_gets_the_right_verdict() {
    let daemon = open_to_all();
    let stranger = User(STRANGER, daemon.socket());
    let above = Cgroup::v2("roots");
    let (id, cgroup) = container(&above);
    let mut victim = Victim::paused(&cgroup);
    let name = format!("/v1/containers/{id}");
    assert_eq!(daemon.get(&name).json()["live"], 1, "root sees the process");

    // While the process is alive.
    let info = stranger.get("/v1/info").json();
    assert_fields(&info, &json!({"ready": true, "loss": null}));
    let listed = stranger.get("/v1/containers").json();
    assert_eq!(listed, json!({"containers": []}));
    for target in [
        name.clone(),
        format!("/v1/containers/{}", &id[..40]),
        format!("/v1/exits?container={id}"),
        format!("/v1/events?container={id}"),
    ] {
        let absent = target.replace(&id[40..], "0123");
        let statuses = [&target, &absent].map(|it| stranger.get(it).status);
        assert_eq!(statuses, [404, 404], "{target}");
    }
    let request = json!({"targets": [{"container": id}]});
    assert_eq!(stranger.post(&request).status, 404);

    let of_cgroup = format!("/v1/events?cgroup={}", cgroup.path());
    let streams = ["/v1/events", &of_cgroup].map(|it| stranger.get(it).stream());
    let targets = [
        json!({"path": cgroup.path()}),
        json!({"cgroup": {"hierarchy": 0, "id": cgroup.id()}}),
        json!({"pid": victim.pid()}),
    ];
    for target in &targets {
        let lines = stranger.look(target);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert_eq!(lines[0], json!({"type": "armed", "live": null}));
        let timeout = json!({"outcome": "timeout", "survivors": null});
        assert_fields(&lines[1], &timeout);
    }
    let waits = targets.map(|target| stranger.wait(&target, None));
    victim.kill();
    for lines in waits.map(|it| it.rest()) {
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert_eq!(lines[0]["type"], "met");
        let done = json!({"outcome": "done", "exits": 0, "survivors": null});
        assert_fields(&lines[1], &done);
    }

    // After the process has exited.
    assert_exits(&daemon, 0, &cgroup, &[victim.pid()]);
    let all = stranger.get("/v1/exits").stream().rest();
    assert_eq!(all, [0; 0]);
    let metrics = daemon.get("/metrics").text();
    assert!(metrics.contains(&id), "{metrics}");
    let metrics = stranger.get("/metrics").text();
    for (word, is_shown) in [
        (id.as_str(), false),
        ("docker", false),
        ("probe_exits_total", true),
    ] {
        assert_eq!(metrics.contains(word), is_shown, "{word}: {metrics}");
    }

    // The streams show the user's own process first: they have shown no exit before.
    let mut own = Victim::start(&["as", "4343", "exit", "0"], Some(&cgroup));
    own.wait();
    for stream in streams {
        assert_eq!(record::pid(&stream.next()), own.pid());
    }
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn processes_of_a_user_are_visible_to_no_other_user() {
    let daemon = open_to_all();
    let [user, stranger] = [USER, STRANGER].map(|uid| User(uid, daemon.socket()));
    let above = Cgroup::v2("own");
    let (id, cgroup) = container(&above);
    let mut victim = Victim::start(&["as", "4242", "exec", "ready", "pause"], Some(&cgroup));
    let _ready = victim.report();
    let _root = Victim::paused(&cgroup);
    let pid = victim.pid();
    let lines = user.wait(&json!({"pid": pid}), Some(1));
    let strangers = stranger.wait(&json!({"pid": pid}), None);
    // The process of root in the same cgroup is not counted.
    let listed = user.get("/v1/containers").json();
    let listed = listed["containers"].as_array().expect("a list");
    assert_eq!(listed.len(), 1, "{listed:#?}");
    assert_fields(&listed[0], &json!({"id": id, "live": 1}));
    victim.kill();
    assert_eq!(record::pid(&lines.next_of("exit")), pid);
    assert_eq!(lines.next_of("wait")["exits"], 1);
    assert_eq!(strangers.next_of("wait")["exits"], 0);
    assert_exits(&daemon, USER, &cgroup, &[pid]);
}

#[test]
#[ignore = "needs root"]
fn the_owner_of_a_cgroup_sees_processes_of_every_user_in_it() {
    let daemon = open_to_all();
    let [user, stranger] = [USER, STRANGER].map(|uid| User(uid, daemon.socket()));
    let above = Cgroup::v2("given");
    let (id, cgroup) = container(&above);
    chown(cgroup.path(), Some(USER), None).expect("the test runs as root");
    let mut victim = Victim::paused(&cgroup);
    let pid = victim.pid();
    let events = user.get("/v1/events").stream();
    let name = format!("/v1/containers/{id}");
    let one = user.get(&name).json();
    assert_eq!(one["processes"][0]["pid"], pid, "{one}");
    assert_eq!(stranger.get(&name).status, 404);
    let targets = [json!({"path": cgroup.path()}), json!({"container": id})];
    for target in &targets {
        let lines = user.look(target);
        assert_eq!(lines[0]["live"], 1, "{lines:#?}");
        let verdict = lines.last().expect("a verdict");
        assert_fields(verdict, &json!({"type": "wait", "survivors": [pid]}));
    }
    let waits = targets.map(|target| user.wait(&target, Some(1)));
    victim.kill();
    for lines in waits {
        assert_eq!(record::pid(&lines.next_of("exit")), pid);
        assert_eq!(lines.next_of("wait")["outcome"], "done");
    }
    assert_eq!(record::pid(&events.next()), pid);
    assert_exits(&daemon, USER, &cgroup, &[pid]);
    // The owner sees the exit also after the cgroup is removed.
    fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
    assert_eq!(user.exits(&cgroup), [pid]);
}

#[test]
#[ignore = "needs root"]
fn the_owner_of_a_user_namespace_sees_processes_with_mapped_uids() {
    let daemon = open_to_all();
    let cgroup = Cgroup::v2("subuid");
    let actions = words("as 4242 user-namespace ready held as 7 ready pause");
    let mut victim = Victim::start(&actions, Some(&cgroup));
    let _ready = victim.report();
    let pid = victim.pid();
    for map in ["uid_map", "gid_map"] {
        let map = format!("/proc/{pid}/{map}");
        fs::write(&map, format!("0 {USER} 1\n7 {SUBUID} 1")).expect("the test runs as root");
    }
    victim.release();
    let _ready = victim.report();
    let path = format!("/v1/events?cgroup={}", cgroup.path());
    let events = [USER, SUBUID].map(|uid| User(uid, daemon.socket()).get(&path).stream());
    victim.kill();
    for events in events {
        assert_fields(&events.next(), &json!({"pid": pid, "uid": SUBUID}));
    }
    assert_exits(&daemon, USER, &cgroup, &[pid]);
}
