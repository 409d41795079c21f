//! The console transcripts of the documents: their commands run unchanged, and print what
//! the transcript shows.
//!
//! Pids, times and durations differ in every run, so both sides are compared with a
//! placeholder for each of them. The order of the lines does not count, because processes
//! that are killed together exit in any order.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use probe_tests::{Cgroup, Deadline, conditions, requirements};

use super::{
    DOCUMENTS, Running,
    blocks::blocks,
    namespace::{Place, Sockets, V2_ONLY},
};

/// Failures that a transcript of `probe trace --failed` shows.
const FAILURES: &str = "sh -c 'exit 3'; sh -c 'kill -SEGV $$'; timeout 0.1 sleep 10; true";

/// Width of the terminal in the transcripts.
const COLUMNS: &str = "108";

struct Step {
    command: String,
    shown: Vec<String>,
}

#[test]
#[ignore = "needs root"]
fn every_console_transcript_of_the_documentation_is_what_its_commands_print() {
    requirements::require_bpf();
    for tool in ["unshare", "nsenter", "timeout"] {
        let _installed = requirements::tool(tool);
    }
    let _sockets = Sockets::directory();
    let place = Place::make(V2_ONLY);
    for (document, text) in DOCUMENTS {
        for block in blocks(text).iter().filter(|it| it.language == "console") {
            let cgroup = Cgroup::v2_named("build");
            if !cgroup.has_kill() {
                requirements::inapplicable("the transcripts show cgroup.kill");
            }
            let mut job = in_cgroup(&cgroup, "exec sleep 600");
            Deadline::start().until("the job is in the cgroup", || !cgroup.procs().is_empty());
            for step in steps(&block.text) {
                let printed = step.run(&place, &cgroup);
                assert_eq!(
                    comparable(printed.lines()),
                    comparable(step.shown.iter().map(String::as_str)),
                    "{document}:{}: {} prints\n{printed}",
                    block.begin,
                    step.command
                );
            }
            if Path::new(cgroup.path()).exists() {
                cgroup.kill();
            }
            job.wait().expect("a child of the test");
        }
    }
}

fn steps(transcript: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in transcript.lines() {
        if let Some(command) = line.strip_prefix("# ") {
            steps.push(Step {
                command: command.to_owned(),
                shown: Vec::new(),
            });
        } else {
            let step = steps.last_mut().expect("a command comes first");
            step.shown.push(line.to_owned());
        }
    }
    steps
}

impl Step {
    fn run(&self, place: &Place, cgroup: &Cgroup) -> String {
        let probe = conditions::unrestricted(&[]);
        let directory = Path::new(probe.get_program()).parent().expect("a file");
        let script = format!(
            "export COLUMNS={COLUMNS} PATH={}:$PATH; {{ {}; }} 2>&1 || true",
            directory.display(),
            self.command
        );
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]);
        let mut running = Running::start(&mut place.enter(&shell));
        let is_trace = self.command.contains("probe trace");
        running.until("the command ends", |it| {
            if is_trace {
                let mut failures = in_cgroup(cgroup, FAILURES);
                failures.wait().expect("a child of the test");
            }
            it.has_ended()
        });
        running.printed()
    }
}

/// Runs a script for `sh` in the cgroup.
fn in_cgroup(cgroup: &Cgroup, script: &str) -> Child {
    let procs = cgroup.file("cgroup.procs");
    let script = format!("echo $$ > '{}'; {script}", procs.display());
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh is installed")
}

/// The lines with one space between columns and a placeholder for each variable number.
fn comparable<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut lines: Vec<String> = lines
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().map(without_numbers).collect();
            words.join(" ")
        })
        .collect();
    lines.sort();
    lines
}

/// Replaces pids, times and durations. Small numbers without a unit stay: they are counts,
/// exit codes and uids, and no process has so small a pid once the machine runs.
fn without_numbers(word: &str) -> String {
    const LEAST_PID: u32 = 300;
    let is_part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | ':' | 'µ');
    let mut replaced = String::new();
    let mut rest = word;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|it| !is_part(it)).unwrap_or(from.len());
        let (part, after) = from.split_at(end);
        let is_number = part.starts_with(|it: char| it.is_ascii_digit());
        let is_small = part.parse().is_ok_and(|it: u32| it < LEAST_PID);
        replaced += before;
        replaced += if is_number && !is_small { "N" } else { part };
        rest = after;
    }
    replaced + rest
}

#[test]
fn numbers_that_differ_between_runs_are_replaced() {
    let line = "08:54:00   6205  0 sh  4.6ms 3  SIGSEGV sh[6206] /build is 12.1µs (2 exits)";
    let expected = "N N 0 sh N 3 SIGSEGV sh[N] /build is N (2 exits)";
    assert_eq!(comparable([line].into_iter()), [expected]);
}
