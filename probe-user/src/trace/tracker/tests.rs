//! Every disorder in which the BPF programs may report.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::model::{Comm, Exit, ExitStatus, LossReason};

const CGROUP: CgroupId = CgroupId {
    hierarchy: 0,
    id: 7,
};

fn exit(tgid: u32, start: u64, group_dead: bool) -> Timed {
    Timed {
        boottime_ns: start + 10,
        event: Event::Exit(Exit {
            process: Process {
                tid: tgid,
                tgid,
                ppid: Some(1),
                uid: Some(0),
                comm: Comm::new(*b"victim\0\0\0\0\0\0\0\0\0\0"),
                start_boottime_ns: (start != 0).then_some(start),
                cgroup: Some(CGROUP),
                wanted_cgroup_id: None,
                ns_pid: None,
                pid_ns: None,
                owners: None,
            },
            group_dead,
            leader: true,
            status: Some(ExitStatus::from_wait_status(9)),
            killed_by: None,
            oom: false,
            usage: None,
        }),
    }
}

fn placed(path: Option<&str>) -> Timed {
    Timed {
        boottime_ns: 0,
        event: Event::CgroupPlaced(CGROUP, path.map(Box::from)),
    }
}

#[test]
fn a_duplicate_group_death_is_told_once() {
    let mut tracker = Tracker::new();
    assert!(tracker.apply(exit(5, 100, true)).is_some());
    assert!(tracker.apply(exit(5, 100, true)).is_none());
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut tracker = Tracker::new();
    assert!(tracker.apply(exit(5, 100, true)).is_some());
    assert!(tracker.apply(exit(5, 101, true)).is_some());
}

#[test]
fn tasks_of_one_group_are_not_duplicates_of_each_other() {
    let mut tracker = Tracker::new();
    assert!(tracker.apply(exit(5, 100, false)).is_some());
    assert!(tracker.apply(exit(5, 100, false)).is_some());
    assert!(tracker.apply(exit(5, 100, true)).is_some());
}

#[test]
fn of_two_tasks_that_took_themselves_for_the_last_one_is_told_as_any_task() {
    let mut tracker = Tracker::of_tasks();
    let group_dead = |record: Option<Record>| match record {
        Some(Record::Exit(exit)) => exit.what.group_dead,
        other => panic!("no exit: {other:?}"),
    };
    assert!(group_dead(tracker.apply(exit(5, 100, true))));
    assert!(!group_dead(tracker.apply(exit(5, 100, true))));
}

#[test]
fn without_a_start_time_nothing_is_taken_for_a_duplicate() {
    let mut tracker = Tracker::new();
    assert!(tracker.apply(exit(5, 0, true)).is_some());
    assert!(tracker.apply(exit(5, 0, true)).is_some());
}

#[test]
fn an_unknown_cgroup_is_asked_for_once() {
    let mut tracker = Tracker::new();
    let event = exit(5, 100, true).event;
    assert_eq!(tracker.unplaced(&event), Some(CGROUP));
    assert!(tracker.apply(placed(None)).is_none());
    assert_eq!(tracker.unplaced(&event), None);
}

#[test]
fn an_exit_bears_the_path_of_its_cgroup_until_that_is_removed() {
    let mut tracker = Tracker::new();
    tracker.apply(placed(Some("/a/b")));
    let Some(Record::Exit(record)) = tracker.apply(exit(5, 100, true)) else {
        panic!("no exit");
    };
    assert_eq!(
        record.cgroup.as_ref().and_then(|it| it.path.as_deref()),
        Some("/a/b")
    );
    tracker.apply(Timed {
        boottime_ns: 0,
        event: Event::CgroupRemoved(CGROUP),
    });
    assert_eq!(tracker.path(CGROUP), None);
}

