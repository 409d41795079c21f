//! Names that end like that of a removed cgroup, names that are not UTF-8, and names that
//! several cgroups had one after the other.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use probe_tests::{Cgroup, Victim, Waiting, conditions, kernel, probe_in, wait_for_state};
use rustix::process::Signal;

use super::{BACKENDS, wait};

/// A child cgroup with any name. It has to be empty when this is dropped.
struct Child(PathBuf);

impl Child {
    fn of(parent: &Cgroup, name: &[u8]) -> Self {
        let path = Path::new(parent.path()).join(OsStr::from_bytes(name));
        fs::create_dir(&path).expect("root may do this");
        Self(path)
    }

    fn add(&self, victim: &Victim) {
        let procs = self.0.join("cgroup.procs");
        fs::write(procs, victim.pid().to_string()).expect("it lives");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).expect("the cgroup is empty");
    }
}

/// A zombie that was in the cgroup until its end.
fn zombie_in(cgroup: &Child) -> Victim {
    let victim = Victim::spawn(&["pause"], None);
    cgroup.add(&victim);
    victim.signal(Signal::KILL);
    wait_for_state(victim.pid(), 'Z');
    victim
}

#[test]
#[ignore = "needs root"]
fn a_zombie_in_a_cgroup_with_any_name_is_not_reaped() {
    let names: [&[u8]; 4] = [
        b"a (deleted)",
        b"a (deleted) (deleted)",
        b"\xff\xfe",
        "напоминание".as_bytes(),
    ];
    for name in names {
        for is_below in [false, true] {
            let parent = Cgroup::v2("names");
            let child = Child::of(&parent, name);
            let mut victim = zombie_in(&child);
            let target = if is_below {
                Path::new(parent.path())
            } else {
                &child.0
            };
            for backend in BACKENDS {
                let mut command = conditions::unrestricted(&["wait", "--json", "-t", "0"]);
                command.args(["--until", "reaped", "--backend", backend, "--cgroup"]);
                let output = probe_in(command.arg(target));
                let is_known = kernel::reports_cgroup_by_pidfd() || is_below;
                if is_known || output.code != Some(0) {
                    output.verdict("timeout");
                } else {
                    assert_eq!(output.verdict("already")["exact"], false, "{output:#?}");
                }
            }
            victim.wait();
            let mut command = conditions::unrestricted(&["wait", "--json", "-t", "10"]);
            command.args(["--until", "reaped", "--cgroup"]);
            probe_in(command.arg(target)).verdict("already");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_zombie_of_an_earlier_or_later_cgroup_of_the_name_is_a_stranger() {
    if !kernel::reports_cgroup_by_pidfd() {
        probe_tests::inapplicable("the kernel does not tell the cgroup of a zombie");
    }
    let parent = Cgroup::v2("again");
    let below = |child: &Child| {
        let path = child.0.join("below");
        fs::create_dir(&path).expect("root may do this");
        Child(path)
    };
    let earlier = Child::of(&parent, b"x");
    let mut zombies = vec![zombie_in(&earlier), zombie_in(&below(&earlier))];
    drop(earlier);
    let target = Child::of(&parent, b"x");
    let path = target.0.to_str().expect("UTF-8").to_owned();
    let args = ["--until", "reaped", "--cgroup", &path];
    wait(&[&["-t", "0"], &args[..]].concat()).verdict("already");
    let mut own = zombie_in(&target);
    let armed = BACKENDS.map(|it| Waiting::armed(&[&["--backend", it], &args[..]].concat()));
    drop(target);
    let later = Child::of(&parent, b"x");
    zombies.push(zombie_in(&below(&later)));
    for waiting in &armed {
        waiting.assert_running();
    }
    own.wait();
    for waiting in armed {
        let verdict = waiting.finish().verdict("done");
        // Without BPF a member may have entered and left between two looks.
        assert_eq!(verdict["exact"], verdict["backend"] == "bpf", "{verdict}");
    }
    for zombie in &mut zombies {
        zombie.wait();
    }
}
