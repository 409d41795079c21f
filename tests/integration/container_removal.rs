//! The situations in which the test suites of runc and crun kill and delete containers, with
//! `probe kill` as the kill: the runtime must be able to delete the container at once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use probe_tests::{
    Cgroup, Deadline, FrozenV1, Output, Runc, Waiting, has_v1, inapplicable, is_alive, probe,
};
use probe_user::unstable::cgroup::mounts::Mounts;
use serde_json::{Value, json};
use tempfile::TempDir;

const SCRIPT: &str = "sleep 600 & sleep 601 & exec sleep 602";

/// Number of processes of the script.
const PROCESSES: usize = 3;

/// A container in a cgroup of this name.
struct Setting {
    root: TempDir,
    container: Runc,
    cgroup: String,
}

impl Setting {
    fn new(label: &str) -> Self {
        Self::configured(label, |_| ())
    }

    fn configured(label: &str, configure: impl FnOnce(&mut Value)) -> Self {
        let root = TempDir::new().expect("a directory");
        let cgroup = format!("/probe-test-{}-{label}", std::process::id());
        let container = Runc::configured(label, SCRIPT, root.path(), |spec| {
            spec["linux"]["cgroupsPath"] = json!(cgroup);
            configure(spec);
        });
        let setting = Self {
            root,
            container,
            cgroup,
        };
        let all = || setting.members().len() == PROCESSES;
        Deadline::start().until("all processes run", all);
        setting
    }

    fn run(&self, verb: &[&str]) -> Output {
        let root = self.root.path().to_str().expect("UTF-8");
        let target = ["--runtime-root", root, "--container", self.container.name()];
        probe(&[verb, &target].concat())
    }

    /// Directories of the cgroup in every hierarchy.
    fn directories(&self) -> Vec<PathBuf> {
        let mounts = Mounts::read().expect("cgroup mounts");
        let below = self.cgroup.trim_start_matches('/');
        let all = mounts.iter().map(|it| it.mount_point.join(below));
        all.filter(|it| it.is_dir()).collect()
    }

    /// The directories without that of the v1 controller cpuset: a new cgroup there accepts no
    /// process.
    fn movable(&self) -> impl Iterator<Item = PathBuf> {
        let directories = self.directories().into_iter();
        directories.filter(|it| !it.join("cpuset.memory_migrate").exists())
    }

    /// The processes in the cgroup, without those in cgroups below it.
    fn members(&self) -> Vec<u32> {
        let directory = self.movable().next().expect("a cgroup");
        let procs = fs::read_to_string(directory.join("cgroup.procs")).expect("it is there");
        procs.lines().map(|it| it.parse().expect("a pid")).collect()
    }

    fn init(&self) -> u32 {
        let pid = self.container.state("pid").as_u64().expect("a pid");
        u32::try_from(pid).expect("a pid")
    }

