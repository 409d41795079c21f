//! Identity of an exited process: age, names, ids, parents.

use std::os::unix::fs::{MetadataExt, symlink};

use probe_tests::{Death, TracedCgroup, record, words};

const MILLISECOND_NS: u64 = 1_000_000;

/// Clock readings around the fork and the exit of a process.
struct Lifetime {
    born_ns: [u64; 2],
    died_ns: [u64; 2],
}

fn lifetime(death: &Death) -> Lifetime {
    let forked = death.report["forked_ns"].as_array().expect("two readings");
    let forked = |index: usize| forked[index].as_u64().expect("a reading");
    Lifetime {
        born_ns: [forked(0), forked(1)],
        died_ns: [
            record::number(death.before.last().expect("a stamp"), "dying_ns"),
            record::number(&death.report, "reaped_ns"),
        ],
    }
}

#[test]
#[ignore = "needs root"]
fn age_is_within_ten_milliseconds_of_the_truth() {
    let mut traced = TracedCgroup::new("age");
    for milliseconds in ["0", "1", "30", "250", "1300"] {
        let words = ["parent", "living", milliseconds, "stamped", "exit", "0"];
        // On a busy machine the readings may be too far apart.
        let death = (0..20)
            .map(|_| traced.run_parent(&words))
            .find(|death| {
                let Lifetime { born_ns, died_ns } = lifetime(death);
                born_ns[1] - born_ns[0] + died_ns[1] - died_ns[0] < 10 * MILLISECOND_NS
            })
            .expect("a quiet moment");
        let Lifetime { born_ns, died_ns } = lifetime(&death);
        let (exit, age_ns) = (&death.exit, record::number(&death.exit, "age_ns"));
        let start_ns = record::number(exit, "start_boottime_ns");
        let end_ns = record::number(exit, "boottime_ns");
        assert!(
            (born_ns[0]..=born_ns[1]).contains(&start_ns),
            "{exit} {born_ns:?}"
        );
        assert!(
            (died_ns[0]..=died_ns[1]).contains(&end_ns),
            "{exit} {died_ns:?}"
        );
        let possible = died_ns[0].saturating_sub(born_ns[1])..=died_ns[1] - born_ns[0];
        assert!(possible.contains(&age_ns), "{exit} {possible:?}");
        let least = milliseconds.parse::<u64>().expect("a number") * MILLISECOND_NS;
        assert!(age_ns >= least, "{exit}");
    }
}

#[test]
#[ignore = "needs root"]
fn age_counts_from_the_fork_of_the_process() {
    let mut traced = TracedCgroup::new("old");
    for words in [
        ["parent", "living", "100", "in-thread", "exit", "0"],
        ["parent", "living", "100", "exec", "exit", "0"],
    ] {
        let death = traced.run_parent(&words);
        let age_ns = record::number(&death.exit, "age_ns");
        assert!(age_ns >= 100 * MILLISECOND_NS, "{}", death.exit);
    }
}

/// Nanoseconds since 1970, by date(1).
fn date(args: &[&str]) -> u64 {
    let output = std::process::Command::new("date").args(args).output();
    let text = String::from_utf8(output.expect("date(1) runs").stdout);
    let number = text.ok().and_then(|text| text.trim().parse().ok());
    number.expect("date(1) prints a number")
}

#[test]
#[ignore = "needs root"]
fn the_wall_clock_time_is_the_time_of_the_exit() {
    let mut traced = TracedCgroup::new("time");
    let death = traced.run_parent(&["parent", "exit", "0"]);
    // The moment of the exit, by both clocks.
    let since_exit_ns = probe_tests::boottime_ns() - record::number(&death.exit, "boottime_ns");
    let now = date(&["+%s%N"]);
    let reported = death.exit["time"].as_str().expect("a time");
    let reported = date(&["--date", reported, "+%s%N"]);
    let off_ns = (now - since_exit_ns).abs_diff(reported);
    // Two programs were started between the readings.
    assert!(off_ns < 1000 * MILLISECOND_NS, "{off_ns} in {}", death.exit);
}

