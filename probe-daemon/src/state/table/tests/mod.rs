//! Tests of the process table with events alone. [`scan`] has tests with scans, [`model`]
//! tests against a model.

mod model;
mod scan;

use std::collections::BTreeMap;

use probe_user::model::{Arguments, Comm, Exit, Owners, ProcessState, Start as Started};

use super::*;

/// `USER_HZ` of all common architectures.
const HZ: u64 = 100;
const TICK_NS: u64 = 10_000_000;

const A: CgroupId = cgroup(1);
const B: CgroupId = cgroup(2);

const fn cgroup(id: u64) -> CgroupId {
    CgroupId { hierarchy: 0, id }
}

fn comm(number: u8) -> Comm {
    let mut bytes = [0; 16];
    bytes[0] = b'a' + number;
    Comm::new(bytes)
}

fn process(tgid: u32, start_ns: u64, cgroup: CgroupId) -> Process {
    Process {
        tid: tgid,
        tgid,
        ppid: Some(1),
        uid: Some(1000),
        comm: comm(0),
        start_boottime_ns: Some(start_ns),
        cgroup: Some(cgroup),
        ..Process::default()
    }
}

fn at(boottime_ns: u64, event: Event) -> Timed {
    Timed { boottime_ns, event }
}

fn fork(process: &Process) -> Event {
    Event::Start(Started {
        process: process.clone(),
        exec: None,
    })
}

fn exec(process: &Process) -> Event {
    Event::Start(Started {
        process: process.clone(),
        exec: Some(Arguments {
            args: None,
            truncated: false,
        }),
    })
}

fn exit(process: &Process) -> Event {
    Event::Exit(Exit {
        process: process.clone(),
        group_dead: true,
        ..Exit::default()
    })
}

fn attach(process: &Process, cgroup: CgroupId) -> Event {
    Event::Attached(cgroup, process.clone())
}

fn scanned(process: &Process) -> ScannedProcess {
    ScannedProcess {
        tgid: process.tgid,
        start_ticks: process.start_boottime_ns.expect("known") / TICK_NS,
        ppid: 1,
        uid: 1000,
        comm: process.comm,
        state: ProcessState::Running,
        ns_pid: Some(7),
        owners: None,
        cgroup: process.cgroup,
        v1_cgroup_id: process.v1_cgroup_id,
    }
}

fn pids(table: &ProcessTable) -> Vec<u32> {
    let mut pids: Vec<_> = table.iter().map(Row::tgid).collect();
    pids.sort_unstable();
    pids
}

impl ProcessTable {
    fn get(&self, tgid: u32) -> Option<&Row> {
        self.rows.get(&tgid)
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Asserts that every row is found by its pid.
fn check(table: &ProcessTable) {
    for row in table.iter() {
        assert_eq!(table.get(row.tgid()).map(Row::tgid), Some(row.tgid()));
    }
    assert_eq!(table.iter().count(), table.iter().len());
}

#[test]
fn events_alone_keep_a_process_up_to_date() {
    let mut table = ProcessTable::new(HZ);
    let mut it = process(5, 100, A);
    table.apply(&at(101, fork(&it)));
    assert_eq!(table.get(5).and_then(Row::cgroup), Some(A));
    it.comm = comm(3);
    it.uid = Some(33);
    it.owners = Some(Owners { own: 7, top: 8 });
    table.apply(&at(102, exec(&it)));
    it.cgroup = Some(B);
    table.apply(&at(103, attach(&it, B)));
    let row = table.get(5).expect("it lives");
    assert_eq!((row.comm(), row.uid()), (it.comm, it.uid));
    assert_eq!((row.cgroup(), row.owners()), (it.cgroup, it.owners));
    assert_eq!(row.start_boottime_ns(), Some(100));
    check(&table);
    table.apply(&at(104, exit(&it)));
    assert!(table.is_empty());
    check(&table);
}

#[test]
fn leader_exit_is_not_group_death() {
    let mut table = ProcessTable::new(HZ);
    let it = process(5, 100, A);
    table.apply(&at(101, fork(&it)));
    let Event::Exit(mut exit) = exit(&it) else {
        panic!("no exit");
    };
    exit.group_dead = false;
    table.apply(&at(102, Event::Exit(exit)));
    assert_eq!(pids(&table), [5]);
}

#[test]
fn a_later_process_with_the_same_pid_replaces_the_row() {
    const LATER: u64 = 5 * TICK_NS;
    let mut table = ProcessTable::new(HZ);
    let (old, new) = (process(5, 100, A), process(5, LATER, B));
    table.apply(&at(101, fork(&old)));
    table.apply(&at(LATER + 1, fork(&new)));
    check(&table);
    // Late events of the old process change nothing.
    table.apply(&at(150, exit(&old)));
    table.apply(&at(140, exec(&old)));
    table.apply(&at(140, fork(&old)));
    table.apply(&at(140, attach(&old, A)));
    table.scanned(&scanned(&old));
    let row = table.get(5).expect("it lives");
    assert_eq!(row.start_boottime_ns(), new.start_boottime_ns);
    assert_eq!(row.cgroup(), new.cgroup);
    // The exit of a later process means that the earlier one is gone too.
    table.apply(&at(LATER + 9, exit(&process(5, LATER + 8, A))));
    assert!(table.is_empty());
}

#[test]
fn without_start_times_an_exit_is_matched_by_pid_and_time() {
    let mut table = ProcessTable::new(HZ);
    let mut it = process(5, 0, A);
    it.start_boottime_ns = None;
    table.apply(&at(5, exec(&it)));
    assert_eq!(table.get(5).and_then(Row::start_boottime_ns), None);
    let known = process(5, 3 * TICK_NS, A);
    table.begin_scan(6 * TICK_NS);
    table.scanned(&scanned(&known));
    table.finish_scan(|_| true);
    assert_eq!(
        table.get(5).map(Row::start_no_later_than_ns),
        Some(3 * TICK_NS)
    );
    // This is the exit of an earlier process with the same pid.
    table.apply(&at(2 * TICK_NS, exit(&it)));
    assert_eq!(pids(&table), [5]);
    table.apply(&at(7 * TICK_NS, exit(&it)));
    assert!(table.is_empty());
    table.begin_scan(8 * TICK_NS);
    table.scanned(&scanned(&known));
    assert_eq!(table.finish_scan(|_| true), Differences::default());
}

#[test]
fn a_move_of_a_zombie_does_not_add_it_again() {
    let mut table = ProcessTable::new(HZ);
    let it = process(5, 100, A);
    table.apply(&at(200, attach(&it, B)));
    assert!(table.is_empty());
    // A process that was moved before its fork was reported is in the new cgroup.
    let moved = process(6, 100, B);
    table.apply(&at(200, attach(&moved, B)));
    table.apply(&at(199, fork(&process(6, 100, A))));
    assert_eq!(table.get(6).and_then(Row::cgroup), Some(B));
    check(&table);
}

#[test]
fn a_moved_thread_does_not_move_its_process() {
    let mut table = ProcessTable::new(HZ);
    let it = process(5, 100, A);
    table.apply(&at(101, fork(&it)));
    let mut thread = process(5, 100, B);
    thread.tid = 77;
    table.apply(&at(102, attach(&thread, B)));
    assert_eq!(table.get(5).and_then(Row::cgroup), Some(A));
}
