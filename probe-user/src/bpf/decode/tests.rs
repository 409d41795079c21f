//! Decoding of literal bytes, including short records and unknown kinds.

use probe_ebpf::event::{Exec, Exit as WireExit};
use proptest::prelude::*;
use zerocopy::FromZeros;

use super::*;

/// Copies bytes to 8-byte alignment, which records in a ring buffer have.
fn aligned(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0_u64; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    words
}

fn task() -> wire::Task {
    wire::Task {
        tid: 53,
        tgid: 42,
        ppid: 1,
        uid: 1000,
        start_boottime_ns: 5,
        cgroup_id: 7411,
        wanted_cgroup_id: 77,
        cgroup_hierarchy: 0,
        ns_pid: 1,
        pid_ns: 4_026_531_836,
        user_ns_owner: 1000,
        user_ns_top_owner: 100_000,
        pid: 52,
        comm: *b"nginx\0garbage!!!",
    }
}

fn wire_exit(exit_code: u32, flags: u32) -> WireExit {
    WireExit {
        header: Header {
            kind: wire::KIND_EXIT,
            cpu: 1,
            dropped: 0,
            boottime_ns: 99,
        },
        task: task(),
        exit_code,
        flags,
        user_ns: 4_000_000,
        system_ns: 12_000_000,
        runtime_ns: 8_000_000,
        max_rss_pages: 3,
        killer: wire::Killer::new_zeroed(),
        task_cgroup_id: 0,
        task_start_boottime_ns: 6,
        task_comm: *b"worker\0\0\0\0\0\0\0\0\0\0",
    }
}

fn decode_exit(record: &WireExit) -> Exit {
    let words = aligned(record.as_bytes());
    match decode(words.as_bytes()).expect("a record").event {
        Event::Exit(exit) => exit,
        other => panic!("not an exit: {other:?}"),
    }
}

#[test]
fn an_exit_has_the_fields_of_its_record() {
    let exit = decode_exit(&wire_exit(0x8b, EXIT_GROUP_DEAD | EXIT_STATUS_KNOWN));
    assert!(exit.group_dead);
    assert!(!exit.leader);
    assert_eq!(exit.status, Some(ExitStatus::from_wait_status(0x8b)));
    assert_eq!(exit.process.comm.to_str(), "nginx");
    assert_eq!(exit.task.comm.to_str(), "worker");
    assert_eq!(exit.task.start_boottime_ns, Some(6));
    assert_eq!(exit.task.cgroup, None);
    let cgroup = exit.process.cgroup.map(|it| (it.hierarchy, it.id));
    assert_eq!(cgroup, Some((0, 7411)));
    assert_eq!(exit.process.v1_cgroup_id, NonZeroU64::new(77));
    assert_eq!(exit.killed_by, None);
    let owners = exit.process.owners.expect("a user namespace");
    assert_eq!((owners.own, owners.top), (1000, 100_000));
}

#[test]
fn run_time_is_split_in_the_proportion_of_the_ticks() {
    let usage = decode_exit(&wire_exit(0, EXIT_STATUS_KNOWN)).usage;
    let usage = usage.expect("known");
    assert_eq!((usage.user_ns, usage.system_ns), (2_000_000, 6_000_000));
}

#[test]
fn sentinels_become_none() {
    let mut record = wire_exit(0, EXIT_GROUP_DEAD | EXIT_LEADER);
    record.task.ppid = UNKNOWN;
    record.task.start_boottime_ns = 0;
    record.task.pid_ns = 0;
    record.task.user_ns_owner = UNKNOWN;
    let exit = decode_exit(&record);
    assert_eq!(exit.status, None);
    assert_eq!(exit.usage, None);
    assert_eq!(exit.process.ppid, None);
    assert_eq!(exit.process.start_boottime_ns, None);
    assert_eq!(exit.process.pid_ns, None);
    assert_eq!(exit.process.owners, None);
}

#[test]
fn the_length_in_the_record_ends_the_arguments() {
    let mut record = Exec::read_from_bytes(&[0; size_of::<Exec>()]).expect("its size");
    record.header.kind = wire::KIND_EXEC;
    record.task = task();
    record.args_len = 7;
    record.args[..10].copy_from_slice(b"ls\0-al\0xyz");
    let words = aligned(&record.as_bytes()[..offset_of!(Exec, args) + 8]);
    let Event::Start(start) = decode(words.as_bytes()).expect("a record").event else {
        panic!("not a start");
    };
    let args = start.exec.expect("an exec").args;
    assert_eq!(args, Some(vec!["ls".to_owned(), "-al".to_owned()]));
}

#[test]
fn a_short_record_and_an_unknown_kind_are_errors() {
    let record = wire_exit(0, 0);
    let (kind, actual) = (wire::KIND_EXIT, 168);
    let short = aligned(&record.as_bytes()[..actual]);
    let unknown = aligned(&[77; 24]);
    for (words, error) in [
        (short, DecodeError::Short { kind, actual }),
        (Vec::new(), DecodeError::NoHeader(0)),
        (
            unknown,
            DecodeError::UnknownKind(u32::from_ne_bytes([77; 4])),
        ),
    ] {
        assert_eq!(decode(words.as_bytes()), Err(error));
    }
}

proptest! {
    #[test]
    fn decoding_arbitrary_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..1400), kind in 0_u32..9) {
        let mut words = aligned(&bytes);
        let raw = words.as_mut_bytes();
        if raw.len() >= 4 {
            raw[..4].copy_from_slice(&kind.to_ne_bytes());
        }
        let _decoded = decode(words.as_bytes());
    }
}
