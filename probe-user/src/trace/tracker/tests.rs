//! The tracker with events that are lost, duplicated and out of order.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::model::{Exit, LossReason};

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
                start_boottime_ns: (start != 0).then_some(start),
                cgroup: Some(CGROUP),
                ..Process::default()
            },
            group_dead,
            ..Exit::default()
        }),
    }
}

const fn timed(event: Event) -> Timed {
    Timed {
        boottime_ns: 0,
        event,
    }
}

const fn lost(count: u64) -> Timed {
    timed(Event::Lost {
        count,
        reason: LossReason::RingFull,
    })
}

fn placed(path: Option<&str>) -> Timed {
    timed(Event::CgroupPlaced(CGROUP, path.map(Box::from)))
}

#[test]
fn only_a_second_group_death_of_one_process_is_a_duplicate() {
    for (case, exits, is_duplicate) in [
        ("one process", [(100, true), (100, true)], true),
        ("a reused pid", [(100, true), (101, true)], false),
        ("tasks", [(100, false), (100, false)], false),
        ("a task and the group", [(100, false), (100, true)], false),
        ("without a start", [(0, true), (0, true)], false),
    ] {
        let mut tracker = Tracker::new();
        let records = exits.map(|(start, group_dead)| tracker.apply(exit(5, start, group_dead)));
        assert!(records[0].is_some(), "{case}");
        assert_eq!(records[1].is_none(), is_duplicate, "{case}");
    }
}

#[test]
fn a_second_last_task_of_a_process_is_reported_as_an_ordinary_task() {
    let mut tracker = Tracker {
        reports_tasks: true,
        ..Tracker::new()
    };
    let group_dead = |record: Option<Record>| match record {
        Some(Record::Exit(exit)) => exit.what.group_dead,
        other => panic!("no exit: {other:?}"),
    };
    assert!(group_dead(tracker.apply(exit(5, 100, true))));
    assert!(!group_dead(tracker.apply(exit(5, 100, true))));
}

#[test]
fn an_unknown_cgroup_is_looked_up_once() {
    let mut tracker = Tracker::new();
    let event = exit(5, 100, true).event;
    assert!(tracker.unknown_cgroups(&event).eq([CGROUP]));
    assert!(tracker.apply(placed(None)).is_none());
    assert_eq!(tracker.unknown_cgroups(&event).next(), None);
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
    tracker.apply(timed(Event::CgroupRemoved(CGROUP)));
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
        tracker.apply(timed(event));
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
fn a_renamed_cgroup_gives_new_paths_to_those_below_it() {
    let mut tracker = Tracker::new();
    let id = |id| CgroupId { hierarchy: 8, id };
    let mut place = |at, path: &str| {
        tracker.apply(timed(Event::CgroupPlaced(id(at), Some(path.into()))));
        [1, 2, 3].map(|at| tracker.path(id(at)).map(|it| it.to_string()))
    };
    place(1, "/a");
    place(2, "/a/b/c");
    place(3, "/ab");
    let paths = ["/z", "/z/b/c", "/ab"].map(|it| Some(it.to_owned()));
    assert_eq!(place(1, "/z"), paths);
    assert_eq!(tracker.id_of(8, "/z/b/c"), Some(id(2)));
    assert_eq!(tracker.id_of(8, "/a/b/c"), None);
}

#[test]
fn a_cgroup_with_a_name_is_below_its_parent() {
    let mut tracker = Tracker::new();
    tracker.apply(placed(Some("/a")));
    let id = |id| CgroupId { hierarchy: 0, id };
    let mut named = |at, parent| {
        tracker.apply(timed(Event::CgroupNamed(id(at), parent, "b".into())));
        tracker.path(id(at)).map(|it| it.to_string())
    };
    assert_eq!(named(8, CGROUP.id).as_deref(), Some("/a/b"));
    assert_eq!(named(9, 77), None);
    assert!(!tracker.knows(id(9)), "a lookup finds it");
}

#[test]
fn the_number_of_cgroups_without_a_path_is_bounded() {
    let mut tracker = Tracker::new();
    for id in 0..20_000 {
        let id = CgroupId { hierarchy: 0, id };
        tracker.apply(timed(Event::CgroupPlaced(id, None)));
    }
    assert!(tracker.cgroups.len() <= MAX_WITHOUT_PATH);
}

#[test]
fn a_loss_event_becomes_a_loss_record() {
    let (count, reason) = (3, LossReason::RingFull);
    let record = Tracker::new().apply(lost(count));
    let count = Some(count);
    assert_eq!(record, Some(Record::Lost { count, reason }));
}

/// A few exits, lost, duplicated and in any order, mixed with events of their cgroup and
/// losses.
fn disorder() -> impl Strategy<Value = Vec<Timed>> {
    let exit = (1..6_u32, 1..3_u64).prop_map(|(tgid, start)| exit(tgid, start, true));
    let event = prop_oneof![
        6 => exit,
        1 => Just(placed(Some("/a"))),
        1 => Just(placed(None)),
        1 => Just(timed(Event::CgroupRemoved(CGROUP))),
        1 => (1..9_u64).prop_map(lost),
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
            Some(Record::Lost { count, .. }) => count.expect("a known loss"),
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

#[test]
fn a_record_names_its_v1_cgroup_unless_that_is_a_root_or_the_same() {
    const V1: CgroupId = CgroupId {
        hierarchy: 8,
        id: 3,
    };
    let mut tracker = Tracker::new();
    tracker.name_v1(Some(8));
    let mut v1_path = |start, path: &str, v1: CgroupId, primary| {
        tracker.apply(placed(Some("/engine.service")));
        tracker.apply(timed(Event::CgroupPlaced(v1, Some(path.into()))));
        let mut exit = exit(5, start, true);
        if let Event::Exit(exit) = &mut exit.event {
            exit.process.v1_cgroup_id = NonZeroU64::new(v1.id);
            exit.process.cgroup = Some(primary);
        }
        match tracker.apply(exit) {
            Some(Record::Exit(exit)) => exit.v1_cgroup.clone().and_then(|it| it.path),
            other => panic!("no exit: {other:?}"),
        }
    };
    assert_eq!(
        v1_path(100, "/docker/x", V1, CGROUP).as_deref(),
        Some("/docker/x")
    );
    assert_eq!(v1_path(101, "/", V1, CGROUP), None);
    assert_eq!(v1_path(102, "/docker/x", V1, V1), None);
}
