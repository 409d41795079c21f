//! Hybrid machines, where v2 places a container in the cgroup of its engine, so that only a v1
//! cgroup names the container.

use std::fs;

use probe_tests::{
    Cgroup, Daemon, Deadline, Output, Probe, Runc, Victim, Waiting, as_user, assert_fields,
    conditions, has_v1, http, inapplicable, record, requirements, run, words,
};
use serde_json::{Value, json};
use std::os::unix::fs::chown;

/// A user without processes and cgroups, until a test gives a cgroup to this user.
const USER: u32 = 4242;
const STRANGER: u32 = 4343;

/// The cgroup of an engine in v2, and in `pids` the cgroup of a container as Docker names it.
struct Hybrid {
    id: String,
    engine: Cgroup,
    container: Cgroup,
    _above: Cgroup,
}

impl Hybrid {
    fn new(label: &str) -> Self {
        if !has_v1("pids") {
            inapplicable("no v1 hierarchy of pids");
        }
        let engine = Cgroup::v2(&format!("{label}.service"));
        let above = Cgroup::v1("pids", label);
        let id = format!("{:032x}{:032x}", above.id(), engine.id());
        fs::create_dir(above.file("docker")).expect("our own cgroup");
        let container = above.sub(&format!("docker/{id}"));
        Self {
            id,
            engine,
            container,
            _above: above,
        }
    }

    /// A process of the container.
    fn member(&self, args: &[&str]) -> Victim {
        let victim = Victim::spawn(args, Some(&self.engine));
        self.container.add(victim.pid());
        victim
    }

    fn place(&self) -> Value {
        json!({"hierarchy": 0, "id": self.engine.id(), "path": self.engine.name()})
    }

    fn assert_exit(&self, exit: &Value) {
        assert_eq!(exit["cgroup"], self.place(), "{exit}");
        let expected = json!({"runtime": "docker", "id": self.id});
        assert_fields(&exit["container"], &expected);
    }
}

fn socket(daemon: &Daemon) -> &str {
    daemon.socket().to_str().expect("UTF-8")
}

/// The line of this container in `probe ps --json`.
fn listed(socket: &str, id: &str) -> Option<Value> {
    let lines = run(&format!("ps --json --socket {socket}")).json();
    lines.into_iter().find(|line| line["id"] == id)
}

fn pids(output: &Output) -> Vec<u32> {
    output.json().iter().map(record::pid).collect()
}

