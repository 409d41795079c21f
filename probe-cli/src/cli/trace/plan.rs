//! From the arguments to the BPF programs that are loaded: targets, conditions, the
//! ring.

use std::{io, os::fd::OwnedFd};

use probe_daemon::api::quantity::{nanoseconds, ring_size};
use probe_user::{
    model::Filter,
    unstable::{
        bpf::{
            hook::Hook,
            load::{self, Attached, DEFAULT_STREAM_BYTES, Plan, Rings},
        },
        cgroup::mounts::Mounts,
        container::Resolver,
    },
};
use rustix::{
    fs::{Mode, OFlags, open},
    param::page_size,
};

use super::Args;
use crate::cli::{
    ExitCode, Failure,
    failure::without_bpf,
    target::{self, CgroupTarget},
    terminal::Say,
};

pub(super) fn check_ages(args: &Args) -> Result<(), Failure> {
    match (args.min_age, args.max_age) {
        (Some(least), Some(most)) if least > most => {
            let message = "no process can be at least --min-age and at most --max-age old";
            let failure = Failure::message(ExitCode::Usage, message);
            Err(failure.hint(format!(
                "--min-age {least:?} is more than --max-age {most:?}"
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses, or notes, arguments that need BTF on a kernel without. A v1 cgroup would
/// match nothing, which looks like an answer. A condition lets everything pass, which
/// is visible.
pub(super) fn do_without_types(args: &Args, wanted: &Filter, say: Say) -> Result<(), Failure> {
    if wanted.hierarchy().is_some() {
        let message = "without BTF the v1 cgroup of a process is unknown";
        let failure = Failure::message(ExitCode::NotAvailable, message);
        return Err(failure.hint(
            "name its v2 cgroup, trace by --pid, or boot a kernel with CONFIG_DEBUG_INFO_BTF",
        ));
    }
    let conditions = [
        ("--failed", args.failed),
        ("--signaled", args.signaled),
        ("--oom", args.oom),
        ("--min-age", args.min_age.is_some()),
        ("--max-age", args.max_age.is_some()),
    ];
    let untold: Vec<_> = conditions
        .iter()
        .filter(|(_, asked)| *asked)
        .map(|(flag, _)| *flag)
        .collect();
    if !untold.is_empty() {
        say.line(&format!(
            "note: without BTF every exit passes {}",
            untold.join(", ")
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
    for &pid in &args.pid {
        target::check_pid(pid)?;
    }
    Ok(targets)
}

pub(super) fn wanted(args: &Args, targets: &[CgroupTarget]) -> Result<Filter, Failure> {
    let subtrees: Vec<_> = targets.iter().map(CgroupTarget::subtree).collect();
    let mut hierarchies: Vec<_> = subtrees.iter().map(|it| it.hierarchy).collect();
    hierarchies.retain(|&hierarchy| hierarchy != 0);
    hierarchies.dedup();
    if hierarchies.len() > 1 {
        let message = "targets in several v1 hierarchies";
        let failure = Failure::message(ExitCode::Usage, message);
        return Err(failure.hint("trace them one by one; a process is in each hierarchy once"));
    }
    Ok(Filter {
        subtrees,
        pids: args.pid.clone(),
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
    wanted: &Filter,
    targets: &[CgroupTarget],
    say: Say,
) -> Result<(Attached, Rings), Failure> {
    let stream_bytes = buffer(args.buffer, say);
    let cgroups = if wanted.kernel_tests_subtrees() {
        directories(targets)?
    } else {
        Vec::new()
    };
    let mut plan = Plan::exits(wanted, cgroups, stream_bytes);
    if args.starts {
        plan.hooks.extend([Hook::Fork, Hook::Exec]);
    }
    load::load(&plan).map_err(
        |error| match targets.iter().find(|target| !target.exists()) {
            Some(gone) => gone.missing().hint("it was removed while the trace began"),
            None => without_bpf(error),
        },
    )
}

fn buffer(asked: Option<u32>, say: Say) -> u32 {
    let Some(asked) = asked else {
        return DEFAULT_STREAM_BYTES;
    };
    let page = u32::try_from(page_size()).unwrap_or(4096);
    let size = ring_size(asked, page);
    if size != asked {
        say.line(&format!(
            "buffer: {asked} bytes rounded up to {size}: a power of two, at least a page"
        ));
    }
    size
}

fn directories(targets: &[CgroupTarget]) -> io::Result<Vec<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    targets
        .iter()
        .map(|target| Ok(open(&target.directory, flags, Mode::empty())?))
        .collect()
}
