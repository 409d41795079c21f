//! `probe last --container` with names that pass from one container to another, and with a
//! container that is renamed.

use std::{fs, path::Path, process::Command};

use probe_tests::{
    Cgroup, Daemon, Deadline, Output, Runc, Victim, Waiting, conditions, kill, record,
    requirements, run,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::working_daemon::socket;

/// Mounts `$1` at `/var/lib`, and runs the other arguments.
const WITH_STATE: &str = r#"mount --bind "$1" /var/lib && shift && exec "$@""#;

/// A daemon that sees Docker's state in a directory of the test.
struct Docker {
    daemon: Daemon,
    state: TempDir,
    cgroup: Cgroup,
}

impl Docker {
    fn start() -> Self {
        requirements::require_bpf();
        let state = Daemon::directory();
        fs::create_dir_all(state.path().join("docker/containers")).expect("our own directory");
        let socket = state.path().join("probe.sock");
        let path = socket.to_str().expect("UTF-8");
        let probe = conditions::unrestricted(&["daemon", "--runtime-names", "--socket", path]);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", WITH_STATE, "sh"]);
        command.arg(state.path()).arg(probe.get_program());
        Self {
            daemon: Daemon::start_in(command.args(probe.get_args()), &socket),
            state,
            cgroup: Cgroup::v2("named"),
        }
    }

    fn id(&self, number: u32) -> String {
        format!("{:056x}{number:08x}", self.cgroup.id())
    }

    /// Writes the state of a container with this name.
    fn name(&self, id: &str, name: &str) {
        let directory = self.state.path().join("docker/containers").join(id);
        fs::create_dir_all(&directory).expect("our own directory");
        let config = json!({"ID": id, "Name": format!("/{name}"), "State": {"Pid": 0}});
        fs::write(directory.join("config.v2.json"), config.to_string()).expect("our own file");
    }

    fn forget(&self, id: &str) {
        let directory = self.state.path().join("docker/containers").join(id);
        fs::remove_dir_all(directory).expect("our own directory");
    }

    /// Runs a process in the cgroup of a container until its end; returns the pid.
    fn exit_in(&self, id: &str) -> u32 {
        let cgroup = self.cgroup.sub(&format!("docker-{id}.scope"));
        let mut victim = Victim::start(&["exit", "3"], Some(&cgroup));
        victim.wait();
        victim.pid()
    }

    fn last(&self, more: &str) -> Output {
        run(&format!("last --socket {} {more}", socket(&self.daemon)))
    }

    /// The pids of the exits with this name, and whether a note says that there are older ones.
    fn exits(&self, more: &str) -> (Vec<u32>, bool) {
        let output = self.last(&format!("--json {more}"));
        assert_eq!(output.code, Some(0), "{output:#?}");
        let note = output.stderr.contains("--all also shows 1 older container");
        (output.exits(), note)
    }
}

#[test]
#[ignore = "needs root"]
fn the_newest_container_of_a_name_is_shown_and_a_note_counts_the_older_ones() {
    let docker = Docker::start();
    let [old, new] = [1, 2].map(|it| docker.id(it));
    docker.name(&old, "web");
    let first = docker.exit_in(&old);
    assert_eq!(docker.exits("--container web"), (vec![first], false));
    docker.forget(&old);
    assert_eq!(docker.exits("--container web"), (vec![first], false));
    docker.name(&new, "web");
    let second = docker.exit_in(&new);
    let newest = (vec![second], true);
    assert_eq!(docker.exits("--container web"), newest, "it exists");
    docker.forget(&new);
    assert_eq!(docker.exits("--container web"), newest, "it is gone");
    let both = (vec![first, second], false);
    assert_eq!(docker.exits("--all --container web"), both);
    for (id, pid) in [(&old, first), (&new, second)] {
        assert_eq!(
            docker.exits(&format!("--container {id}")),
            (vec![pid], false)
        );
    }
    let table = docker.last("--all --container web");
    for id in [&old, &new] {
        let cell = format!("{} docker:web", &id[..12]);
        assert!(table.stdout.contains(&cell), "no '{cell}' in {table:#?}");
    }
    let answer = docker.daemon.get("/v1/exits?container=web");
    let header = |name: &str| answer.header(name).map(str::to_owned);
    assert_eq!(header("probe-container"), Some(format!("docker/{new}")));
    assert_eq!(header("probe-other-containers").as_deref(), Some("1"));
    let misused = docker.last("--all");
    misused.assert_refused(2, &["--container"]);
}

#[test]
#[ignore = "needs root"]
fn a_renamed_container_is_found_by_its_old_and_by_its_new_name() {
    let docker = Docker::start();
    let [renamed, other] = [1, 2].map(|it| docker.id(it));
    docker.name(&renamed, "web");
    let first = docker.exit_in(&renamed);
    assert_eq!(docker.exits("--container web"), (vec![first], false));
    docker.name(&renamed, "old-web");
    for name in ["web", "old-web"] {
        let exits = docker.exits(&format!("--container {name}"));
        assert_eq!(exits, (vec![first], false), "{name}");
    }
    // Another container takes the old name.
    docker.name(&other, "web");
    let second = docker.exit_in(&other);
    assert_eq!(docker.exits("--container web"), (vec![second], true));
    assert_eq!(docker.exits("--container old-web"), (vec![first], false));
    let both = (vec![first, second], false);
    assert_eq!(docker.exits("--all --container web"), both);
}

#[test]
#[ignore = "needs root and runc"]
fn one_id_with_its_state_in_two_places_is_two_containers() {
    let daemon = Daemon::start(&[]);
    let places = ["/run/runc", "/run/crun"].map(Path::new);
    let containers = places.map(|root| {
        let name = root.file_name().and_then(|it| it.to_str()).expect("UTF-8");
        let cgroup = format!("/probe-test-{}-last-{name}", std::process::id());
        Runc::placed("last", "exec sleep 600", root, &cgroup)
    });
    let id = containers[0].name();
    let ps = format!("ps --json --socket {}", socket(&daemon));
    let listed = || {
        let lines = run(&ps).json();
        let of_id = lines.into_iter().filter(|line| line["id"] == id);
        of_id.map(|it| it["location"].clone()).collect::<Vec<_>>()
    };
    let both: Vec<Value> = places.iter().map(|it| json!(it)).rev().collect();
    Deadline::start().until("both are listed", || listed() == both);
    let inits = containers.each_ref().map(|it| {
        let pid = it.state("pid").as_u64().expect("a pid");
        u32::try_from(pid).expect("a pid")
    });
    let last = |more: &str| run(&format!("last --json --socket {} {more}", socket(&daemon)));
    let of_id = format!("--container {id}");
    for pid in inits {
        kill(pid);
        Deadline::start().until("the exit is recorded", || {
            last(&pid.to_string()).exits() == [pid]
        });
    }
    let refused = last(&of_id);
    refused.assert_refused(2, &["/run/runc", "/run/crun"]);
    let places_of = |more: &str| -> Vec<(u32, Value)> {
        let exits = last(more).json().into_iter();
        let of_init = exits.filter(|exit| inits.contains(&record::pid(exit)));
        of_init
            .map(|exit| (record::pid(&exit), exit["container"]["location"].clone()))
            .collect()
    };
    let [first, second] = [(inits[0], json!(places[0])), (inits[1], json!(places[1]))];
    assert_eq!(
        places_of(&format!("--container crun/{id}")),
        vec![second.clone()]
    );
    let all = format!("--all {of_id}");
    assert_eq!(places_of(&all), vec![first.clone(), second.clone()]);
    drop(containers);
    assert_eq!(places_of(&of_id), vec![second.clone()]);
    assert_eq!(places_of(&all), vec![first, second]);
    let _output = daemon.stop();
    // Fails if the directory is in use.
    let _removed = fs::remove_dir(places[1]);
}

/// Runs a process that exits with this code; returns its pid.
fn exit_with(code: &str) -> u32 {
    let mut victim = Victim::start(&["exit", code], None);
    victim.wait();
    victim.pid()
}

#[test]
#[ignore = "needs root"]
fn conditions_periods_and_pids_select_exits_of_the_history() {
    requirements::require_bpf();
    let daemon = Daemon::start(&[]);
    let last = |more: &str| run(&format!("last --socket {} --json {more}", socket(&daemon)));
    let [one, two] = ["3", "0"].map(exit_with);
    let mut killed = Victim::spawn(&["pause"], None);
    killed.kill();
    let three = killed.pid();
    let pids = format!("{one},{two} {three}");
    // In the order of the lines.
    let exits = |more: &str| {
        let lines = last(&format!("{pids} {more}")).json();
        lines.iter().map(record::pid).collect::<Vec<_>>()
    };
    assert_eq!(exits(""), [one, two, three]);
    assert_eq!(exits("--reverse"), [three, two, one]);
    assert_eq!(exits("-n 2"), [two, three]);
    assert_eq!(exits("--failed"), [one, three]);
    assert_eq!(exits("--signaled --uid root --comm v?ctim"), [three]);
    assert_eq!(exits("--since today"), exits("--since 1h"));
    assert_eq!(last(&format!("{one} --oom")).exits(), [0_u32; 0]);
    for period in ["--until yesterday", "--max-age 1ns", "--uid nobody"] {
        let none = last(&format!("{pids} {period}"));
        assert_eq!((none.code, none.exits().len()), (Some(0), 0), "{none:#?}");
        none.assert_ended(0, &["note: no exit of process", "matches"]);
    }
    last("--since soon").assert_refused(2, &["--since: invalid time", "hint: "]);
    last("--since 1h --until 2h").assert_refused(2, &["later than --until"]);
    last("1:5").assert_refused(2, &["hint: use the pid alone"]);
}

#[test]
#[ignore = "needs root"]
fn a_target_that_never_existed_is_no_such_target() {
    requirements::require_bpf();
    let daemon = Daemon::start(&[]);
    let last = |more: &str| run(&format!("last --socket {} {more}", socket(&daemon)));
    let parent = Cgroup::v2("never");
    let missing = format!("{}/no does not exist", parent.path());
    let never = format!("--cgroup {}/no/such", parent.path());
    last(&never).assert_refused(4, &["no exit of cgroup", &missing]);
    last("4194305").assert_refused(4, &["no exit of process 4194305", "hint: "]);
    last("--unit no-such-unit").assert_refused(4, &["unit no-such-unit.service", "hint: "]);
    last("--container no-such-container").assert_refused(4, &["no container"]);
    let idle = last(&format!("--cgroup {}", parent.path()));
    idle.assert_ended(0, &["the history has no exit of cgroup"]);
}

#[test]
#[ignore = "needs root"]
fn follow_shows_each_exit_once_from_the_history_and_the_stream() {
    requirements::require_bpf();
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("follow");
    let exit = || {
        let mut victim = Victim::start(&["exit", "3"], Some(&cgroup));
        victim.wait();
        victim.pid()
    };
    let mut pids = vec![exit()];
    let path = cgroup.path();
    let args = [
        "last",
        "-f",
        "--json",
        "--socket",
        socket(&daemon),
        "--cgroup",
        path,
    ];
    let following = Waiting::start(&mut conditions::unrestricted(&args));
    following.wait_for_exit_of(pids[0]);
    for _ in 0..3 {
        let pid = exit();
        following.wait_for_exit_of(pid);
        pids.push(pid);
    }
    following.signal(rustix::process::Signal::INT);
    let output = following.finish();
    // The test has read the lines of all exits already.
    assert_eq!(
        (output.code, output.exits()),
        (Some(0), Vec::new()),
        "{output:#?}"
    );
}
