//! Exits that no program sees: what the kernel skips a program for, how many
//! that are, and which hook loses none.
//!
//! A raw tracepoint may be preempted from Linux 7.0 on, and the kernel runs no
//! program twice at once on a CPU: whoever exits there meanwhile is not seen.

use std::{
    collections::HashSet,
    convert::Infallible,
    fs::File,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use probe_tests::{Cgroup, Deadline, Victim, kernel, requirements, scale};
use probe_user::{
    model::{CgroupId, Filter, Record},
    unstable::{
        bpf::{
            hook::{ExitShape, Hook},
            load::{self, Attached, Plan, Rings},
        },
        trace::tracker::Tracker,
    },
};

const STREAM_BYTES: u32 = 8 << 20;
const SIBLINGS: usize = 300;

/// What became of many exits.
#[derive(Debug, Default)]
struct Tally {
    made: u64,
    told: u64,
    skipped: u64,
}

fn plan(cgroup: &Cgroup, hooks: &[Hook]) -> Plan {
    let mut filter = Filter::default().kernel_filter(STREAM_BYTES);
    filter.cgroup_slots = 1;
    let directory = File::open(cgroup.path()).expect("our own cgroup");
    Plan {
        hooks: hooks.to_vec(),
        filter,
        cgroups: vec![directory.into()],
        pids: Vec::new(),
        stream_bytes: STREAM_BYTES,
    }
}

/// Kills a crowd again and again and counts who is told.
fn tally(rounds: usize, hooks: &[Hook], prepare: impl FnOnce(&mut Attached)) -> Tally {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("losses");
    let (mut attached, mut rings) = load::load(&plan(&cgroup, hooks)).expect("BPF");
    prepare(&mut attached);
    let mut tracker = Tracker::new();
    let mut tally = Tally::default();
    for _ in 0..rounds {
        let mut crowd = Victim::spawn(&["siblings", &SIBLINGS.to_string(), "pause"], Some(&cgroup));
        crowd.release();
        let is_complete = || cgroup.procs().len() == SIBLINGS + 1;
        Deadline::start().until("it is complete", is_complete);
        cgroup.kill();
        crowd.wait();
        cgroup.wait_empty();
        tally.made += SIBLINGS as u64 + 1;
        tally.told += told(&mut rings, &mut tracker);
    }
    tally.skipped = attached.recursion_misses();
    tally
}

/// Processes that ended: all of them are in the ring by now, or nowhere.
fn told(rings: &mut Rings, tracker: &mut Tracker) -> u64 {
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

/// Writes to maps as fast as it can meanwhile: for that the kernel disables all
/// classic programs on a CPU.
pub(crate) fn while_maps_are_written<T>(inside: impl FnOnce() -> T) -> T {
    let (mut of, _rings) = load::load(&Plan::decisive()).expect("BPF");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let nobodys = CgroupId {
                hierarchy: u32::MAX,
                id: u64::MAX,
            };
            while !is_over.load(Ordering::Relaxed) {
                of.watch(nobodys).expect("there is room");
                of.unwatch(nobodys);
            }
        });
        let result = inside();
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

/// Past the harness, which shows nothing of a test that passes.
fn say(what: &str, tally: &Tally) {
    let Tally {
        made,
        told,
        skipped,
    } = tally;
    let line = format!("{what}: {made} exits, {told} told, {skipped} skipped");
    writeln!(io::stderr(), "{line}").expect("stderr");
}

/// The measurement of `docs/kernels.md`.
#[test]
#[ignore = "needs root"]
fn every_exit_program_reports_each_exit_or_counts_it_as_skipped() {
    let rounds = scale::rounds(3);
    for shape in [ExitShape::GroupDead, ExitShape::Live, ExitShape::Classic] {
        let program = shape.programs()[0];
        if !kernel::can_attach(shape, program) {
            continue;
        }
        let attach = |attached: &mut Attached| {
            attached
                .attach_exit_program(shape, program)
                .unwrap_or_else(|error| panic!("{program}: {error}"));
        };
        let quiet = tally(rounds, &[], attach);
        let busy = while_maps_are_written(|| tally(rounds, &[], attach));
        for (tally, what) in [(quiet, program), (busy, "… while maps are written")] {
            say(what, &tally);
            assert!(
                tally.told + tally.skipped >= tally.made,
                "{what}: {tally:?}"
            );
        }
    }
}

/// Nobody else writes to maps here.
#[test]
#[ignore = "needs root"]
fn the_selected_exit_program_skips_no_exit() {
    let tally = tally(scale::rounds(5), &Hook::EXITS, |_attached| {});
    say("the hook that is taken", &tally);
    assert_eq!((tally.told, tally.skipped), (tally.made, 0), "{tally:?}");
}
