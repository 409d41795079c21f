//! The sentences about causes: what a process does, and what would free it.

use super::{
    cause::{Cause, ProcessName, SignalFate, Thaw},
    reason::Reason,
};

/// Most processes that a sentence names.
const MAX_NAMED: usize = 3;

/// What a process does, without its phase.
pub(super) fn predicate(cause: &Cause) -> String {
    match cause {
        Cause::KernelThread => "is a kernel thread, which ignores signals".to_owned(),
        Cause::Fuse {
            mount,
            servers,
            candidates,
            ..
        } => fuse(mount.as_deref(), servers, candidates),
        Cause::NetworkFileSystem { .. } | Cause::BlockDevice { .. } => storage(cause),
        Cause::Throttled { .. } => throttled(cause),
        Cause::Signal { signal, fate } => fate_of(signal, *fate),
        Cause::PidNamespace { waits_for, why } => pid_namespace(waits_for, why.as_deref()),
        Cause::CoreDump { handler } => format!("writes a core dump to '{handler}'"),
        Cause::Frozen { cgroups } => match cgroups.as_slice() {
            [] => "is frozen by a cgroup".to_owned(),
            [one] => format!("is frozen by the cgroup {}", one.cgroup),
            [first, rest @ ..] => {
                format!(
                    "is frozen by the cgroup {} and {} above it",
                    first.cgroup,
                    rest.len()
                )
            }
        },
        Cause::MemoryLimit { cgroup, .. } => {
            let cgroup = cgroup
                .as_ref()
                .map_or_else(|| "its cgroup".to_owned(), |it| format!("the cgroup {it}"));
            format!("waits for memory: {cgroup} is at its limit and has no OOM killer")
        }
        Cause::MemoryHigh { cgroup } => {
            let cgroup = cgroup
                .as_ref()
                .map_or_else(|| "its cgroup".to_owned(), |it| format!("the cgroup {it}"));
            format!("is slowed down: {cgroup} is above memory.high")
        }
        Cause::Vfork { children } => {
            let children = names(children, "a child");
            format!("waits until its vfork child {children} executes a program or exits")
        }
        Cause::Traced { tracer } => {
            format!("is stopped by its tracer {}", tracer_name(tracer.as_ref()))
        }
        Cause::TracedZombie { tracer } => {
            format!("is a zombie that its tracer {tracer} has not waited for")
        }
        Cause::Zombie { parent } => match parent {
            Some(parent) => format!(
                "is a zombie that its parent {parent} ({}) does not reap",
                doing(parent)
            ),
            None => "is a zombie, and its parent is in another pid namespace".to_owned(),
        },
        Cause::Stopped => "is stopped by a signal".to_owned(),
        Cause::Kernel {
            wchan,
            is_uninterruptible,
        } => match (wchan, is_uninterruptible) {
            (Some(wchan), true) => format!("sleeps uninterruptibly (D) in {wchan}"),
            (Some(wchan), false) => format!("sleeps in {wchan}"),
            (None, true) => "sleeps uninterruptibly (D)".to_owned(),
            (None, false) => "runs in the kernel".to_owned(),
        },
        Cause::Threads { count: 1 } => "has one other thread, and its leader has exited".to_owned(),
        Cause::Threads { count } => format!("has {count} other threads, and its leader has exited"),
        Cause::Hidden => "is not shown by /proc".to_owned(),
    }
}

/// A wait for a network file system or a block device.
fn storage(cause: &Cause) -> String {
    match cause {
        Cause::NetworkFileSystem {
            file_system,
            mount,
            source,
            wchan,
        } => {
            let file_system = file_system.as_deref().unwrap_or("a network file system");
            let at = mount.as_ref().map(|it| format!(" at {it}"));
            let from = source.as_ref().map(|it| format!(" from {it}"));
            let (at, from) = (at.unwrap_or_default(), from.unwrap_or_default());
            format!("waits for {file_system}{at}{from} (in {wchan})")
        }
        Cause::BlockDevice {
            source,
            mount,
            wchan,
        } => {
            let device = source.as_deref().unwrap_or("a block device");
            let at = mount.as_ref().map(|it| format!(", mounted at {it}"));
            format!("waits for {device}{} (in {wchan})", at.unwrap_or_default())
        }
        _ => String::new(),
    }
}

fn throttled(cause: &Cause) -> String {
    let Cause::Throttled {
        cgroup,
        quota_us,
        period_us,
        throttled_percent,
        ..
    } = cause
    else {
        return String::new();
    };
    let share = throttled_percent.map(|it| format!(", throttled in {it} % of the last periods"));
    format!(
        "is throttled by the CPU quota of the cgroup {cgroup} ({} of each {}{})",
        milliseconds(*quota_us),
        milliseconds(*period_us),
        share.unwrap_or_default()
    )
}

