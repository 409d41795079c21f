//! Checks BPF maps, programs and tracepoints, each by itself.

use std::path::Path;

use probe_user::unstable::{
    bpf::{
        hook::{ExitShape, Hook},
        load::{self, Attached, LoadError, Plan},
    },
    kernel::btf,
};

use super::Check;

/// Adds all checks, and returns those that the backend requires.
pub(super) fn examine(checks: &mut Vec<Check>) -> Vec<Check> {
    checks.push(kernel_types());
    let plan = Plan {
        hooks: Vec::new(),
        ..Plan::decisive()
    };
    match load::load(&plan) {
        Err(error) => {
            let check = refused("ring_buffer", &error);
            checks.push(check.clone());
            let untried = |name| {
                Check::no(
                    name,
                    "not tried, because no map could be created",
                    check.hint,
                )
            };
            checks.push(untried(PROGRAMS.to_owned()));
            checks.extend(Hook::ALL.map(|hook| untried(name_of(hook))));
            checks.push(untried(SKIPPED.to_owned()));
            vec![check]
        }
        Ok((mut attached, _rings)) => {
            checks.push(Check::yes("ring_buffer", "created"));
            let tracepoints = Hook::ALL.map(|hook| tracepoint(&mut attached, hook));
            checks.push(programs(&tracepoints));
            let needed = tracepoints
                .iter()
                .zip(Hook::ALL)
                .filter(|(_, hook)| hook.loss().is_none())
                .map(|(check, _)| check.clone())
                .collect();
            checks.extend(tracepoints);
            checks.push(skips(&attached));
            needed
        }
    }
}

const PROGRAMS: &str = "bpf_programs";
const SKIPPED: &str = "skipped_programs";

fn name_of(hook: Hook) -> String {
    format!("tracepoint.{}", hook.tracepoint())
}

/// Succeeds if all programs run.
fn programs(tracepoints: &[Check]) -> Check {
    let total = tracepoints.len();
    let run = tracepoints.iter().filter(|check| check.ok).count();
    match tracepoints.iter().find(|check| !check.ok) {
        None => Check::yes(PROGRAMS, format!("all {total} load and attach")),
        Some(first) => {
            let detail = format!(
                "{run} of {total} load and attach; the first failure is {}",
                first.name
            );
            Check::no(PROGRAMS, detail, first.hint)
        }
    }
}

fn kernel_types() -> Check {
    const NAME: &str = "btf";
    match btf::read(Path::new(btf::VMLINUX)) {
        Err(error) => Check::no(
            NAME,
            format!("{:#}", anyhow::Error::from(error)),
            Some(
                "without BTF, records have no status, parent, start and usage; \
                 boot a kernel with CONFIG_DEBUG_INFO_BTF",
            ),
        ),
        Ok(types) if types.missing().is_empty() => Check::yes(NAME, btf::VMLINUX),
        Ok(types) => Check::no(
            NAME,
            format!("missing {}", types.missing().join(" ")),
            Some("no action needed: fields that depend on these members are null in records"),
        ),
    }
}

fn tracepoint(attached: &mut Attached, hook: Hook) -> Check {
    let name = name_of(hook);
    match attached.attach(hook) {
        Err(error) => refused(&name, &error),
        Ok(()) if hook == Hook::Exit => {
            let shape = attached.exit_shape().map_or("?", ExitShape::as_str);
            Check::yes(name, format!("attached, shape {shape}"))
        }
        Ok(()) => Check::yes(name, "attached"),
    }
}

/// Checks whether the kernel may skip programs on this machine, and how often it did so during
/// the checks.
fn skips(attached: &Attached) -> Check {
    let skipped = attached.recursion_misses();
    let Some(types) = &attached.types else {
        return Check::yes(
            SKIPPED,
            format!("{skipped}; unknown whether more are possible, because there is no BTF"),
        );
    };
    if !types.tracepoints_are_preemptible {
        return Check::yes(
            SKIPPED,
            format!("{skipped}; tracepoints are not preempted on this kernel"),
        );
    }
    if attached.exit_shape() == Some(ExitShape::Classic) {
        return Check::yes(
            SKIPPED,
            format!("{skipped}; exits are recorded by the classic tracepoint"),
        );
    }
    Check::no(
        SKIPPED,
        format!("{skipped}; a task that is preempted in the exit program hides other exits"),
        Some("mount tracefs at /sys/kernel/tracing; without it, such exits are reported as lost"),
    )
}

fn refused(name: &str, error: &LoadError) -> Check {
    let hint = match error {
        LoadError::NotPermitted { .. } => Some(
            "run probe as root, or with CAP_BPF and CAP_PERFMON; \
             in a container, the seccomp profile must allow bpf(2) too",
        ),
        LoadError::Memlock { .. } => Some(
            "before Linux 5.11, BPF counts as locked memory: use `ulimit -l unlimited`, \
             LimitMEMLOCK=infinity in a unit, or CAP_SYS_RESOURCE",
        ),
        LoadError::LockedDown { .. } => {
            Some("boot with lockdown=integrity instead of confidentiality")
        }
        LoadError::NoRingBuffer => Some("needs Linux 5.8"),
        LoadError::Attach { .. } => Some(
            "boot a kernel with CONFIG_BPF_EVENTS; `probe -vv doctor` shows the verifier's log",
        ),
        _ => Some("`probe -vv doctor` shows details"),
    };
    let reason = std::iter::successors(Some(error as &dyn std::error::Error), |it| it.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    Check::no(name, reason, hint)
}
