//! Processes that have not exited and their containers, for `probe ps` without a daemon.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

use probe_daemon::api::container::{Container, Process, State};
use probe_user::{
    model::Runtime,
    unstable::{
        clock::start_of_tick,
        container::Resolver,
        proc::{
            scan::{self, Found},
            visibility,
        },
    },
};

use super::{ExitCode, Failure, named::PROC_HINT, terminal::Messages};

/// Returns all processes that have not exited. A process of which the exit has begun may hang
/// in it, and still belongs to its cgroup.
pub(super) fn found() -> Result<Vec<Found>, Failure> {
    if !visibility::is_own() {
        let failure = Failure::new(ExitCode::NotAvailable, visibility::ForeignProc);
        return Err(failure.hint(PROC_HINT));
    }
    let mut scan = scan::scan(false)?;
    let mut found = scan.by_ref().collect::<Result<Vec<_>, _>>()?;
    if !scan.is_complete() {
        Messages::print_always(
            "probe: /proc does not show this user every process: the list may lack some\n\
             hint: run probe as root",
        );
    }
    found.retain(|found| !found.process.state.has_exited());
    Ok(found)
}

/// Returns all containers with processes that have not exited, in the order of their ids.
pub(super) fn containers(found: &[Found], resolver: &mut Resolver) -> Vec<Container> {
    let mut containers: BTreeMap<(String, Runtime, Option<PathBuf>), Container> = BTreeMap::new();
    for found in found {
        let paths = found.places().map(|place| place.path.as_str());
        let mut located = paths.filter_map(|it| Some((it, resolver.container_of(it)?)));
        let Some((path, of)) = located.next() else {
            continue;
        };
        let process = process(found);
        let key = (of.id.clone(), of.runtime, of.location.clone());
        let entry = containers
            .entry(key)
            .or_insert_with(|| Container::empty(&of, path));
        if path.len() < entry.cgroup.len() {
            path.clone_into(&mut entry.cgroup);
        }
        entry.live += 1;
        let starts = [entry.oldest_start_boottime_ns, process.start_boottime_ns];
        entry.oldest_start_boottime_ns = starts.into_iter().flatten().min();
    }
    containers.into_values().collect()
}

/// Adds the processes that are exiting to the containers of a daemon, which counts a process
/// only until its exit begins.
pub(super) fn add_exiting(
    containers: &mut Vec<Container>,
    mut found: Vec<Found>,
    resolver: &mut Resolver,
) {
    found.retain(|it| it.process.state.has_begun_exit());
    for exiting in self::containers(&found, resolver) {
        let is_same = |it: &&mut Container| {
            (&it.id, &it.runtime, &it.location)
                == (&exiting.id, &exiting.runtime, &exiting.location)
        };
        let Some(known) = containers.iter_mut().find(is_same) else {
            containers.push(exiting);
            continue;
        };
        known.live += exiting.live;
        let starts = [
            known.oldest_start_boottime_ns,
            exiting.oldest_start_boottime_ns,
        ];
        known.oldest_start_boottime_ns = starts.into_iter().flatten().min();
    }
}

pub(super) fn process(found: &Found) -> Process {
    let process = &found.process;
    Process {
        pid: process.tgid,
        ppid: Some(process.ppid),
        uid: Some(process.uid),
        comm: process.comm.to_str().into_owned(),
        start_boottime_ns: Some(start_of_tick(process.start_ticks)),
        cgroup: found.place.as_ref().map(|place| place.path.clone()),
        state: if process.state.has_begun_exit() {
            State::Exiting
        } else {
            State::Running
        },
    }
}

/// Sorts parents before their children, each with its depth below the topmost ancestor in the
/// list. Every process appears once, even if the parent pids form a cycle.
#[must_use]
pub(super) fn tree(mut processes: Vec<Process>) -> Vec<(usize, Process)> {
    processes.sort_by_key(|it| (it.start_boottime_ns, it.pid));
    let pids: HashSet<u32> = processes.iter().map(|it| it.pid).collect();
    let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
    let mut pending = Vec::new();
    // In reverse, because `pending` is a stack.
    for process in processes.into_iter().rev() {
        match process.ppid {
            Some(ppid) if ppid != process.pid && pids.contains(&ppid) => {
                children.entry(ppid).or_default().push(process);
            }
            _ => pending.push((0, process)),
        }
    }
    let mut shown = Vec::new();
    loop {
        while let Some((depth, process)) = pending.pop() {
            let below = children.remove(&process.pid).unwrap_or_default();
            pending.extend(below.into_iter().map(|child| (depth + 1, child)));
            shown.push((depth, process));
        }
        // A cycle has no topmost process. A cycle forms if a pid was reused while `/proc` was
        // read.
        let Some(&pid) = children.keys().min() else {
            return shown;
        };
        let cycle = children.remove(&pid).unwrap_or_default();
        pending.extend(cycle.into_iter().map(|process| (0, process)));
    }
}

/// Keeps the process with this pid and its descendants.
#[must_use]
pub(super) fn descendants(processes: Vec<Process>, pid: u32) -> Vec<Process> {
    let mut wanted = HashSet::from([pid]);
    loop {
        let before = wanted.len();
        for process in &processes {
            if process.ppid.is_some_and(|ppid| wanted.contains(&ppid)) {
                wanted.insert(process.pid);
            }
        }
        if wanted.len() == before {
            break;
        }
    }
    let mut processes = processes;
    processes.retain(|process| wanted.contains(&process.pid));
    processes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn process(pid: u32, ppid: u32) -> Process {
        Process {
            pid,
            ppid: Some(ppid),
            uid: None,
            comm: String::new(),
            start_boottime_ns: Some(pid.into()),
            cgroup: None,
            state: State::Running,
        }
    }

    fn shape(tree: &[(usize, Process)]) -> Vec<(usize, u32)> {
        tree.iter().map(|(depth, it)| (*depth, it.pid)).collect()
    }

    #[test]
    fn children_follow_their_parent_in_the_order_of_their_start() {
        let family = [(30, 10), (10, 1), (40, 30), (20, 10), (50, 2)];
        let tree = tree(family.map(|(pid, ppid)| process(pid, ppid)).into());
        assert_eq!(shape(&tree), [(0, 10), (1, 20), (1, 30), (2, 40), (0, 50)]);
    }

    #[test]
    fn descendants_include_the_process_itself() {
        let family = [(10, 1), (20, 10), (30, 20), (40, 1), (5, 30)];
        let all = family.map(|(pid, ppid)| process(pid, ppid)).to_vec();
        let pids = descendants(all, 10)
            .iter()
            .map(|it| it.pid)
            .collect::<Vec<_>>();
        assert_eq!(pids, [10, 20, 30, 5]);
    }

    proptest! {
        #[test]
        fn every_process_appears_in_the_tree_once(parents in proptest::collection::vec(0_u32..12, 0..12)) {
            let all: Vec<_> = (0..).zip(&parents).map(|(pid, &ppid)| process(pid, ppid)).collect();
            let mut pids: Vec<_> = tree(all.clone()).iter().map(|(_, it)| it.pid).collect();
            pids.sort_unstable();
            prop_assert_eq!(pids, all.iter().map(|it| it.pid).collect::<Vec<_>>());
        }
    }
}