fn fate_of(signal: &str, fate: SignalFate) -> String {
    match fate {
        SignalFate::Ignored => format!("ignores {signal}"),
        SignalFate::Blocked => format!("blocks {signal}, which is pending"),
        SignalFate::Dropped => format!(
            "is pid 1 of its pid namespace without a handler for {signal}, which the kernel drops"
        ),
        SignalFate::Handled => format!("handles {signal} and has not ended"),
    }
}

fn fuse(mount: Option<&str>, servers: &[ProcessName], candidates: &[u32]) -> String {
    let at = match (mount, candidates) {
        (Some(mount), _) => format!(" at {mount}"),
        (None, [] | [_]) => String::new(),
        (None, several) => {
            let several: Vec<_> = several.iter().map(u32::to_string).collect();
            format!(" (one of the connections {})", several.join(", "))
        }
    };
    let server = match servers {
        [] => String::new(),
        [one] => format!(" (server {one})"),
        several => format!(" (one of the servers {})", names(several, "")),
    };
    format!("waits for FUSE{at}{server}")
}

fn pid_namespace(waits_for: &[ProcessName], why: Option<&Reason>) -> String {
    let others = names(waits_for, "processes that are not shown");
    let why = why.zip(waits_for.first());
    let why = why.map(|(why, first)| format!("; {first} {}", why.text));
    format!(
        "waits for the other processes of its pid namespace: {others}{}",
        why.unwrap_or_default()
    )
}

/// The first processes, and how many more there are.
fn names(processes: &[ProcessName], none: &str) -> String {
    let named = processes.iter().take(MAX_NAMED).map(ToString::to_string);
    let named = named.collect::<Vec<_>>().join(", ");
    match processes.len().saturating_sub(MAX_NAMED) {
        0 if named.is_empty() => none.to_owned(),
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn doing(process: &ProcessName) -> String {
    match &process.wchan {
        Some(wchan) => format!("{} in {wchan}", process.state),
        None => process.state.to_string(),
    }
}

fn tracer_name(tracer: Option<&ProcessName>) -> String {
    tracer.map_or_else(
        || "in another pid namespace".to_owned(),
        ToString::to_string,
    )
}

fn milliseconds(us: u64) -> String {
    if us.is_multiple_of(1000) {
        format!("{} ms", us / 1000)
    } else {
        format!("{us} µs")
    }
}

/// What would free a process; `None` if nothing is known that would.
pub(super) fn hint(cause: &Cause) -> Option<String> {
    Some(match cause {
        Cause::KernelThread => {
            "write its pid to the cgroup.procs of the root cgroup, or stop what started it"
                .to_owned()
        }
        Cause::Fuse {
            connection: Some(connection),
            ..
        } => format!(
            "end the server, or abort the connection: echo 1 > {}",
            super::fuse::abort_file(*connection)
        ),
        Cause::Fuse { .. } => "end the server of the file system".to_owned(),
        Cause::NetworkFileSystem {
            mount: Some(mount), ..
        } => {
            format!("restore the connection to the server, or run `umount -f {mount}`")
        }
        Cause::NetworkFileSystem { .. } => "restore the connection to the server".to_owned(),
        Cause::BlockDevice { .. } => {
            "read the messages of the kernel about the device: dmesg".to_owned()
        }
        Cause::PidNamespace { why, .. } => return why.as_ref()?.hint.clone(),
        Cause::Kernel { .. } | Cause::Threads { .. } => return None,
        Cause::CoreDump { .. } => "wait for the handler of core dumps, or end it".to_owned(),
        Cause::Frozen { cgroups } if cgroups.is_empty() => "thaw the cgroup".to_owned(),
        Cause::Frozen { cgroups } => {
            let commands: Vec<_> = cgroups.iter().map(Thaw::command).collect();
            format!("thaw it: {}", commands.join(" && "))
        }
        Cause::MemoryLimit {
            file: Some(file), ..
        } => {
            format!("raise the limit, or enable the OOM killer: echo 0 > '{file}'")
        }
        Cause::MemoryLimit { .. } => "raise the limit of the memory cgroup".to_owned(),
        Cause::MemoryHigh { .. } => "raise memory.high of the cgroup".to_owned(),
        Cause::Vfork { .. } => "end the child".to_owned(),
        Cause::Traced { .. } => "end the tracer, or let it continue the process".to_owned(),
        Cause::TracedZombie { tracer } => {
            format!("end {tracer}: the parent can reap the process then")
        }
        Cause::Zombie {
            parent: Some(parent),
        } => {
            format!("make {parent} wait for its children, or end it: init reaps them then")
        }
        Cause::Zombie { parent: None } => {
            "look for the parent outside of this pid namespace".to_owned()
        }
        Cause::Stopped => "SIGCONT continues it, SIGKILL ends it".to_owned(),
        Cause::Throttled { file, .. } => format!("raise the quota in {file}"),
        Cause::Signal { .. } => "SIGKILL ends it".to_owned(),
        Cause::Hidden => "run probe as root, in the pid namespace of /proc".to_owned(),
    })
}
