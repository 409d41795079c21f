//! Exits without a record, because the kernel skipped the exit program.
//!
//! From Linux 7.0 on a task may be preempted in a raw tracepoint. The kernel runs a program only
//! once at a time on a CPU, so it skips the program for other tasks that exit there.

use std::{
    collections::HashSet,
    convert::Infallible,
    fs::File,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use probe_tests::{Cgroup, Deadline, Victim, bpf, scale};
use probe_user::{
    model::{CgroupId, Record},
    unstable::{
        bpf::{
            hook::{ExitShape, Hook},
            load::{Plan, Rings},
        },
        trace::tracker::Tracker,
    },
};

const SIBLINGS: usize = 300;

/// Counts of exits.
#[derive(Debug, Default)]
struct Tally {
    made: u64,
    reported: u64,
    skipped: u64,
}

fn plan(cgroup: &Cgroup, hooks: &[Hook]) -> Plan {
    let mut plan = bpf::plan(hooks);
    plan.filter.cgroup_slots = 1;
    let directory = File::open(cgroup.path()).expect("our own cgroup");
    plan.cgroups.push(directory.into());
    plan
}

/// Kills a crowd of processes repeatedly and counts the reported exits.
fn tally(rounds: usize, hooks: &[Hook], exit: Option<(ExitShape, &'static str)>) -> Tally {
    let cgroup = Cgroup::v2("losses");
    let (attached, mut rings) = bpf::load(&plan(&cgroup, hooks), exit);
    let mut tracker = Tracker::new();
    let mut tally = Tally::default();
    for _ in 0..rounds {
        let mut crowd = Victim::start(&["siblings", &SIBLINGS.to_string(), "pause"], Some(&cgroup));
        let is_complete = || cgroup.procs().len() == SIBLINGS + 1;
        Deadline::start().until("the crowd is complete", is_complete);
        cgroup.kill();
        crowd.wait();
        cgroup.wait_empty();
        tally.made += SIBLINGS as u64 + 1;
        tally.reported += reported(&mut rings, &mut tracker);
    }
    tally.skipped = attached.recursion_misses();
    tally
}

/// The number of exited processes in the ring. No further record can arrive.
fn reported(rings: &mut Rings, tracker: &mut Tracker) -> u64 {
    let mut ended = HashSet::new();
    let drained = rings.stream.drain(|timed| {
        if let Some(Record::Exit(exit)) = tracker.apply(timed) {
            ended.insert(exit.what.process.tgid);
        }
        Ok::<_, Infallible>(())
    });
    drained.unwrap_or_else(|never| match never {});
    ended.len() as u64
}

/// Runs a function while a thread writes to a BPF map: during a write the kernel disables all
/// classic programs on that CPU.
pub(crate) fn while_maps_are_written<T>(inside: impl FnOnce() -> T) -> T {
    let (mut attached, _rings) = bpf::load(&Plan::decisive(), None);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let unused = CgroupId {
                hierarchy: u32::MAX,
                id: u64::MAX,
            };
            while !is_over.load(Ordering::Relaxed) {
                attached.watch(unused).expect("there is room");
                attached.unwatch(unused);
            }
        });
        let result = inside();
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

/// Prints directly to stderr, because the test harness hides the output of passed tests.
fn say(what: &str, tally: &Tally) {
    let Tally {
        made,
        reported,
        skipped,
    } = tally;
    let line = format!("{what}: {made} exits, {reported} reported, {skipped} skipped");
    writeln!(io::stderr(), "{line}").expect("stderr");
}

/// The numbers are in `docs/kernels.md`.
#[test]
#[ignore = "needs root"]
fn every_exit_program_reports_each_exit_or_counts_it_as_skipped() {
    let rounds = scale::rounds(3);
    // The first program of each shape.
    let mut programs = bpf::exit_programs();
    programs.dedup_by_key(|(shape, _)| *shape);
    for (shape, program) in programs {
        let exit = Some((shape, program));
        let quiet = tally(rounds, &[], exit);
        let busy = while_maps_are_written(|| tally(rounds, &[], exit));
        for (tally, what) in [(quiet, program), (busy, "… while maps are written")] {
            say(what, &tally);
            assert!(
                tally.reported + tally.skipped >= tally.made,
                "{what}: {tally:?}"
            );
        }
    }
}

/// No other process writes to maps during the test.
#[test]
#[ignore = "needs root"]
fn the_selected_exit_program_skips_no_exit() {
    let tally = tally(scale::rounds(5), &Hook::EXITS, None);
    say("the selected exit program", &tally);
    assert_eq!(
        (tally.reported, tally.skipped),
        (tally.made, 0),
        "{tally:?}"
    );
}
