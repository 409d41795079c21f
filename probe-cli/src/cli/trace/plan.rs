//! Turns the arguments into targets, conditions and loaded BPF programs.

use std::os::fd::OwnedFd;

use probe_daemon::api::quantity::nanoseconds;
use probe_user::{
    model::Filter,
    unstable::{
        bpf::{
            hook::Hook,
            load::{self, Attached, DEFAULT_STREAM_BYTES, Plan, Rings},
        },
        cgroup::{
            mounts::Mounts,
            pinned::{self, PinError},
        },
        container::Resolver,
        proc::pinned::PinnedProcess,
    },
};

use super::Args;
use crate::cli::{
    ExitCode, Failure,
    buffer::ring_size,
    failure::bpf_unavailable,
    target::{self, CgroupTarget},
    terminal::Messages,
};

pub(super) fn check_ages(args: &Args) -> Result<(), Failure> {
    match (args.min_age, args.max_age) {
        (Some(least), Some(most)) if least > most => {
            let message = format!("--min-age {least:?} is greater than --max-age {most:?}");
            let failure = Failure::message(ExitCode::Usage, message);
            Err(failure.hint("no process matches both; use a smaller --min-age"))
        }
        _ => Ok(()),
    }
}

/// On a kernel without BTF, refuses a v1 cgroup, which would match no exit and look like an
/// idle target. Conditions match every exit instead, which is visible, so that a note is
/// enough.
pub(super) fn check_without_btf(
    args: &Args,
    wanted: &Filter,
    messages: Messages,
) -> Result<(), Failure> {
    if wanted.hierarchy().is_some() {
        let message = "the v1 cgroup of a process is unknown on a kernel without BTF";
        let failure = Failure::message(ExitCode::NotAvailable, message);
        return Err(
            failure.hint("use a v2 cgroup or --pid, or boot a kernel with CONFIG_DEBUG_INFO_BTF")
        );
    }
    let conditions = [
        ("--failed", args.failed),
        ("--signaled", args.signaled),
        ("--oom", args.oom),
        ("--min-age", args.min_age.is_some()),
        ("--max-age", args.max_age.is_some()),
    ];
    let ignored: Vec<_> = conditions
        .iter()
        .filter(|(_, is_used)| *is_used)
        .map(|(flag, _)| *flag)
        .collect();
    if !ignored.is_empty() {
        messages.print(&format!(
            "note: every exit matches {} on a kernel without BTF",
            ignored.join(", ")
        ));
    }
    Ok(())
}

pub(super) fn targets(
    args: &Args,
    mounts: &Mounts,
    resolver: &mut Resolver,
) -> Result<Vec<CgroupTarget>, Failure> {
    let mut targets = Vec::new();
    for name in &args.cgroup {
        let target = target::cgroup(mounts, name, args.hierarchy.as_deref())?;
        if !target.exists() {
            return Err(target
                .missing()
                .hint("`find /sys/fs/cgroup -type d` lists the cgroups"));
        }
        targets.push(target);
    }
    for name in &args.container {
        targets.push(target::container(mounts, name, resolver)?);
    }
    Ok(targets)
}

/// Pins the processes, so that a later process with the pid of one is not traced.
pub(super) fn processes(args: &Args) -> Result<Vec<PinnedProcess>, Failure> {
    args.pid.iter().map(|it| it.pin()).collect()
}

pub(super) fn wanted(
    args: &Args,
    targets: &[CgroupTarget],
    processes: &[PinnedProcess],
) -> Result<Filter, Failure> {
    let subtrees: Vec<_> = targets.iter().map(CgroupTarget::subtree).collect();
    let mut hierarchies: Vec<_> = subtrees.iter().map(|it| it.hierarchy).collect();
    hierarchies.retain(|&hierarchy| hierarchy != 0);
    hierarchies.dedup();
    if hierarchies.len() > 1 {
        let message = "the targets are in different v1 hierarchies";
        let failure = Failure::message(ExitCode::Usage, message);
        return Err(failure.hint("use targets of one hierarchy; every process is in each of them"));
    }
    Ok(Filter {
        subtrees,
        processes: processes.iter().map(PinnedProcess::as_target).collect(),
        comms: args.comm.clone(),
        uids: args.uid.clone(),
        failed: args.failed,
        signaled: args.signaled,
        oom: args.oom,
        min_age_ns: args.min_age.map(nanoseconds),
        max_age_ns: args.max_age.map(nanoseconds),
        threads: args.threads,
        ..Filter::default()
    })
}

pub(super) fn load(
    args: &Args,
    mounts: &Mounts,
    wanted: &Filter,
    targets: &[CgroupTarget],
    messages: Messages,
) -> Result<(Attached, Rings), Failure> {
    let stream_bytes = buffer(args.buffer, messages);
    let cgroups = if wanted.kernel_tests_subtrees() {
        directories(targets)?
    } else {
        Vec::new()
    };
    let mut plan = Plan::exits(wanted, cgroups, stream_bytes).with_v1(mounts);
    if args.starts {
        plan.hooks.extend([Hook::Fork, Hook::Exec]);
    }
    let loaded = load::load(&plan).map_err(bpf_unavailable)?;
    if let Some(gone) = targets.iter().find(|target| !target.exists()) {
        let failure = gone.missing();
        return Err(failure.hint("the cgroup was removed while the trace started"));
    }
    Ok(loaded)
}

fn buffer(asked: Option<u32>, messages: Messages) -> u32 {
    let Some(asked) = asked else {
        return DEFAULT_STREAM_BYTES;
    };
    let size = ring_size(asked);
    if size != asked {
        messages.print(&format!(
            "buffer: {asked} bytes rounded up to {size} (a power of two, at least one page)"
        ));
    }
    size
}

fn directories(targets: &[CgroupTarget]) -> Result<Vec<OwnedFd>, PinError> {
    let open = |it: &CgroupTarget| pinned::lookup(&it.mount, &it.directory);
    targets.iter().map(open).collect()
}
