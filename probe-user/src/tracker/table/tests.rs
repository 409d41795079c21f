//! The table against a model of what is true.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::{
    event::{Arguments, Exit, Start as Started},
    process::{Comm, Owners},
};

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

fn scanned(process: &Process) -> Scanned {
    Scanned {
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
fn who_is_about_to_be_a_zombie_is_not_scanned_in() {
    let mut table = ProcessTable::new(HZ);
    let [before, during] = [5, 6].map(|tgid| process(tgid, 100, A));
    table.apply(&at(500, exit(&before)));
    table.begin_scan(1000);
    table.scanned(&scanned(&before));
    table.apply(&at(1001, exit(&during)));
    table.scanned(&scanned(&during));
    let namesake = process(6, 3 * TICK_NS, A);
    table.scanned(&scanned(&namesake));
    let differences = table.finish_scan();
    assert_eq!((differences.added, differences.removed), (1, 0));
    assert_eq!(
        table.get(6).map(Row::start_no_later_than_ns),
        Some(3 * TICK_NS)
    );
    assert_eq!(pids(&table), [6]);
}

#[test]
fn a_namesake_of_the_same_tick_is_not_scanned_out() {
    let mut table = ProcessTable::new(HZ);
    let [old, new] = [100, 300].map(|start_ns| process(5, start_ns, A));
    table.apply(&at(200, exit(&old)));
    table.apply(&at(301, fork(&new)));
    table.begin_scan(400);
    table.scanned(&scanned(&new));
    assert_eq!(table.finish_scan(), Differences::default());
    assert_eq!(pids(&table), [5]);
}

#[test]
fn however_many_exit_during_a_scan_none_is_scanned_in() {
    let mut table = ProcessTable::new(HZ);
    let dead = |tgid| process(tgid, 100, A);
    table.begin_scan(1000);
    for tgid in 1..20_000 {
        table.apply(&at(1001, exit(&dead(tgid))));
    }
    for tgid in 1..20_000 {
        table.scanned(&scanned(&dead(tgid)));
    }
    assert_eq!(table.finish_scan(), Differences::default());
    assert!(table.is_empty());
    // Of old exits there are not more and more.
    table.begin_scan(2000);
    table.scanned(&scanned(&dead(1)));
    assert_eq!(table.finish_scan().added, 1);
}

#[test]
fn zombies_are_not_live() {
    let mut table = ProcessTable::new(HZ);
    let it = process(5, 100, A);
    table.apply(&at(101, fork(&it)));
    table.begin_scan(200);
    table.scanned(&Scanned {
        is_dead: true,
        ..scanned(&it)
    });
    let differences = table.finish_scan();
    assert_eq!((differences.added, differences.removed), (0, 1));
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

#[test]
fn an_event_tells_a_scanned_process_its_exact_start() {
    let mut table = ProcessTable::new(HZ);
    let it = process(5, 3 * TICK_NS + 17, A);
    table.begin_scan(4 * TICK_NS);
    table.scanned(&scanned(&it));
    assert_eq!(table.get(5).and_then(Row::start_boottime_ns), None);
    // It is older than the scan: nothing but the start is taken from it.
    let mut late = it.clone();
    late.cgroup = Some(B);
    late.comm = comm(9);
    table.apply(&at(4 * TICK_NS - 1, exec(&late)));
    table.apply(&at(4 * TICK_NS - 1, attach(&late, B)));
    let row = table.get(5).expect("it lives");
    assert_eq!(row.start_boottime_ns(), it.start_boottime_ns);
    assert_eq!((row.comm(), row.cgroup()), (it.comm, it.cgroup));
}

#[test]
fn nobody_is_born_by_an_event_from_before_the_scan() {
    let mut table = ProcessTable::new(HZ);
    table.begin_scan(1000);
    table.finish_scan();
    let it = process(5, 100, A);
    table.apply(&at(101, fork(&it)));
    table.apply(&at(102, exec(&it)));
    table.apply(&at(103, attach(&it, A)));
    assert!(table.is_empty());
}

#[test]
fn a_hundred_thousand_processes_take_less_than_16_mib() {
    const PROCESSES: u32 = 100_000;
    let mut table = ProcessTable::new(HZ);
    table.begin_scan(1000);
    for tgid in 1..=PROCESSES {
        // Each in a cgroup of its own: nothing takes more.
        table.scanned(&scanned(&process(tgid, 0, cgroup(u64::from(tgid)))));
    }
    table.finish_scan();
    assert_eq!(table.len(), PROCESSES as usize);
    let bytes = map_bytes(&table.rows) + map_bytes(&table.cgroups);
    assert!(bytes < 16 << 20, "{bytes}");
    // And give it back.
    table.begin_scan(2000);
    table.finish_scan();
    assert!(map_bytes(&table.rows) + map_bytes(&table.cgroups) < 1 << 20);
}

/// A power of two of buckets, of which an eighth stays free, with a byte each.
fn map_bytes<K, V>(map: &HashMap<K, V>) -> usize {
    let buckets = (map.capacity() * 8 / 7).next_power_of_two();
    buckets * (size_of::<(K, V)>() + 1)
}

/// What the kernel does in the model.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fork {
        tgid: u32,
        cgroup: u64,
    },
    Exec {
        tgid: u32,
        comm: u8,
    },
    Move {
        tgid: u32,
        cgroup: u64,
    },
    Exit {
        tgid: u32,
    },
    /// It becomes a zombie, some time after its exit.
    Depart {
        tgid: u32,
    },
    /// Its pid is free.
    Reap {
        tgid: u32,
    },
    /// The next event that is on its way arrives.
    Deliver,
    /// `/proc` is asked for this pid; what it shows arrives later.
    Look {
        tgid: u32,
    },
    /// What it showed arrives.
    Tell,
}

const PIDS: std::ops::Range<u32> = 1..6;

fn step() -> impl Strategy<Value = Step> {
    let cgroups = 1..4_u64;
    prop_oneof![
        4 => (PIDS, cgroups.clone()).prop_map(|(tgid, cgroup)| Step::Fork { tgid, cgroup }),
        2 => (PIDS, 0..9_u8).prop_map(|(tgid, comm)| Step::Exec { tgid, comm }),
        2 => (PIDS, cgroups).prop_map(|(tgid, cgroup)| Step::Move { tgid, cgroup }),
        3 => PIDS.prop_map(|tgid| Step::Exit { tgid }),
        3 => PIDS.prop_map(|tgid| Step::Depart { tgid }),
        3 => PIDS.prop_map(|tgid| Step::Reap { tgid }),
        8 => Just(Step::Deliver),
        4 => PIDS.prop_map(|tgid| Step::Look { tgid }),
        4 => Just(Step::Tell),
    ]
}

/// Truth, the table, and what is on the way from the one to the other.
struct Model {
    now_ns: u64,
    live: BTreeMap<u32, Process>,
    /// Exited, and not reaped; whether it is a zombie.
    exiting: BTreeMap<u32, (Process, bool)>,
    events: VecDeque<Timed>,
    looks: VecDeque<Scanned>,
    looked_at: Vec<u32>,
    table: ProcessTable,
}

impl Model {
    fn new() -> Self {
        Self {
            now_ns: TICK_NS,
            live: BTreeMap::new(),
            exiting: BTreeMap::new(),
            events: VecDeque::new(),
            looks: VecDeque::new(),
            looked_at: Vec::new(),
            table: ProcessTable::new(HZ),
        }
    }

    fn take(&mut self, step: Step, is_lost: bool) {
        // More than a tick, as long as it takes to use a pid again.
        self.now_ns += TICK_NS + 3;
        let event = match step {
            Step::Fork { tgid, cgroup: id } => {
                if self.live.contains_key(&tgid) || self.exiting.contains_key(&tgid) {
                    return;
                }
                let child = process(tgid, self.now_ns, cgroup(id));
                self.now_ns += 1;
                self.live.insert(tgid, child.clone());
                fork(&child)
            }
            Step::Exec { tgid, comm: number } => {
                let Some(process) = self.live.get_mut(&tgid) else {
                    return;
                };
                process.comm = comm(number);
                exec(process)
            }
            Step::Move { tgid, cgroup: id } => {
                let id = cgroup(id);
                if let Some(process) = self.live.get_mut(&tgid) {
                    process.cgroup = Some(id);
                    attach(process, id)
                } else if let Some((process, _)) = self.exiting.get(&tgid) {
                    attach(process, id)
                } else {
                    return;
                }
            }
            Step::Exit { tgid } => {
                let Some(process) = self.live.remove(&tgid) else {
                    return;
                };
                // Whose exit is lost is seen to be exiting by its flags.
                self.exiting.insert(tgid, (process.clone(), is_lost));
                exit(&process)
            }
            Step::Depart { tgid } => {
                if let Some((_, is_zombie)) = self.exiting.get_mut(&tgid) {
                    *is_zombie = true;
                }
                return;
            }
            Step::Reap { tgid } => {
                self.exiting.remove(&tgid);
                return;
            }
            Step::Deliver => {
                if let Some(timed) = self.events.pop_front() {
                    self.table.apply(&timed);
                }
                return;
            }
            Step::Look { tgid } => return self.look(tgid),
            Step::Tell => {
                if let Some(scanned) = self.looks.pop_front() {
                    self.table.scanned(&scanned);
                }
                return;
            }
        };
        if !is_lost {
            self.events.push_back(at(self.now_ns, event));
        }
    }

    /// A scan comes to each pid once.
    fn look(&mut self, tgid: u32) {
        if self.looked_at.contains(&tgid) {
            return;
        }
        self.looked_at.push(tgid);
        if let Some(process) = self.live.get(&tgid) {
            self.looks.push_back(scanned(process));
        } else if let Some((process, is_dead)) = self.exiting.get(&tgid) {
            self.looks.push_back(Scanned {
                is_dead: *is_dead,
                ..scanned(process)
            });
        }
    }

    fn begin_scan(&mut self) {
        self.now_ns += 1;
        self.looks.clear();
        self.looked_at.clear();
        self.table.begin_scan(self.now_ns);
    }

    fn finish_scan(&mut self) {
        PIDS.for_each(|tgid| self.look(tgid));
        for scanned in std::mem::take(&mut self.looks) {
            self.table.scanned(&scanned);
        }
        self.table.finish_scan();
    }

    fn deliver_all(&mut self) {
        for timed in std::mem::take(&mut self.events) {
            self.table.apply(&timed);
            check(&self.table);
        }
    }

    fn is_true(&self) -> Result<(), TestCaseError> {
        let told: BTreeMap<_, _> = self
            .table
            .iter()
            .map(|row| {
                (
                    row.tgid(),
                    (
                        row.start_no_later_than_ns() / TICK_NS,
                        row.comm(),
                        row.cgroup(),
                    ),
                )
            })
            .collect();
        let truth: BTreeMap<_, _> = self
            .live
            .iter()
            .map(|(&tgid, it)| {
                (
                    tgid,
                    (
                        it.start_boottime_ns.unwrap_or(0) / TICK_NS,
                        it.comm,
                        it.cgroup,
                    ),
                )
            })
            .collect();
        prop_assert_eq!(told, truth);
        Ok(())
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn after_a_scan_without_loss_the_table_is_true(
        before in proptest::collection::vec((step(), any::<bool>()), 0..60),
        given_up in steps(10),
        during in steps(60),
        after in steps(20),
    ) {
        let mut model = Model::new();
        for (step, is_lost) in before {
            model.take(step, is_lost);
            check(&model.table);
        }
        model.begin_scan();
        for step in given_up {
            model.take(step, true);
        }
        model.begin_scan();
        for step in during {
            model.take(step, false);
            check(&model.table);
        }
        model.finish_scan();
        for step in after {
            model.take(step, false);
        }
        model.deliver_all();
        model.is_true()?;
        // And goes on to be.
        model.begin_scan();
        model.finish_scan();
        model.is_true()?;
    }

    #[test]
    fn without_loss_events_alone_are_enough(steps in steps(100)) {
        let mut model = Model::new();
        for step in steps {
            if !matches!(step, Step::Look { .. } | Step::Tell) {
                model.take(step, false);
            }
        }
        model.deliver_all();
        model.is_true()?;
    }
}