#[test]
#[ignore = "needs root"]
fn records_and_ps_name_a_container_that_only_v1_names() {
    let hybrid = Hybrid::new("records");
    let daemon = Daemon::start(&[]);
    let mut victim = hybrid.member(&["exit", "3"]);
    let pid = victim.pid();
    for socket in [socket(&daemon), "/no/such"] {
        let line = listed(socket, &hybrid.id);
        let line = line.unwrap_or_else(|| panic!("the container is not listed by {socket}"));
        let path = hybrid.container.name();
        assert_fields(&line, &json!({"live": 1, "cgroup": path}));
        let tree = run(&format!(
            "ps --json --socket {socket} --container {}",
            hybrid.id
        ));
        assert_eq!(pids(&tree), [pid], "{tree:#?}");
    }
    let targets = [
        format!("--pid {pid}"),
        format!("--container {}", hybrid.id),
        format!("--cgroup {}", hybrid.engine.path()),
        format!("--cgroup {}", hybrid.container.path()),
    ];
    let sockets = [socket(&daemon), "/no/such"];
    let traces = sockets.iter().flat_map(|socket| {
        let targets = targets.iter();
        targets.map(move |it| Probe::trace(&words(&format!("-v --socket {socket} {it}"))))
    });
    let traces: Vec<_> = traces.collect();
    victim.release();
    victim.wait();
    for mut trace in traces {
        hybrid.assert_exit(&trace.exit_of(pid));
    }
    let last = format!("last --json --socket {}", socket(&daemon));
    for target in &targets {
        let output = run(&format!("{last} {}", target.replace("--pid ", "")));
        let exits = output.json();
        assert_eq!(exits.len(), 1, "{target}: {output:#?}");
        hybrid.assert_exit(&exits[0]);
    }
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_wait_for_a_v1_target_has_the_same_exits_with_every_backend() {
    requirements::require_bpf();
    let hybrid = Hybrid::new("waits");
    let daemon = Daemon::start(&[]);
    for backend in ["bpf", "daemon", "auto"] {
        for target in [
            format!("--container {}", hybrid.id),
            format!("--cgroup {}", hybrid.container.path()),
        ] {
            let mut victims = [0, 1].map(|_| hybrid.member(&["pause"]));
            let options = format!("--backend {backend} --socket {}", socket(&daemon));
            let line = format!("{options} {target}");
            let waiting =
                Waiting::start(&mut conditions::unrestricted(&Waiting::args(&words(&line))));
            waiting.wait_for_stderr("no exit is missed from here on");
            let mut expected: Vec<_> = victims.iter().map(Victim::pid).collect();
            expected.sort_unstable();
            assert_eq!(victims.each_mut().map(Victim::kill), [9; 2]);
            let output = waiting.finish();
            let verdict = output.verdict("done");
            assert_fields(&verdict, &json!({"exits": 2, "lost": 0}));
            assert_eq!(output.exits(), expected, "{line}: {output:#?}");
        }
    }
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_daemon_says_that_it_does_not_know_the_exits_of_a_v1_hierarchy() {
    requirements::require_bpf();
    let hybrid = Hybrid::new("unknown");
    let cpu = Cgroup::v1("cpu", "unknown");
    let daemon = Daemon::start(&[]);
    for route in ["events", "exits"] {
        let answer = daemon.get(&format!("/v1/{route}?cgroup={}", cpu.path()));
        assert_eq!(answer.status, 400, "{route}");
        let problem = answer.json();
        let detail = problem["detail"].as_str().expect("text");
        assert!(detail.contains("v1 hierarchy cpu"), "{problem}");
        let hint = problem["hint"].as_str().expect("text");
        assert!(hint.contains("pids"), "{problem}");
    }
    let of_cpu = format!("--socket {} --cgroup {}", socket(&daemon), cpu.path());
    let refused = run(&format!("wait --json --backend daemon -t 0.1 {of_cpu}"));
    refused.assert_refused(5, &["does not know exits", "hint: "]);
    // Without a named backend the BPF programs of the command take over.
    let mut victim = hybrid.member(&["pause"]);
    cpu.add(victim.pid());
    let waiting = Waiting::armed(&words(&of_cpu));
    waiting.wait_for_stderr("no exit is missed from here on");
    let pid = victim.pid();
    victim.kill();
    let output = waiting.finish();
    output.verdict("done");
    assert_eq!(output.exits(), [pid], "{output:#?}");
    assert!(output.stderr.contains("does not know exits"), "{output:#?}");
    let killed = hybrid.member(&["pause"]);
    cpu.add(killed.pid());
    let output = run(&format!("kill --json --records {of_cpu}"));
    output.verdict("done");
    assert_eq!(output.exits(), [killed.pid()], "{output:#?}");
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn the_owner_of_a_v1_cgroup_sees_its_processes_and_no_other_user_does() {
    let hybrid = Hybrid::new("owner");
    let daemon = Daemon::start(&["--mode", "0666"]);
    chown(hybrid.container.path(), Some(USER), None).expect("the test runs as root");
    let mut victim = hybrid.member(&["pause"]);
    let pid = victim.pid();
    // A process of the engine, which is in the same v2 cgroup.
    let mut engine = Victim::spawn(&["pause"], Some(&hybrid.engine));
    let socket = daemon.socket();
    let get = |uid, target: &str| as_user(uid, || http::send(socket, "GET", target, None));
    let path = format!("/v1/containers/{}", hybrid.id);
    let processes = get(USER, &path).json()["processes"].clone();
    assert_eq!(processes.as_array().map(Vec::len), Some(1), "{processes}");
    assert_eq!(processes[0]["pid"], pid);
    assert_eq!(get(STRANGER, &path).status, 404);
    victim.kill();
    engine.kill();
    let exits = |uid| -> Vec<u32> {
        let exits = get(uid, "/v1/exits").stream().rest();
        exits.iter().map(record::pid).collect()
    };
    assert_eq!(exits(USER), [pid]);
    assert_eq!(exits(STRANGER), [0; 0]);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root and runc"]
fn a_container_of_runc_is_known_by_its_state_if_v2_names_the_engine() {
    let hybrid = Hybrid::new("runc");
    let daemon = Daemon::start(&[]);
    let mut runc = Runc::in_own_pids("hybrid", "read -r line; exit 5");
    let init = u32::try_from(runc.state("pid").as_u64().expect("a pid")).expect("a pid");
    hybrid.engine.add(init);
    for socket in [socket(&daemon), "/no/such"] {
        Deadline::start().until("the container is listed", || {
            listed(socket, runc.name()).is_some_and(|it| it["live"] == 1)
        });
    }
    let mut trace = Probe::trace(&["--socket", "/no/such", "--pid", &init.to_string()]);
    runc.release();
    let exit = trace.exit_of(init);
    assert_eq!(exit["cgroup"], hybrid.place(), "{exit}");
    let expected = json!({"runtime": "runc", "id": runc.name()});
    assert_fields(&exit["container"], &expected);
    let last = format!("last --json --socket {}", socket(&daemon));
    let output = run(&format!("{last} --container {}", runc.name()));
    assert!(output.exits().contains(&init), "{output:#?}");
    let _output = daemon.stop();
}