#[test]
#[ignore = "needs root"]
fn uid_is_the_uid_at_the_exit() {
    let mut traced = TracedCgroup::new("uid");
    for uid in [0, 1234, 65534] {
        let death = traced.run_parent(&["parent", "as", &format!("{uid}"), "exit", "0"]);
        assert_eq!(death.exit["uid"], uid);
    }
    // The uid is 65534 inside the namespace and 1234 outside.
    let death = traced.run_parent(&["parent", "as", "1234", "user-namespace", "exit", "0"]);
    assert_eq!(death.exit["uid"], 1234);
}

#[test]
#[ignore = "needs root"]
fn ppid_is_the_parent_even_of_an_orphan() {
    let mut traced = TracedCgroup::new("ppid");
    for words in [
        &["parent", "exit", "0"] as &[_],
        &["vfork", "0"],
        // The first parent has died; the subreaper is the parent now.
        &["double-fork", "exit", "0"],
    ] {
        let death = traced.run_parent(words);
        assert_eq!(death.exit["ppid"], death.report["parent"], "{words:?}");
    }
    let mut victim = traced.ready(&["ready", "held", "exit", "0"]);
    victim.release();
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["ppid"], std::process::id());
}

#[test]
#[ignore = "needs root"]
fn an_orphan_is_reported_once() {
    let mut traced = TracedCgroup::new("orphan");
    let death = traced.run_parent(&["double-fork", "signal", "9"]);
    let reported = traced.finish();
    let _once = reported.only_exit_of(record::pid(&death.report));
    // The orphan, its parent, and the subreaper.
    assert_eq!(reported.exits().count(), 3);
}

#[test]
#[ignore = "needs root"]
fn a_process_in_a_pid_namespace_has_both_pids() {
    let mut traced = TracedCgroup::new("namespace");
    let death = traced.run_parent(&["pid-namespace", "ready", "exit", "4"]);
    assert_eq!(death.before[0]["pid"], 1);
    let (exit, outer) = (&death.exit, record::pid(&death.report));
    assert_ne!(outer, 1);
    assert_eq!(exit["pid"], outer);
    assert_eq!(exit["ns"]["pid"], 1, "{exit}");
    let ours = std::fs::metadata("/proc/self/ns/pid")
        .expect("Linux 3.8")
        .ino();
    assert_ne!(exit["ns"]["pid_ns"], ours, "{exit}");
    let death = traced.run_parent(&["parent", "exit", "0"]);
    assert_eq!(death.exit["ns"]["pid_ns"], ours);
    assert_eq!(death.exit["ns"]["pid"], death.exit["pid"]);
}

fn assert_comm(traced: &mut TracedCgroup, words: &[&str], comm: &str) {
    let death = traced.run_parent(words);
    assert_eq!(death.exit["comm"], comm, "{words:?}");
}

#[test]
#[ignore = "needs root"]
fn comm_is_the_last_name_of_the_process() {
    let mut traced = TracedCgroup::new("comm");
    assert_comm(&mut traced, &["parent", "exit", "0"], "victim");
    for name in ["fifteen_letters", "a \"b\"\t(c) d", "käse", ""] {
        let words = ["parent", "named", name, "exit", "0"];
        assert_comm(&mut traced, &words, name);
    }
    // The name of the last task does not count.
    let line = "parent named boss in-thread named worker exit 0";
    assert_comm(&mut traced, &words(line), "boss");
}

#[test]
#[ignore = "needs root"]
fn comm_is_the_name_of_the_program_after_exec() {
    let mut traced = TracedCgroup::new("program");
    let directory = tempfile::tempdir().expect("a place for a link");
    let program = directory.path().join("other-program-name");
    symlink("/proc/self/exe", &program).expect("a new name");
    let program = program.to_str().expect("UTF-8");
    // The kernel truncates the name.
    let comm = "other-program-n";
    let exec = ["exec-as", program];
    for before in [
        &["parent"] as &[&str],
        &["parent", "named", "x"],
        &["parent", "in-thread"],
    ] {
        let words = [before, &exec, &["exit", "0"]].concat();
        assert_comm(&mut traced, &words, comm);
    }
    let words = [
        &["parent"],
        &exec as &[&str],
        &["named", "after", "exit", "0"],
    ]
    .concat();
    assert_comm(&mut traced, &words, "after");
}
