//! Turns the arguments into targets, conditions and loaded BPF programs.

use std::os::fd::OwnedFd;

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
    },
};

use super::Args;
use crate::cli::{
    ExitCode, Failure, buffer::ring_size, failure::bpf_unavailable, target::CgroupTarget,
    terminal::Messages,
};

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
    let ignored = args.conditions.needing_btf();
    if !ignored.is_empty() {
        messages.print(&format!(
            "note: every exit matches {} on a kernel without BTF",
            ignored.join(", ")
        ));
    }
    Ok(())
}

pub(super) fn load(
    args: &Args,
    mounts: &Mounts,
    wanted: &Filter,
    targets: &[CgroupTarget],
    messages: Messages,
) -> Result<(Attached, Rings), Failure> {
    let stream_bytes = buffer(args.buffer, messages);
    let cgroups = directories(wanted, targets)?;
    let mut plan = Plan::exits(wanted, cgroups, stream_bytes).with_v1(mounts);
    if args.starts {
        plan.hooks.extend([Hook::Fork, Hook::Exec]);
    }
    let loaded = load::load(&plan).map_err(bpf_unavailable)?;
    for target in targets {
        let existing = target.clone().existing();
        existing.map_err(|gone| gone.hint("the cgroup was removed while the trace started"))?;
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

/// The directories of the cgroups that the BPF programs test.
pub(in crate::cli) fn directories(
    wanted: &Filter,
    targets: &[CgroupTarget],
) -> Result<Vec<OwnedFd>, PinError> {
    if !wanted.kernel_tests_subtrees() {
        return Ok(Vec::new());
    }
    let open = |it: &CgroupTarget| pinned::lookup(&it.mount, &it.directory);
    targets.iter().map(open).collect()
}