    /// Asserts that these processes have ended, and that runc deletes the container at once
    /// with its cgroup.
    fn assert_deletable(&self, processes: &[u32], output: &Output) {
        let deleted = self.container.run("delete");
        let living: Vec<_> = processes.iter().filter(|pid| is_alive(**pid)).collect();
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert!(living.is_empty(), "{living:?} live: {output:#?}");
        assert!(deleted.status.success(), "{deleted:?} after {output:#?}");
        assert!(self.container.state("id").is_null(), "runc knows it still");
        let left = self.directories();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn namespaces(spec: &mut Value) -> &mut Vec<Value> {
    spec["linux"]["namespaces"].as_array_mut().expect("a list")
}

#[test]
#[ignore = "needs root"]
fn a_killed_container_is_deleted_with_its_cgroup() {
    let setting = Setting::new("removed");
    let members = setting.members();
    let output = setting.run(&["kill", "-t", "30"]);
    setting.assert_deletable(&members, &output);
}

#[test]
#[ignore = "needs root"]
fn a_second_kill_of_a_stopped_container_succeeds_and_runc_deletes_it() {
    let setting = Setting::new("twice");
    let members = setting.members();
    for _ in 0..2 {
        let output = setting.run(&["kill", "-t", "30"]);
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert_eq!(setting.container.state("status"), json!("stopped"));
    }
    let output = setting.run(&["wait", "-t", "0"]);
    setting.assert_deletable(&members, &output);
}

/// Without a pid namespace the other processes outlive the init process, and runc calls the
/// container stopped.
#[test]
#[ignore = "needs root"]
fn processes_that_outlive_init_are_killed_so_that_runc_deletes_the_container() {
    let setting = Setting::configured("orphans", |spec| {
        namespaces(spec).retain(|it| it["type"] != "pid");
    });
    let members = setting.members();
    let init = setting.init();
    probe_tests::kill(init);
    Deadline::start().until("init has ended", || !is_alive(init));
    assert_eq!(setting.members().len(), PROCESSES - 1);
    let output = setting.run(&["wait", "-t", "0.2"]);
    assert_eq!(output.code, Some(3), "two processes live: {output:#?}");
    let output = setting.run(&["kill", "-t", "30"]);
    setting.assert_deletable(&members, &output);
}

#[test]
#[ignore = "needs root"]
fn a_container_in_the_pid_namespace_of_another_one_dies_alone() {
    let host = Setting::new("host");
    let namespace = format!("/proc/{}/ns/pid", host.init());
    let guest = Setting::configured("guest", |spec| {
        let mut pid = namespaces(spec).iter_mut().filter(|it| it["type"] == "pid");
        pid.next().expect("its own by default")["path"] = json!(namespace);
    });
    let (members, bystanders) = (guest.members(), host.members());
    let output = guest.run(&["kill", "-t", "30"]);
    guest.assert_deletable(&members, &output);
    assert_eq!(host.members(), bystanders, "{output:#?}");
    let output = host.run(&["kill", "-t", "30"]);
    host.assert_deletable(&bystanders, &output);
}

#[test]
#[ignore = "needs root"]
fn a_process_in_a_cgroup_below_the_containers_is_killed_with_it() {
    let setting = Setting::new("nested");
    let members = setting.members();
    let moved = *members.last().expect("three processes");
    for directory in setting.movable() {
        let below = directory.join("below");
        fs::create_dir(&below).expect("root may do this");
        fs::write(below.join("cgroup.procs"), moved.to_string()).expect("root may do this");
    }
    assert_eq!(setting.members().len(), PROCESSES - 1);
    let output = setting.run(&["kill", "-t", "30"]);
    setting.assert_deletable(&members, &output);
}

#[test]
#[ignore = "needs root"]
fn a_wait_ends_when_the_cgroup_is_removed_with_its_parents() {
    let root = TempDir::new().expect("a directory");
    let top = format!("/probe-test-{}-parents", std::process::id());
    let cgroup = format!("{top}/one/two");
    let container = Runc::placed("parents", SCRIPT, root.path(), &cgroup);
    let setting = Setting {
        root,
        container,
        cgroup,
    };
    let root = setting.root.path().to_str().expect("UTF-8");
    let name = setting.container.name();
    let waiting = Waiting::armed(&["--runtime-root", root, "--container", name]);
    let mut parents = setting.directories();
    let output = setting.run(&["kill", "-t", "30"]);
    setting.assert_deletable(&[], &output);
    for _ in 0..2 {
        parents = parents
            .iter()
            .filter_map(|it| it.parent().map(Path::to_owned))
            .collect();
        for directory in &parents {
            fs::remove_dir(directory).expect("it is empty");
        }
    }
    let output = waiting.finish();
    output.verdict("done");
}

/// crun's suite moves the init process into a frozen cgroup of v1, where SIGKILL has no effect.
#[test]
#[ignore = "needs root"]
fn a_container_whose_init_is_frozen_elsewhere_has_not_stopped() {
    if !has_v1("freezer") {
        inapplicable("v2 kills frozen processes");
    }
    let setting = Setting::new("elsewhere");
    let members = setting.members();
    let elsewhere = Cgroup::v1("freezer", "elsewhere");
    elsewhere.write("cgroup.procs", &setting.init().to_string());
    let frozen = FrozenV1::new(&elsewhere);
    let output = setting.run(&["kill", "-t", "0.5"]);
    assert_eq!(output.code, Some(3), "init lives: {output:#?}");
    drop(frozen);
    let output = setting.run(&["wait", "-t", "30"]);
    setting.assert_deletable(&members, &output);
}
