//! Who it was: age, names, ids, parents.

use std::os::unix::fs::{MetadataExt, symlink};

use probe_tests::{Death, TracedCgroup, record};

const MILLISECOND_NS: u64 = 1_000_000;

/// Clock readings around the two ends of a life.
struct ProcessState {
    born_ns: [u64; 2],
    died_ns: [u64; 2],
}

fn life(judged: &Death) -> ProcessState {
    let forked = judged.report["forked_ns"].as_array().expect("two readings");
    let forked = |index: usize| forked[index].as_u64().expect("a reading");
    ProcessState {
        born_ns: [forked(0), forked(1)],
        died_ns: [
            record::number(judged.before.last().expect("a stamp"), "dying_ns"),
            record::number(&judged.report, "reaped_ns"),
        ],
    }
}

#[test]
#[ignore = "needs root"]
fn age_is_within_ten_milliseconds_of_the_truth() {
    let mut trial = TracedCgroup::new("age");
    for milliseconds in ["0", "1", "30", "250", "1300"] {
        let words = ["parent", "living", milliseconds, "stamped", "exit", "0"];
        // On a busy machine the truth itself may not be known well enough.
        let judged = (0..20)
            .map(|_| trial.judge(&words))
            .find(|judged| {
                let ProcessState { born_ns, died_ns } = life(judged);
                born_ns[1] - born_ns[0] + died_ns[1] - died_ns[0] < 10 * MILLISECOND_NS
            })
            .expect("a quiet moment");
        let ProcessState { born_ns, died_ns } = life(&judged);
        let (exit, age_ns) = (&judged.exit, record::number(&judged.exit, "age_ns"));
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
    let mut trial = TracedCgroup::new("old");
    for words in [
        ["parent", "living", "100", "in-thread", "exit", "0"],
        ["parent", "living", "100", "exec", "exit", "0"],
    ] {
        let judged = trial.judge(&words);
        let age_ns = record::number(&judged.exit, "age_ns");
        assert!(age_ns >= 100 * MILLISECOND_NS, "{}", judged.exit);
    }
}

#[test]
#[ignore = "needs root"]
fn the_wall_clock_time_is_the_time_of_the_exit() {
    let mut trial = TracedCgroup::new("time");
    let judged = trial.judge(&["parent", "exit", "0"]);
    // The same moment, by the two clocks.
    let since_exit_ns = probe_tests::boottime_ns() - record::number(&judged.exit, "boottime_ns");
    let now = std::process::Command::new("date").arg("+%s%N").output();
    let now = String::from_utf8(now.expect("there is a date(1)").stdout).expect("digits");
    let now: u64 = now.trim().parse().expect("nanoseconds since 1970");
    let told = judged.exit["time"].as_str().expect("a time").to_owned();
    let told = std::process::Command::new("date")
        .args(["--date", &told, "+%s%N"])
        .output();
    let told = String::from_utf8(told.expect("there is a date(1)").stdout).expect("digits");
    let told: u64 = told.trim().parse().expect("a time that date(1) can read");
    let off_ns = (now - since_exit_ns).abs_diff(told);
    // Two programs were started between the readings.
    assert!(
        off_ns < 1000 * MILLISECOND_NS,
        "{off_ns} in {}",
        judged.exit
    );
}

#[test]
#[ignore = "needs root"]
fn uid_is_the_uid_at_the_exit() {
    let mut trial = TracedCgroup::new("uid");
    for uid in [0, 1234, 65534] {
        let judged = trial.judge(&["parent", "as", &format!("{uid}"), "exit", "0"]);
        assert_eq!(judged.exit["uid"], uid);
    }
    // Inside, nobody; seen from here the same user.
    let judged = trial.judge(&["parent", "as", "1234", "user-namespace", "exit", "0"]);
    assert_eq!(judged.exit["uid"], 1234);
}

#[test]
#[ignore = "needs root"]
fn ppid_is_the_parent_even_of_an_orphan() {
    let mut trial = TracedCgroup::new("ppid");
    for words in [
        &["parent", "exit", "0"] as &[_],
        &["vfork", "0"],
        // Born of another that died; whoever reaps it is the parent now.
        &["double-fork", "exit", "0"],
    ] {
        let judged = trial.judge(words);
        assert_eq!(judged.exit["ppid"], judged.report["parent"], "{words:?}");
    }
    let mut victim = trial.ready(&["ready", "held", "exit", "0"]);
    victim.release();
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["ppid"], std::process::id());
}

#[test]
#[ignore = "needs root"]
fn an_orphan_is_reported_once() {
    let mut trial = TracedCgroup::new("orphan");
    let judged = trial.judge(&["double-fork", "signal", "9"]);
    let told = trial.finish();
    let _once = told.only_exit_of(record::pid(&judged.report));
    // It, the parent that left it, and the one that reaped both.
    assert_eq!(told.exits().count(), 3);
}

#[test]
#[ignore = "needs root"]
fn a_process_in_a_pid_namespace_has_both_pids() {
    let mut trial = TracedCgroup::new("namespace");
    let judged = trial.judge(&["pid-namespace", "ready", "exit", "4"]);
    assert_eq!(judged.before[0]["pid"], 1);
    let (exit, outer) = (&judged.exit, record::pid(&judged.report));
    assert_ne!(outer, 1);
    assert_eq!(exit["pid"], outer);
    assert_eq!(exit["ns"]["pid"], 1, "{exit}");
    let ours = std::fs::metadata("/proc/self/ns/pid")
        .expect("Linux 3.8")
        .ino();
    assert_ne!(exit["ns"]["pid_ns"], ours, "{exit}");
    let judged = trial.judge(&["parent", "exit", "0"]);
    assert_eq!(judged.exit["ns"]["pid_ns"], ours);
    assert_eq!(judged.exit["ns"]["pid"], judged.exit["pid"]);
}

fn assert_comm(trial: &mut TracedCgroup, words: &[&str], comm: &str) {
    let judged = trial.judge(words);
    assert_eq!(judged.exit["comm"], comm, "{words:?}");
}

#[test]
#[ignore = "needs root"]
fn comm_is_the_last_name_of_the_process() {
    let mut trial = TracedCgroup::new("comm");
    assert_comm(&mut trial, &["parent", "exit", "0"], "victim");
    for name in ["fifteen_letters", "a \"b\"\t(c) d", "käse", ""] {
        let words = ["parent", "named", name, "exit", "0"];
        assert_comm(&mut trial, &words, name);
    }
    // Not of the task that was the last.
    let words = [
        "parent",
        "named",
        "boss",
        "in-thread",
        "named",
        "worker",
        "exit",
        "0",
    ];
    assert_comm(&mut trial, &words, "boss");
}

#[test]
#[ignore = "needs root"]
fn comm_is_the_name_of_the_program_after_exec() {
    let mut trial = TracedCgroup::new("program");
    let directory = tempfile::tempdir().expect("a place for a link");
    let program = directory.path().join("other-program-name");
    symlink("/proc/self/exe", &program).expect("a new name");
    let program = program.to_str().expect("UTF-8");
    // The kernel cuts it off.
    let comm = "other-program-n";
    let exec = ["exec-as", program];
    for before in [
        &["parent"] as &[&str],
        &["parent", "named", "x"],
        &["parent", "in-thread"],
    ] {
        let words = [before, &exec, &["exit", "0"]].concat();
        assert_comm(&mut trial, &words, comm);
    }
    let words = [
        &["parent"],
        &exec as &[&str],
        &["named", "after", "exit", "0"],
    ]
    .concat();
    assert_comm(&mut trial, &words, "after");
}
