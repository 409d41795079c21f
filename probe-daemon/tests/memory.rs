//! Memory of the daemon's tables on a large machine.
//!
//! The tables get the events and scan results of such a machine. The test runs in a process
//! of its own, because it measures the memory of the process.

use std::{fs, sync::Arc};

use probe_daemon::unstable::state::{history::History, table::ProcessTable};
use probe_user::{
    model::{
        CgroupId, Comm, Container, Event, Exit, ExitStatus, Process, ProcessState, Record, Runtime,
        ScannedProcess, Start, Timed, Usage,
    },
    unstable::trace::tracker::Tracker,
};

/// The daemon may take 64 MiB, of which it needs 26 MiB with empty tables.
const MAX_BYTES: u64 = 38 << 20;
const PROCESSES: u32 = 100_000;
const EXITS: u32 = 65_536;
const CGROUPS: u64 = 2000;
const TICKS_PER_SECOND: u64 = 100;
const TICK_NS: u64 = 1_000_000_000 / TICKS_PER_SECOND;

fn peak_resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|it| it.strip_suffix("kB")).expect("in kB");
    kibibytes.trim().parse::<u64>().expect("a number") << 10
}

fn cgroup(number: u64) -> CgroupId {
    CgroupId {
        hierarchy: 0,
        id: 100 + number % CGROUPS,
    }
}

fn process(tgid: u32) -> Process {
    Process {
        tid: tgid,
        tgid,
        ppid: Some(1),
        uid: Some(1000),
        comm: Comm::cut(b"a-longer-name-x"),
        start_boottime_ns: Some(u64::from(tgid) * TICK_NS),
        cgroup: Some(cgroup(u64::from(tgid))),
        ns_pid: Some(1),
        pid_ns: Some(4_026_531_836),
        ..Process::default()
    }
}

fn scanned(tgid: u32) -> ScannedProcess {
    ScannedProcess {
        tgid,
        start_ticks: u64::from(tgid),
        ppid: 1,
        uid: 1000,
        comm: Comm::cut(b"a-longer-name-x"),
        state: ProcessState::Running,
        ns_pid: Some(1),
        owners: None,
        cgroup: Some(cgroup(u64::from(tgid))),
        v1_cgroup_id: None,
    }
}

fn exit(tgid: u32) -> Exit {
    Exit {
        process: process(tgid),
        group_dead: true,
        leader: true,
        status: Some(ExitStatus::from_wait_status(9)),
        usage: Some(Usage {
            user_ns: 1,
            system_ns: 1,
            max_rss_pages: 1,
        }),
        ..Exit::default()
    }
}

/// Containers, which records share, as a resolver returns them.
fn containers() -> Vec<Arc<Container>> {
    let container = |number: u64| Container {
        runtime: Runtime::Containerd,
        id: format!("{number:064x}"),
        name: Some(format!("service-{number}")),
        pod_uid: Some(format!("{number:036x}")),
        pod: Some(format!("default/{number}")),
        location: Some(format!("/run/containerd/{number}").into()),
    };
    (0..CGROUPS).map(container).map(Arc::new).collect()
}

#[test]
fn the_tables_of_a_large_machine_take_at_most_38_mib() {
    let before = peak_resident_bytes();
    let containers = containers();
    let mut tracker = Tracker::new();
    let mut table = ProcessTable::new(TICKS_PER_SECOND);
    let mut history = History::new(EXITS as usize);
    let mut now = u64::from(PROCESSES) * TICK_NS * 2;
    let mut timed = |event| {
        now += 1;
        let boottime_ns = now;
        Timed { boottime_ns, event }
    };
    for number in 0..CGROUPS {
        let path = format!("/kubepods.slice/kubepods-burstable.slice/kubepods-{number:036x}.slice");
        let placed = Event::CgroupPlaced(cgroup(number), Some(path.into()));
        assert!(tracker.apply(timed(placed)).is_none());
    }
    table.begin_scan(1);
    // Half of the processes exist at the start, the others are forked. Then all processes
    // are scanned again, as after a loss.
    let scan = |table: &mut ProcessTable, tgids: std::ops::RangeInclusive<u32>| {
        for tgid in tgids {
            table.scanned(&scanned(tgid));
        }
        table.finish_scan(|_| true)
    };
    assert_eq!(scan(&mut table, 1..=PROCESSES / 2).added, 50_000);
    for tgid in PROCESSES / 2 + 1..=PROCESSES {
        let process = process(tgid);
        table.apply(&timed(Event::Start(Start {
            process,
            exec: None,
        })));
    }
    table.begin_scan(
        timed(Event::CgroupEmpty(CgroupId {
            hierarchy: 0,
            id: 1,
        }))
        .boottime_ns,
    );
    let differences = scan(&mut table, 1..=PROCESSES);
    assert_eq!((differences.added, differences.removed), (0, 0));

    // Twice the capacity of the ring.
    for tgid in PROCESSES + 1..=PROCESSES + 2 * EXITS {
        let exited = timed(Event::Exit(exit(tgid)));
        table.apply(&exited);
        let Some(Record::Exit(mut exit)) = tracker.apply(exited) else {
            panic!("not an exit");
        };
        let container = &containers[tgid as usize % containers.len()];
        Arc::make_mut(&mut exit).container = Some(Arc::clone(container));
        let _seq = history.push(exit);
    }
    assert_eq!(table.iter().count(), PROCESSES as usize);
    assert_eq!(history.iter().len(), EXITS as usize);
    let grown = peak_resident_bytes() - before;
    assert!(grown < MAX_BYTES, "{} KiB more", grown >> 10);
}
