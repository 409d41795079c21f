//! Whether an empty cgroup can be removed at once: the kernel refuses `rmdir` while a task is
//! in the cgroup.

use std::{
    fs,
    io::{self, Write},
};

use probe_tests::{Cgroup, Deadline, Victim, scale};
use probe_user::model::CgroupState;
use rustix::process::Signal;

/// How often `rmdir` is refused right after the cgroup looks empty.
fn refusals(make: impl Fn() -> Cgroup, words: &[&str]) -> usize {
    (0..scale::rounds(40))
        .filter(|_| {
            let cgroup = make();
            let mut victim = Victim::spawn(words, Some(&cgroup));
            victim.release();
            let pinned = cgroup.pin();
            victim.signal(Signal::KILL);
            let is_empty = || pinned.state().expect("readable") == CgroupState::Empty;
            while !is_empty() {}
            let removed = fs::remove_dir(cgroup.path());
            victim.wait();
            Deadline::start().until("the cgroup can be removed", || {
                removed.is_ok() || fs::remove_dir(cgroup.path()).is_ok()
            });
            removed.is_err()
        })
        .count()
}

/// The numbers are in `docs/kernels.md`. A v1 cgroup may be refused.
#[test]
#[ignore = "needs root"]
fn an_empty_v2_cgroup_can_be_removed_at_once() {
    for words in [&["pause"][..], &["threads", "9", "pause"]] {
        let v2 = refusals(|| Cgroup::v2("departures"), words);
        let v1 = refusals(|| Cgroup::v1("pids", "departures"), words);
        let of = scale::rounds(40);
        let line = format!("{words:?}: rmdir refused {v2} of {of} on v2, {v1} of {of} on v1");
        writeln!(io::stderr(), "{line}").expect("stderr");
        assert_eq!(v2, 0, "{line}");
    }
}
