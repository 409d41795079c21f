//! Checks BPF maps, programs and tracepoints, each by itself.

use std::path::Path;

use probe_user::unstable::{
    bpf::{
        hook::{ExitShape, Hook},
        load::{self, Attached, LoadError, Plan},
    },
    kernel::btf,
};

use super::{Check, no, yes};

/// Adds all checks, and returns those that the backend requires.
pub(super) fn examine(checks: &mut Vec<Check>) -> Vec<Check> {
    checks.push(kernel_types());
    let plan = Plan {
        hooks: Vec::new(),
        ..Plan::decisive()
    };
    // The maps of the rings must stay open while programs are attached.
    let (mut attached, _rings) = match load::load(&plan) {
        Ok(loaded) => loaded,
        Err(error) => {
            let check = refused("ring_buffer", error);
            let untried = |name: &str| no(name, NOT_TRIED, check.hint);
            checks.extend([check.clone(), untried(PROGRAMS)]);
            checks.extend(Hook::ALL.map(|hook| untried(&name_of(hook))));
            checks.push(untried(SKIPPED));
            return vec![check];
        }
    };
    let tracepoints = Hook::ALL.map(|hook| tracepoint(&mut attached, hook));
    checks.extend([yes("ring_buffer", "created"), programs(&tracepoints)]);
    checks.extend(tracepoints.clone());
    checks.push(skips(&attached));
    let needed = tracepoints.into_iter().zip(Hook::ALL);
    needed
        .filter(|(_, hook)| hook.loss().is_none())
        .map(|(check, _)| check)
        .collect()
}

/// The reason of a check that needs maps on a machine that has none.
pub(super) const NOT_TRIED: &str = "not tried, because no map could be created";
const PROGRAMS: &str = "bpf_programs";
const SKIPPED: &str = "skipped_programs";

fn name_of(hook: Hook) -> String {
    format!("tracepoint.{}", hook.tracepoint())
}

/// Succeeds if all programs run.
fn programs(tracepoints: &[Check]) -> Check {
    let total = tracepoints.len();
    let Some(first) = tracepoints.iter().find(|check| !check.ok) else {
        return yes(PROGRAMS, format!("all {total} load and attach"));
    };
    let run = tracepoints.iter().filter(|check| check.ok).count();
    let name = &first.name;
    let reason = format!("{run} of {total} load and attach; the first failure is {name}");
    no(PROGRAMS, reason, first.hint)
}

fn kernel_types() -> Check {
    const NAME: &str = "btf";
    match btf::read(Path::new(btf::VMLINUX)) {
        Err(error) => no(
            NAME,
            format!("{:#}", anyhow::Error::from(error)),
            "without BTF, records have no status, parent, start and usage; \
             boot a kernel with CONFIG_DEBUG_INFO_BTF",
        ),
        Ok(types) if types.missing().is_empty() => yes(NAME, btf::VMLINUX),
        Ok(types) => no(
            NAME,
            format!("missing {}", types.missing().join(" ")),
            "no action needed: fields that depend on these members are null in records",
        ),
    }
}

fn tracepoint(attached: &mut Attached, hook: Hook) -> Check {
    let name = name_of(hook);
    match attached.attach(hook) {
        Err(error) => refused(&name, error),
        Ok(()) if hook == Hook::Exit => {
            let shape = attached.exit_shape().map_or("?", ExitShape::as_str);
            yes(name, format!("attached, shape {shape}"))
        }
        Ok(()) => yes(name, "attached"),
    }
}

/// Checks whether the kernel may skip programs on this machine, and how often it did so during
/// the checks.
fn skips(attached: &Attached) -> Check {
    let skipped = attached.recursion_misses();
    let reason = match &attached.types {
        None => "unknown whether more are possible, because there is no BTF",
        Some(types) if !types.tracepoints_are_preemptible => {
            "tracepoints are not preempted on this kernel"
        }
        Some(_) if attached.exit_shape() == Some(ExitShape::Classic) => {
            "exits are recorded by the classic tracepoint"
        }
        Some(_) => {
            return no(
                SKIPPED,
                format!(
                    "{skipped}; a task that is preempted in the exit program hides other exits"
                ),
                "mount tracefs at /sys/kernel/tracing; without it, such exits are reported as lost",
            );
        }
    };
    yes(SKIPPED, format!("{skipped}; {reason}"))
}

fn refused(name: &str, error: LoadError) -> Check {
    let hint = hint(&error);
    no(name, format!("{:#}", anyhow::Error::from(error)), hint)
}

/// What the user can do without the privilege for BPF.
pub(super) const NOT_PERMITTED: &str = "run probe as root, or with CAP_BPF and CAP_PERFMON \
    (`setcap cap_bpf,cap_perfmon+ep probe`); in a container, the seccomp profile must allow \
    bpf(2) too";

/// Returns what the user can do if BPF does not load.
pub(crate) fn hint(error: &LoadError) -> &'static str {
    match error {
        LoadError::NotPermitted { .. } => NOT_PERMITTED,
        LoadError::Memlock { .. } => {
            "before Linux 5.11, BPF counts as locked memory: raise the limit \
             (`ulimit -l unlimited`, or LimitMEMLOCK=infinity in a unit), or run probe with \
             CAP_SYS_RESOURCE"
        }
        LoadError::LockedDown { .. } => "boot with lockdown=integrity instead of confidentiality",
        LoadError::NoRingBuffer => "BPF ring buffers need Linux 5.8",
        LoadError::Attach { .. } => {
            "boot a kernel with CONFIG_BPF_EVENTS; `probe -vv doctor` shows the verifier's log"
        }
        _ => "`probe -vv doctor` shows details",
    }
}
