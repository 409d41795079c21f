//! The table, compared with a model of the real processes.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// One step of the model. The first number is a pid.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A process is forked in a cgroup.
    Fork(u32, u64),
    /// A process changes its name.
    Exec(u32, u8),
    /// A process moves to a cgroup.
    Move(u32, u64),
    Exit(u32),
    /// An exiting process becomes a zombie.
    Depart(u32),
    /// A process is reaped, and its pid is free.
    Reap(u32),
    /// The next event reaches the table.
    Deliver,
    /// The scan reads a process from `/proc`.
    Look(u32),
    /// The next result of the scan reaches the table.
    Report,
}

const PIDS: std::ops::Range<u32> = 1..6;

fn step() -> impl Strategy<Value = Step> {
    let cgroups = 1..4_u64;
    prop_oneof![
        4 => (PIDS, cgroups.clone()).prop_map(|(tgid, cgroup)| Step::Fork(tgid, cgroup)),
        2 => (PIDS, 0..9_u8).prop_map(|(tgid, comm)| Step::Exec(tgid, comm)),
        2 => (PIDS, cgroups).prop_map(|(tgid, cgroup)| Step::Move(tgid, cgroup)),
        3 => PIDS.prop_map(Step::Exit),
        3 => PIDS.prop_map(Step::Depart),
        3 => PIDS.prop_map(Step::Reap),
        8 => Just(Step::Deliver),
        4 => PIDS.prop_map(Step::Look),
        4 => Just(Step::Report),
    ]
}

/// The real processes, the table, and the events and scan results in flight.
struct Model {
    now_ns: u64,
    live: BTreeMap<u32, Process>,
    /// Processes that exit but are not reaped, with the state that a scan shows.
    exiting: BTreeMap<u32, (Process, ProcessState)>,
    events: VecDeque<Timed>,
    looks: VecDeque<ScannedProcess>,
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
        // A pid is not reused within a tick.
        self.now_ns += TICK_NS + 3;
        let event = match step {
            Step::Fork(tgid, id) => {
                if self.live.contains_key(&tgid) || self.exiting.contains_key(&tgid) {
                    return;
                }
                let child = process(tgid, self.now_ns, cgroup(id));
                self.now_ns += 1;
                self.live.insert(tgid, child.clone());
                fork(&child)
            }
            Step::Exec(tgid, number) => {
                let Some(process) = self.live.get_mut(&tgid) else {
                    return;
                };
                process.comm = comm(number);
                exec(process)
            }
            Step::Move(tgid, id) => {
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
            Step::Exit(tgid) => {
                let Some(process) = self.live.remove(&tgid) else {
                    return;
                };
                // If the exit event is lost, the scan recognises the exit by PF_EXITING.
                let state = if is_lost {
                    ProcessState::Exiting
                } else {
                    ProcessState::Running
                };
                self.exiting.insert(tgid, (process.clone(), state));
                exit(&process)
            }
            Step::Depart(tgid) => {
                if let Some((_, state)) = self.exiting.get_mut(&tgid) {
                    *state = ProcessState::Exited;
                }
                return;
            }
            Step::Reap(tgid) => {
                self.exiting.remove(&tgid);
                return;
            }
            Step::Deliver => {
                if let Some(timed) = self.events.pop_front() {
                    self.table.apply(&timed);
                }
                return;
            }
            Step::Look(tgid) => return self.look(tgid),
            Step::Report => {
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

    /// Reads a process from `/proc`. A scan reads each pid once.
    fn look(&mut self, tgid: u32) {
        if self.looked_at.contains(&tgid) {
            return;
        }
        self.looked_at.push(tgid);
        if let Some(process) = self.live.get(&tgid) {
            self.looks.push_back(scanned(process));
        } else if let Some((process, state)) = self.exiting.get(&tgid) {
            self.looks.push_back(ScannedProcess {
                state: *state,
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
        self.table.finish_scan(|_| true);
    }

    fn deliver_all(&mut self) {
        for timed in std::mem::take(&mut self.events) {
            self.table.apply(&timed);
            check(&self.table);
        }
    }

    /// Checks that the table has exactly the live processes.
    fn check_table(&self) -> Result<(), TestCaseError> {
        let row = |tgid, start_ns: u64, comm, cgroup| (tgid, (start_ns / TICK_NS, comm, cgroup));
        let rows = self.table.iter();
        let listed: BTreeMap<_, _> = rows
            .map(|it| {
                row(
                    it.tgid(),
                    it.start_no_later_than_ns(),
                    it.comm(),
                    it.cgroup(),
                )
            })
            .collect();
        let live = self.live.values();
        let truth: BTreeMap<_, _> = live
            .map(|it| {
                row(
                    it.tgid,
                    it.start_boottime_ns.unwrap_or(0),
                    it.comm,
                    it.cgroup,
                )
            })
            .collect();
        prop_assert_eq!(listed, truth);
        Ok(())
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_table_is_correct_after_a_scan_without_loss(
        before in proptest::collection::vec((step(), any::<bool>()), 0..60),
        discarded in steps(10),
        during in steps(60),
        after in steps(20),
    ) {
        let mut model = Model::new();
        for (step, is_lost) in before {
            model.take(step, is_lost);
            check(&model.table);
        }
        model.begin_scan();
        for step in discarded {
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
        model.check_table()?;
        // Another scan changes nothing.
        model.begin_scan();
        model.finish_scan();
        model.check_table()?;
    }

    #[test]
    fn the_table_is_correct_without_a_scan_if_no_event_is_lost(steps in steps(100)) {
        let mut model = Model::new();
        for step in steps {
            if !matches!(step, Step::Look(_) | Step::Report) {
                model.take(step, false);
            }
        }
        model.deliver_all();
        model.check_table()?;
    }
}
