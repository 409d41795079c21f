//! Turns the bytes of a ring buffer into events.
//!
//! [`decode`] is a pure function of the record: it reads no clock, no map and no `/proc`.
//! Sentinels become `None`; the raw wait status, `si_code` and flags become
//! [`ExitStatus`] and a [`KilledBy`].

use std::{mem::offset_of, num::NonZeroU64};

use probe_ebpf::event::{
    self as wire, CgroupCreated, CgroupKey, EXIT_CGROUP_UNTESTED, EXIT_GROUP_DEAD,
    EXIT_KILLER_FORGOTTEN, EXIT_KILLER_KNOWN, EXIT_LEADER, EXIT_OOM_VICTIM, EXIT_STATUS_KNOWN,
    Header, UNKNOWN,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::killer;
use crate::model::{
    Arguments, CgroupId, Comm, Event, Exit, ExitStatus, ExitingTask, KilledBy, Owners, Process,
    ProcessId, Start, Timed, Usage,
};

/// Why bytes are not a record of the BPF programs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[cfg_attr(
    feature = "unstable",
    expect(missing_docs, reason = "the messages say what the fields are")
)]
pub enum DecodeError {
    /// The record is shorter than its kind requires.
    #[error("record of {actual} bytes is too short for kind {kind}")]
    Short { kind: u32, actual: usize },
    /// This version does not know the kind.
    #[error("record of unknown kind {0}")]
    UnknownKind(u32),
    /// The record is shorter than a header.
    #[error("record of {0} bytes has no header")]
    NoHeader(usize),
}

/// Decodes only the header, for loss accounting.
pub fn header(bytes: &[u8]) -> Result<&Header, DecodeError> {
    Header::ref_from_prefix(bytes)
        .map(|(header, _)| header)
        .map_err(|_size_or_alignment| DecodeError::NoHeader(bytes.len()))
}

/// Decodes one record.
pub fn decode(bytes: &[u8]) -> Result<Timed, DecodeError> {
    let header = header(bytes)?;
    let event = match header.kind {
        wire::KIND_EXIT => Event::Exit(exit(record(bytes, header)?)),
        wire::KIND_FORK => Event::Start(fork(record(bytes, header)?)),
        wire::KIND_EXEC => Event::Start(exec(bytes, header)?),
        wire::KIND_CGROUP_EMPTY => Event::CgroupEmpty(change(bytes, header)?),
        wire::KIND_CGROUP_REMOVED => Event::CgroupRemoved(change(bytes, header)?),
        wire::KIND_CGROUP_CREATED => cgroup_created(bytes, header)?,
        wire::KIND_ATTACH => {
            let attach: &wire::Attach = record(bytes, header)?;
            Event::Attached(cgroup_id(&attach.cgroup), process(&attach.task))
        }
        wire::KIND_MEMBER => {
            let member: &wire::Member = record(bytes, header)?;
            let process = ProcessId {
                tgid: member.tgid,
                start_boottime_ns: member.start_boottime_ns,
            };
            Event::CgroupEntered(cgroup_id(&member.cgroup), process)
        }
        kind => return Err(DecodeError::UnknownKind(kind)),
    };
    Ok(Timed {
        boottime_ns: header.boottime_ns,
        event,
    })
}

fn record<'a, T: FromBytes + KnownLayout + Immutable>(
    bytes: &'a [u8],
    header: &Header,
) -> Result<&'a T, DecodeError> {
    T::ref_from_prefix(bytes)
        .map(|(record, _)| record)
        .map_err(|_size_or_alignment| short(bytes, header))
}

const fn short(bytes: &[u8], header: &Header) -> DecodeError {
    DecodeError::Short {
        kind: header.kind,
        actual: bytes.len(),
    }
}

fn change(bytes: &[u8], header: &Header) -> Result<CgroupId, DecodeError> {
    let change: &wire::CgroupChange = record(bytes, header)?;
    Ok(cgroup_id(&change.cgroup))
}

const fn cgroup_id(key: &CgroupKey) -> CgroupId {
    CgroupId {
        hierarchy: key.hierarchy,
        id: key.id,
    }
}

fn known(value: u32) -> Option<u32> {
    (value != UNKNOWN).then_some(value)
}

fn not_zero<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

fn process(task: &wire::Task) -> Process {
    Process {
        tid: task.tid,
        tgid: task.pid,
        initial_tgid: task.tgid,
        ppid: known(task.ppid),
        uid: known(task.uid),
        comm: Comm::new(task.comm),
        start_boottime_ns: not_zero(task.start_boottime_ns),
        cgroup: not_zero(task.cgroup_id)
            .zip(known(task.cgroup_hierarchy))
            .map(|(id, hierarchy)| CgroupId { hierarchy, id }),
        v1_cgroup_id: NonZeroU64::new(task.wanted_cgroup_id),
        ns_pid: not_zero(task.ns_pid),
        pid_ns: not_zero(task.pid_ns),
        owners: owners(task),
    }
}

