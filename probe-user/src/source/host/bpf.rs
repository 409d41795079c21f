//! Maps, programs and tracepoints, each tried by itself.

use std::path::Path;

use probe_ebpf::config::FILTER_NOTHING;

use super::Check;
use crate::source::{
    btf,
    hook::{ExitShape, Hook},
    load::{self, Attached, LoadError, Plan},
};

/// A page: enough for a trial.
const TRIAL_BYTES: u32 = 4096;

/// What the backend rests on, the same checks that are reported.
pub(super) fn examine(checks: &mut Vec<Check>) -> Vec<Check> {
    checks.push(kernel_types());
    let plan = Plan {
        hooks: Vec::new(),
        filter: FILTER_NOTHING,
        cgroups: Vec::new(),
        pids: Vec::new(),
        stream_bytes: TRIAL_BYTES,
    };
    match load::load(&plan) {
        Err(error) => {
            let check = refused("ring_buffer", &error);
            checks.push(check.clone());
            vec![check]
        }
        Ok((mut attached, _rings)) => {
            checks.push(Check::yes("ring_buffer", "made"));
            let tracepoints: Vec<_> = Hook::ALL
                .iter()
                .map(|&hook| tracepoint(&mut attached, hook))
                .collect();
            let needed = tracepoints
                .iter()
                .zip(Hook::ALL)
                .filter(|(_, hook)| hook.loss().is_none())
                .map(|(check, _)| check.clone())
                .collect();
            checks.extend(tracepoints);
            needed
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
                "records lack status, parent, start and usage; boot a kernel with CONFIG_DEBUG_INFO_BTF",
            ),
        ),
        Ok(types) if types.missing().is_empty() => Check::yes(NAME, btf::VMLINUX),
        Ok(types) => Check::no(NAME, format!("lacks {}", types.missing().join(" ")), None),
    }
}

fn tracepoint(attached: &mut Attached, hook: Hook) -> Check {
    let name = format!("tracepoint.{}", hook.tracepoint());
    match attached.attach(hook) {
        Err(error) => refused(&name, &error),
        Ok(()) if hook == Hook::Exit => {
            let shape = attached.exit_shape().map_or("?", ExitShape::as_str);
            Check::yes(name, format!("attached, shape {shape}"))
        }
        Ok(()) => Check::yes(name, "attached"),
    }
}

fn refused(name: &str, error: &LoadError) -> Check {
    let hint = match error {
        LoadError::NotPermitted { .. } => Some(
            "run as root, or with CAP_BPF and CAP_PERFMON; \
             in a container its seccomp profile may forbid bpf(2)",
        ),
        LoadError::NoRingBuffer => Some("needs Linux 5.8"),
        _ => None,
    };
    let reason = std::iter::successors(Some(error as &dyn std::error::Error), |it| it.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    Check::no(name, reason, hint)
}
