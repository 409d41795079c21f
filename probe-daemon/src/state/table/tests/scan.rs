//! Scans of `/proc`, with events before, during and after them.

use super::*;

#[test]
fn a_scan_does_not_add_an_exiting_process() {
    let mut table = ProcessTable::new(HZ);
    let [before, during] = [5, 6].map(|tgid| process(tgid, 100, A));
    table.apply(&at(500, exit(&before)));
    table.begin_scan(1000);
    table.scanned(&scanned(&before));
    table.apply(&at(1001, exit(&during)));
    table.scanned(&scanned(&during));
    let namesake = process(6, 3 * TICK_NS, A);
    table.scanned(&scanned(&namesake));
    let differences = table.finish_scan(|_| true);
    assert_eq!((differences.added, differences.removed), (1, 0));
    assert_eq!(
        table.get(6).map(Row::start_no_later_than_ns),
        Some(3 * TICK_NS)
    );
    assert_eq!(pids(&table), [6]);
}

#[test]
fn a_process_that_a_scan_did_not_find_stays_unless_it_is_gone() {
    let mut table = ProcessTable::new(HZ);
    for tgid in [5, 6] {
        table.apply(&at(200, fork(&process(tgid, 100, A))));
    }
    table.begin_scan(400);
    let differences = table.finish_scan(|tgid| tgid == 6);
    assert_eq!((differences.added, differences.removed), (0, 1));
    assert_eq!(pids(&table), [5]);
}

#[test]
fn a_scan_keeps_a_later_process_of_the_same_tick() {
    let mut table = ProcessTable::new(HZ);
    let [old, new] = [100, 300].map(|start_ns| process(5, start_ns, A));
    table.apply(&at(200, exit(&old)));
    table.apply(&at(301, fork(&new)));
    table.begin_scan(400);
    table.scanned(&scanned(&new));
    assert_eq!(table.finish_scan(|_| true), Differences::default());
    assert_eq!(pids(&table), [5]);
}

#[test]
fn twenty_thousand_processes_that_exit_during_a_scan_are_not_added() {
    let mut table = ProcessTable::new(HZ);
    let dead = |tgid| process(tgid, 100, A);
    table.begin_scan(1000);
    for tgid in 1..20_000 {
        table.apply(&at(1001, exit(&dead(tgid))));
    }
    for tgid in 1..20_000 {
        table.scanned(&scanned(&dead(tgid)));
    }
    assert_eq!(table.finish_scan(|_| true), Differences::default());
    assert!(table.is_empty());
    // The table has forgotten the oldest exits.
    table.begin_scan(2000);
    table.scanned(&scanned(&dead(1)));
    assert_eq!(table.finish_scan(|_| true).added, 1);
}

#[test]
fn zombies_are_not_live() {
    let mut table = ProcessTable::new(HZ);
    let it = process(5, 100, A);
    table.apply(&at(101, fork(&it)));
    table.begin_scan(200);
    table.scanned(&ScannedProcess {
        state: ProcessState::Exited,
        ..scanned(&it)
    });
    let differences = table.finish_scan(|_| true);
    assert_eq!((differences.added, differences.removed), (0, 1));
}

#[test]
fn an_event_gives_a_scanned_process_its_exact_start() {
    let mut table = ProcessTable::new(HZ);
    let it = process(5, 3 * TICK_NS + 17, A);
    table.begin_scan(4 * TICK_NS);
    table.scanned(&scanned(&it));
    assert_eq!(table.get(5).and_then(Row::start_boottime_ns), None);
    // The events are older than the scan, so the table takes only the start from them.
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
fn an_event_from_before_the_scan_adds_no_process() {
    let mut table = ProcessTable::new(HZ);
    table.begin_scan(1000);
    table.finish_scan(|_| true);
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
        // Each process is in its own cgroup.
        table.scanned(&scanned(&process(tgid, 0, cgroup(u64::from(tgid)))));
    }
    table.finish_scan(|_| true);
    assert_eq!(table.iter().len(), PROCESSES as usize);
    let bytes = map_bytes(&table.rows);
    assert!(bytes < 16 << 20, "{bytes}");
    // An empty table returns its memory.
    table.begin_scan(2000);
    table.finish_scan(|_| true);
    assert!(map_bytes(&table.rows) < 1 << 20);
}

/// Bytes of a map: a power of two of buckets, of which an eighth stays free, and one
/// control byte for each.
fn map_bytes<K, V>(map: &HashMap<K, V>) -> usize {
    let buckets = (map.capacity() * 8 / 7).next_power_of_two();
    buckets * (size_of::<(K, V)>() + 1)
}