fn owners(task: &wire::Task) -> Option<Owners> {
    Some(Owners {
        own: known(task.user_ns_owner)?,
        top: known(task.user_ns_top_owner)?,
    })
}

fn exit(exit: &wire::Exit) -> Exit {
    let has = |flag: u32| exit.flags & flag != 0;
    let status = has(EXIT_STATUS_KNOWN).then(|| ExitStatus::from_wait_status(exit.exit_code));
    let killed_by = killer::killed_by(
        status,
        has(EXIT_OOM_VICTIM),
        has(EXIT_KILLER_KNOWN).then_some(&exit.killer),
        exit.task.tgid,
    );
    Exit {
        process: process(&exit.task),
        group_dead: has(EXIT_GROUP_DEAD),
        leader: has(EXIT_LEADER),
        status,
        oom: killed_by.as_ref() == Some(&KilledBy::OOM),
        killer_forgotten: killed_by.is_none() && has(EXIT_KILLER_FORGOTTEN),
        killed_by,
        usage: has(EXIT_STATUS_KNOWN).then(|| usage(exit)),
        task: ExitingTask {
            comm: Comm::new(exit.task_comm),
            start_boottime_ns: not_zero(exit.task_start_boottime_ns),
            cgroup: not_zero(exit.task_cgroup_id)
                .zip(known(exit.task.cgroup_hierarchy))
                .map(|(id, hierarchy)| CgroupId { hierarchy, id }),
            is_apart: has(EXIT_CGROUP_UNTESTED),
        },
    }
}

/// Splits the exact run time in the proportion of the ticks, as the kernel does
/// for `getrusage`:
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/sched/cputime.c#L555>
fn usage(exit: &wire::Exit) -> Usage {
    let ticks = u128::from(exit.user_ns) + u128::from(exit.system_ns);
    let runtime = exit.runtime_ns;
    let system_ns = match (exit.user_ns, exit.system_ns) {
        (_, 0) => 0,
        (0, _) => runtime,
        (_, system) => {
            u64::try_from(u128::from(runtime) * u128::from(system) / ticks).unwrap_or(runtime)
        }
    };
    Usage {
        user_ns: runtime.saturating_sub(system_ns),
        system_ns,
        max_rss_pages: exit.max_rss_pages,
    }
}

fn fork(fork: &wire::Fork) -> Start {
    Start {
        process: process(&fork.task),
        exec: None,
    }
}

fn exec(bytes: &[u8], header: &Header) -> Result<Start, DecodeError> {
    let exec: wire::Exec = padded(bytes);
    let args = tail(bytes, header, offset_of!(wire::Exec, args), exec.args_len)?;
    Ok(Start {
        process: process(&exec.task),
        exec: Some(Arguments {
            args: (!args.is_empty()).then(|| split_args(args)),
            truncated: exec.args_truncated != 0,
        }),
    })
}

/// A record that ends with a byte array, of which only the used part is in the ring. The
/// rest becomes 0.
fn padded<T: FromBytes + IntoBytes>(bytes: &[u8]) -> T {
    let mut record = T::new_zeroed();
    let length = bytes.len().min(size_of::<T>());
    record.as_mut_bytes()[..length].copy_from_slice(&bytes[..length]);
    record
}

/// The used part of the byte array at the end of a record.
fn tail<'a>(
    bytes: &'a [u8],
    header: &Header,
    at: usize,
    length: u32,
) -> Result<&'a [u8], DecodeError> {
    let tail = bytes.get(at..).and_then(|tail| tail.get(..length as usize));
    tail.ok_or_else(|| short(bytes, header))
}

fn split_args(args: &[u8]) -> Vec<String> {
    args.strip_suffix(&[0])
        .unwrap_or(args)
        .split(|&byte| byte == 0)
        .map(|arg| String::from_utf8_lossy(arg).into_owned())
        .collect()
}

fn cgroup_created(bytes: &[u8], header: &Header) -> Result<Event, DecodeError> {
    let created: CgroupCreated = padded(bytes);
    let path = tail(
        bytes,
        header,
        offset_of!(CgroupCreated, path),
        created.path_len,
    )?;
    let id = cgroup_id(&created.cgroup);
    let path: Option<Box<str>> = (!path.is_empty()).then(|| String::from_utf8_lossy(path).into());
    Ok(match path {
        Some(name) if created.is_name != 0 => Event::CgroupNamed(id, created.parent_id, name),
        path => Event::CgroupPlaced(id, path),
    })
}

#[cfg(test)]
mod tests;