#[test]
fn a_path_leads_to_the_cgroup_that_lies_there_now() {
    let mut tracker = Tracker::new();
    let other = CgroupId {
        hierarchy: 0,
        id: 8,
    };
    let mut tell = |event| {
        tracker.apply(Timed {
            boottime_ns: 0,
            event,
        });
        [0, 1].map(|hierarchy| tracker.id_of(hierarchy, "/a"))
    };
    let at = |id, path: &str| Event::CgroupPlaced(id, Some(path.into()));
    assert_eq!(tell(at(CGROUP, "/a")), [Some(CGROUP), None]);
    // The removal of the first comes late.
    assert_eq!(tell(at(other, "/a")), [Some(other), None]);
    assert_eq!(tell(Event::CgroupRemoved(CGROUP)), [Some(other), None]);
    assert_eq!(tell(at(other, "/b")), [None, None]);
    assert_eq!(tell(at(other, "/a")), [Some(other), None]);
    assert_eq!(tell(Event::CgroupRemoved(other)), [None, None]);
}

#[test]
fn nameless_cgroups_do_not_pile_up() {
    let mut tracker = Tracker::new();
    for id in 0..20_000 {
        let id = CgroupId { hierarchy: 0, id };
        tracker.apply(Timed {
            boottime_ns: 0,
            event: Event::CgroupPlaced(id, None),
        });
    }
    assert!(tracker.cgroups.len() <= MAX_NAMELESS);
}

#[test]
fn a_drop_becomes_a_loss() {
    let lost = Tracker::new().apply(Timed {
        boottime_ns: 0,
        event: Event::Lost {
            count: 3,
            reason: LossReason::RingFull,
        },
    });
    assert_eq!(
        lost,
        Some(Record::Lost {
            count: 3,
            reason: LossReason::RingFull
        })
    );
}

/// What the rings may make of a few deaths: lost, doubled, in any order, mixed
/// with what is said of their cgroup and of losses.
fn disorder() -> impl Strategy<Value = Vec<Timed>> {
    let death = (1..6_u32, 1..3_u64).prop_map(|(tgid, start)| exit(tgid, start, true));
    let event = prop_oneof![
        6 => death,
        1 => Just(placed(Some("/a"))),
        1 => Just(placed(None)),
        1 => Just(Timed { boottime_ns: 0, event: Event::CgroupRemoved(CGROUP) }),
        1 => (1..9_u64).prop_map(|count| Timed { boottime_ns: 0, event: Event::Lost { count, reason: LossReason::RingFull } }),
    ];
    proptest::collection::vec(event, 0..60)
}

fn key(exit: &Exit) -> (u32, Option<u64>) {
    (exit.process.tgid, exit.process.start_boottime_ns)
}

proptest! {
    #[test]
    fn in_every_disorder_each_death_that_came_is_told_once_and_no_other(events in disorder()) {
        let came: HashSet<_> = events
            .iter()
            .filter_map(|timed| match &timed.event {
                Event::Exit(exit) => Some(key(exit)),
                _ => None,
            })
            .collect();
        let mut tracker = Tracker::new();
        let mut told = Vec::new();
        for timed in events {
            if let Some(Record::Exit(record)) = tracker.apply(timed) {
                told.push(key(&record.what));
            }
        }
        prop_assert_eq!(told.len(), came.len());
        prop_assert_eq!(told.into_iter().collect::<HashSet<_>>(), came);
    }

    #[test]
    fn in_every_disorder_what_was_lost_adds_up(events in disorder()) {
        let dropped = |timed: &Timed| match timed.event {
            Event::Lost { count, .. } => count,
            _ => 0,
        };
        let expected: u64 = events.iter().map(dropped).sum();
        let mut tracker = Tracker::new();
        let lost = |timed| match tracker.apply(timed) {
            Some(Record::Lost { count, .. }) => count,
            _ => 0,
        };
        prop_assert_eq!(events.into_iter().map(lost).sum::<u64>(), expected);
    }

    #[test]
    fn in_every_disorder_a_path_is_the_last_that_was_said(events in disorder()) {
        let mut tracker = Tracker::new();
        let mut said = None;
        for timed in events {
            match &timed.event {
                Event::CgroupPlaced(_, path) => said = path.as_deref().map(str::to_owned),
                Event::CgroupRemoved(_) => said = None,
                _ => {}
            }
            let record = tracker.apply(timed);
            let known = tracker.path(CGROUP);
            prop_assert_eq!(known.as_deref(), said.as_deref());
            if let Some(Record::Exit(record)) = record {
                let path = record.cgroup.as_ref().and_then(|it| it.path.as_deref());
                prop_assert_eq!(path, said.as_deref());
            }
        }
    }
}
