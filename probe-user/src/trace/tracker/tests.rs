//! The tracker with events that are lost, duplicated and out of order.

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
fn a_duplicate_group_death_is_reported_once() {
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
fn a_second_last_task_of_a_process_is_reported_as_an_ordinary_task() {
    let mut tracker = Tracker::for_tasks();
    let group_dead = |record: Option<Record>| match record {
        Some(Record::Exit(exit)) => exit.what.group_dead,
        other => panic!("no exit: {other:?}"),
    };
    assert!(group_dead(tracker.apply(exit(5, 100, true))));
    assert!(!group_dead(tracker.apply(exit(5, 100, true))));
}

#[test]
fn a_process_without_a_start_time_is_no_duplicate() {
    let mut tracker = Tracker::new();
    assert!(tracker.apply(exit(5, 0, true)).is_some());
    assert!(tracker.apply(exit(5, 0, true)).is_some());
}

#[test]
fn an_unknown_cgroup_is_looked_up_once() {
    let mut tracker = Tracker::new();
    let event = exit(5, 100, true).event;
    assert_eq!(tracker.unknown_cgroup(&event), Some(CGROUP));
    assert!(tracker.apply(placed(None)).is_none());
    assert_eq!(tracker.unknown_cgroup(&event), None);
}

#[test]
fn an_exit_has_the_path_of_its_cgroup_until_the_cgroup_is_removed() {
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
fn a_path_names_the_newest_cgroup_that_has_it() {
    let mut tracker = Tracker::new();
    let other = CgroupId {
        hierarchy: 0,
        id: 8,
    };
    let mut ids_after = |event| {
        tracker.apply(Timed {
            boottime_ns: 0,
            event,
        });
        [0, 1].map(|hierarchy| tracker.id_of(hierarchy, "/a"))
    };
    let at = |id, path: &str| Event::CgroupPlaced(id, Some(path.into()));
    assert_eq!(ids_after(at(CGROUP, "/a")), [Some(CGROUP), None]);
    // The removal of the first cgroup is reported late.
    assert_eq!(ids_after(at(other, "/a")), [Some(other), None]);
    assert_eq!(ids_after(Event::CgroupRemoved(CGROUP)), [Some(other), None]);
    assert_eq!(ids_after(at(other, "/b")), [None, None]);
    assert_eq!(ids_after(at(other, "/a")), [Some(other), None]);
    assert_eq!(ids_after(Event::CgroupRemoved(other)), [None, None]);
}

#[test]
fn the_number_of_cgroups_without_a_path_is_bounded() {
    let mut tracker = Tracker::new();
    for id in 0..20_000 {
        let id = CgroupId { hierarchy: 0, id };
        tracker.apply(Timed {
            boottime_ns: 0,
            event: Event::CgroupPlaced(id, None),
        });
    }
    assert!(tracker.cgroups.len() <= MAX_WITHOUT_PATH);
}

#[test]
fn a_loss_event_becomes_a_loss_record() {
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

/// A few exits, lost, duplicated and in any order, mixed with events of their cgroup and
/// losses.
fn disorder() -> impl Strategy<Value = Vec<Timed>> {
    let exit = (1..6_u32, 1..3_u64).prop_map(|(tgid, start)| exit(tgid, start, true));
    let event = prop_oneof![
        6 => exit,
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
    fn in_every_disorder_each_received_exit_is_reported_once_and_no_other(events in disorder()) {
        let received: HashSet<_> = events
            .iter()
            .filter_map(|timed| match &timed.event {
                Event::Exit(exit) => Some(key(exit)),
                _ => None,
            })
            .collect();
        let mut tracker = Tracker::new();
        let mut reported = Vec::new();
        for timed in events {
            if let Some(Record::Exit(record)) = tracker.apply(timed) {
                reported.push(key(&record.what));
            }
        }
        prop_assert_eq!(reported.len(), received.len());
        prop_assert_eq!(reported.into_iter().collect::<HashSet<_>>(), received);
    }

    #[test]
    fn in_every_disorder_the_losses_add_up(events in disorder()) {
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
    fn in_every_disorder_a_path_is_the_last_one_reported(events in disorder()) {
        let mut tracker = Tracker::new();
        let mut last = None;
        for timed in events {
            match &timed.event {
                Event::CgroupPlaced(_, path) => last = path.as_deref().map(str::to_owned),
                Event::CgroupRemoved(_) => last = None,
                _ => {}
            }
            let record = tracker.apply(timed);
            let known = tracker.path(CGROUP);
            prop_assert_eq!(known.as_deref(), last.as_deref());
            if let Some(Record::Exit(record)) = record {
                let path = record.cgroup.as_ref().and_then(|it| it.path.as_deref());
                prop_assert_eq!(path, last.as_deref());
            }
        }
    }
}
