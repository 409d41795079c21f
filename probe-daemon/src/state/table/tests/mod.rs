//! The table of processes, by events alone; [`scan`] and [`model`] beside it.

mod model;
mod scan;

use std::collections::BTreeMap;

use probe_user::model::{Arguments, Comm, Exit, Owners, Start as Started};

use super::*;

/// `USER_HZ` of every architecture that matters.
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
        wanted_cgroup_id: None,
        ns_pid: Some(7),
        pid_ns: Some(4_026_531_836),
        owners: None,
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
        leader: true,
        status: None,
        killed_by: None,
        oom: false,
        usage: None,
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
        is_dead: false,
        ns_pid: Some(7),
        owners: None,
        cgroup: process.cgroup,
    }
}

fn pids(table: &ProcessTable) -> Vec<u32> {
    let mut pids: Vec<_> = table.iter().map(Row::tgid).collect();
    pids.sort_unstable();
    pids
}

/// Every way to ask gives the same answer.
fn check(table: &ProcessTable) {
    let mut by_cgroup: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for row in table.iter() {
        if let Some(cgroup) = row.cgroup() {
            by_cgroup.entry(cgroup.id).or_default().push(row.tgid());
        }
        assert_eq!(table.get(row.tgid()).map(Row::tgid), Some(row.tgid()));
    }
    assert_eq!(table.iter().count(), table.len());
    assert_eq!(table.is_empty(), table.iter().next().is_none());
    for (id, count) in table.cgroups() {
        let mut told: Vec<_> = table.in_cgroup(id).map(Row::tgid).collect();
        let mut expected = by_cgroup.remove(&id.id).expect("a cgroup with somebody");
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected);
        assert_eq!((count, table.live_in(id)), (told.len(), told.len()));
    }
    assert!(by_cgroup.is_empty(), "{by_cgroup:?} are not counted");
}

#[test]
fn a_life_by_events_alone() {
    let mut table = ProcessTable::new(HZ);
    let mut it = process(5, 100, A);
    table.apply(&at(101, fork(&it)));
    assert_eq!(table.live_in(A), 1);
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
    assert_eq!((row.ns_pid(), row.pid_ns()), (it.ns_pid, it.pid_ns));
    assert_eq!((table.live_in(A), table.live_in(B)), (0, 1));
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
fn a_namesake_that_began_later_takes_the_place() {
    const LATER: u64 = 5 * TICK_NS;
    let mut table = ProcessTable::new(HZ);
    let (old, new) = (process(5, 100, A), process(5, LATER, B));
    table.apply(&at(101, fork(&old)));
    table.apply(&at(LATER + 1, fork(&new)));
    check(&table);
    // What is late is of the other one.
    table.apply(&at(150, exit(&old)));
    table.apply(&at(140, exec(&old)));
    table.apply(&at(140, fork(&old)));
    table.apply(&at(140, attach(&old, A)));
    table.scanned(&scanned(&old));
    let row = table.get(5).expect("it lives");
    assert_eq!(row.start_boottime_ns(), new.start_boottime_ns);
    assert_eq!(row.cgroup(), new.cgroup);
    // Whoever was before a later one has gone too.
    table.apply(&at(LATER + 9, exit(&process(5, LATER + 8, A))));
    assert!(table.is_empty());
}

#[test]
fn without_start_times_the_pid_and_the_time_of_exit_must_do() {
    let mut table = ProcessTable::new(HZ);
    let mut it = process(5, 0, A);
    it.start_boottime_ns = None;
    table.apply(&at(5, exec(&it)));
    assert_eq!(table.get(5).and_then(Row::start_boottime_ns), None);
    let known = process(5, 3 * TICK_NS, A);
    table.begin_scan(6 * TICK_NS);
    table.scanned(&scanned(&known));
    table.finish_scan();
    assert_eq!(
        table.get(5).map(Row::start_no_later_than_ns),
        Some(3 * TICK_NS)
    );
    // The exit of who had the pid before.
    table.apply(&at(2 * TICK_NS, exit(&it)));
    assert_eq!(pids(&table), [5]);
    table.apply(&at(7 * TICK_NS, exit(&it)));
    assert!(table.is_empty());
    table.begin_scan(8 * TICK_NS);
    table.scanned(&scanned(&known));
    assert_eq!(table.finish_scan(), Differences::default());
}

#[test]
fn a_zombie_that_seems_to_move_does_not_come_back() {
    let mut table = ProcessTable::new(HZ);
    let it = process(5, 100, A);
    table.apply(&at(200, attach(&it, B)));
    assert!(table.is_empty());
    // Who was moved before its birth was told is where it was moved to.
    let moved = process(6, 100, B);
    table.apply(&at(200, attach(&moved, B)));
    table.apply(&at(199, fork(&process(6, 100, A))));
    assert_eq!(table.get(6).and_then(Row::cgroup), Some(B));
    check(&table);
}

#[test]
fn a_thread_that_moves_does_not_take_its_process_with_it() {
    let mut table = ProcessTable::new(HZ);
    let it = process(5, 100, A);
    table.apply(&at(101, fork(&it)));
    let mut thread = process(5, 100, B);
    thread.tid = 77;
    table.apply(&at(102, attach(&thread, B)));
    assert_eq!(table.get(5).and_then(Row::cgroup), Some(A));
}
