//! Paths of cgroups that change, or are too long for one call, and processes with threads in
//! several cgroups.

use std::{
    fs::{self, File},
    io::Write,
    os::fd::OwnedFd,
};

use probe_tests::{Cgroup, Daemon, Probe, Victim, record};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use serde_json::{Value, json};

#[test]
#[ignore = "needs root"]
fn a_renamed_v1_cgroup_and_those_below_it_have_their_new_paths() {
    let renamed = Cgroup::v1("pids", "before");
    let inner = renamed.sub("inner");
    let mut victim = Victim::spawn(&["exit", "0"], None);
    Cgroup::leave_all(victim.pid());
    inner.add(victim.pid());
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket().to_str().expect("a path of ours");
    let pid = victim.pid().to_string();
    let traces = [
        vec!["--pid", &pid],
        vec!["--cgroup", renamed.path()],
        vec!["--cgroup", inner.path()],
        vec!["--cgroup", renamed.path(), "--socket", socket],
    ];
    let mut traces = traces.map(|args| Probe::trace(&args));
    let after = renamed.path().replace("-before", "-after");
    fs::rename(renamed.path(), &after).expect("v1 allows this");
    victim.release();
    let exits = traces.each_mut().map(|it| it.exit_of(victim.pid()));
    assert_eq!(victim.wait(), 0);
    fs::rename(&after, renamed.path()).expect("v1 allows this");
    let expected = inner.name().replace("-before", "-after");
    for exit in exits {
        assert!(places(&exit).contains(&json!(expected)), "{exit}");
    }
}

/// The paths of the cgroups of a record.
fn places(exit: &Value) -> [Value; 2] {
    ["cgroup", "v1_cgroup"].map(|it| exit[it]["path"].clone())
}

/// Nested cgroups with a path beyond `PATH_MAX`. Dropping it removes them.
struct Deep {
    name: String,
    directories: Vec<OwnedFd>,
}

impl Deep {
    const DEPTH: usize = 20;

    fn below(top: &Cgroup) -> Self {
        let name = "x".repeat(250);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut deep = Self {
            directories: vec![File::open(top.path()).expect("our own directory").into()],
            name,
        };
        for _ in 0..Self::DEPTH {
            let last = deep.directories.last().expect("not empty");
            mkdirat(last, &deep.name, Mode::RWXU).expect("a cgroup");
            let next = openat(last, &deep.name, flags, Mode::empty()).expect("a directory");
            deep.directories.push(next);
        }
        deep
    }

    fn add(&self, pid: u32) {
        let last = self.directories.last().expect("not empty");
        let file = openat(last, "cgroup.procs", OFlags::WRONLY, Mode::empty());
        let mut file = File::from(file.expect("a cgroup"));
        write!(file, "{pid}").expect("the process lives");
    }
}

impl Drop for Deep {
    fn drop(&mut self) {
        self.directories.pop();
        while let Some(parent) = self.directories.pop() {
            let _removed = unlinkat(&parent, &self.name, AtFlags::REMOVEDIR);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_path_beyond_path_max_is_reported() {
    for is_made_before in [true, false] {
        let top = Cgroup::v2("deep");
        let mut deep = is_made_before.then(|| Deep::below(&top));
        let mut victim = Victim::spawn(&["exit", "0"], None);
        let mut probe = Probe::trace(&["--cgroup", top.path()]);
        let deep = deep.take().unwrap_or_else(|| Deep::below(&top));
        deep.add(victim.pid());
        victim.release();
        let exit = probe.exit_of(victim.pid());
        assert_eq!(victim.wait(), 0);
        top.wait_empty();
        let expected = format!(
            "{}{}",
            top.name(),
            format!("/{}", deep.name).repeat(Deep::DEPTH)
        );
        assert!(expected.len() > 4096);
        assert_eq!(
            exit["cgroup"]["path"],
            expected.as_str(),
            "{is_made_before}"
        );
    }
}

fn place(cgroup: &Cgroup) -> Value {
    json!({"hierarchy": 0, "id": cgroup.id(), "path": cgroup.name()})
}

#[test]
#[ignore = "needs root"]
fn a_process_is_filed_by_the_cgroup_of_its_leader() {
    let top = Cgroup::v2("threaded");
    let [leaders, others] = ["leaders", "others"].map(|name| {
        let cgroup = top.sub(name);
        cgroup.write("cgroup.type", "threaded");
        cgroup
    });
    let mut victim = Victim::spawn(
        &["leader-gone", "3", "ready", "held", "exit", "5"],
        Some(&top),
    );
    leaders.write("cgroup.threads", &victim.pid().to_string());
    let mut of_leaders = Probe::trace(&["--cgroup", leaders.path()]);
    let of_others = Probe::trace(&["--cgroup", others.path()]);
    victim.release();
    let tid = record::number(&victim.report(), "tid");
    others.write("cgroup.threads", &tid.to_string());
    victim.release();
    let exit = of_leaders.exit_of(victim.pid());
    assert_eq!(victim.wait(), 5 << 8);
    assert_eq!(exit["cgroup"], place(&leaders));
    assert_eq!(exit["task"]["cgroup"], place(&others));
    assert_eq!(of_others.finish().exits().count(), 0);
}
