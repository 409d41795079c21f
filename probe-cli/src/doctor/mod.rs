//! Finds the backends that work on this machine by trying them.
//!
//! The version of the kernel is not considered: the checks create maps, load and attach
//! programs, open files, and poll the pidfd of a child.

pub(crate) mod bpf;
mod cgroups;
mod engines;
mod pidfds;
pub(crate) mod report;
mod summary;

use std::{fs, io, path::PathBuf, slice};

use probe_daemon::{
    api::json::{CheckObject as Check, DoctorLine, SCHEMA},
    client::ClientError,
};
use probe_user::unstable::bpf::capability::{self, Capability};
use rustix::process::{Resource, getrlimit};

fn yes(name: impl Into<String>, detail: impl Into<String>) -> Check {
    Check {
        name: name.into(),
        ok: true,
        detail: detail.into(),
        hint: None,
    }
}

fn no(
    name: impl Into<String>,
    reason: impl Into<String>,
    hint: impl Into<Option<&'static str>>,
) -> Check {
    Check {
        name: name.into(),
        ok: false,
        detail: reason.into(),
        hint: hint.into(),
    }
}

/// The answer of the daemon on a socket.
#[derive(Debug)]
pub(crate) struct DaemonAnswer {
    pub(crate) socket: PathBuf,
    pub(crate) error: Option<ClientError>,
}

impl DaemonAnswer {
    /// Whether no daemon is running, which is no fault of the machine.
    fn is_off(&self) -> bool {
        matches!(self.error, Some(ClientError::Absent { .. }))
    }
}

/// The findings.
#[derive(Debug)]
pub(crate) struct Examination {
    pub(crate) line: DoctorLine,
    /// Whether no daemon is running.
    pub(crate) daemon_is_off: bool,
}

/// Runs all checks, which takes some tenths of a second. `runtime_dir` is `XDG_RUNTIME_DIR`, in
/// which engines without root keep their state.
#[must_use]
pub(crate) fn examine(runtime_dir: Option<PathBuf>, daemon: &DaemonAnswer) -> Examination {
    let daemon_is_off = daemon.is_off();
    let mut checks = vec![privilege(), memlock(), lockdown()];
    let bpf = bpf::examine(&mut checks);
    let cgroups = cgroups::examine(&mut checks);
    let pidfd = pidfds::examine(&mut checks);
    let daemon = socket(daemon);
    let backends = [
        backend("daemon", slice::from_ref(&daemon)),
        backend("bpf", &bpf),
        backend("pidfd", &[pidfd]),
        backend("poll", &[cgroups]),
    ];
    checks.push(daemon);
    let line = DoctorLine {
        schema: SCHEMA,
        r#type: "doctor",
        kernel: rustix::system::uname().release().to_string_lossy().into(),
        event_driven: backends.iter().any(|it| it.ok && it.name != "poll"),
        backends: backends.into(),
        checks,
        engines: engines::examine(runtime_dir),
    };
    Examination {
        line,
        daemon_is_off,
    }
}

/// Returns the result for a backend: available if all `needs` succeeded, otherwise the reason
/// of the first that failed.
fn backend(name: &str, needs: &[Check]) -> Check {
    match needs.iter().find(|need| !need.ok) {
        None => yes(name, "available"),
        Some(need) => no(name, format!("{}: {}", need.name, need.detail), need.hint),
    }
}

fn privilege() -> Check {
    const NAME: &str = "capabilities";
    let Some(set) = capability::effective() else {
        return no(NAME, "/proc is not readable", "mount /proc");
    };
    let wanted = [
        Capability::Bpf,
        Capability::Perfmon,
        Capability::SysAdmin,
        Capability::SysResource,
    ];
    let held = |held: bool| {
        let names = wanted
            .iter()
            .filter(|&&it| capability::has(set, it) == held);
        names.map(|it| it.name()).collect::<Vec<_>>().join(" ")
    };
    let suffices = capability::has(set, Capability::SysAdmin)
        || capability::has(set, Capability::Bpf) && capability::has(set, Capability::Perfmon);
    if suffices {
        yes(NAME, held(true))
    } else {
        no(NAME, format!("missing {}", held(false)), bpf::NOT_PERMITTED)
    }
}

fn memlock() -> Check {
    const NAME: &str = "memlock";
    match getrlimit(Resource::Memlock).current {
        None => yes(NAME, "unlimited"),
        Some(bytes) => yes(
            NAME,
            format!("{bytes} bytes (limits BPF before Linux 5.11 only)"),
        ),
    }
}

fn lockdown() -> Check {
    const NAME: &str = "lockdown";
    match fs::read_to_string("/sys/kernel/security/lockdown") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            yes(NAME, "not shown by this kernel")
        }
        Err(error) => yes(NAME, format!("unknown: {error}")),
        Ok(modes) if modes.contains("[confidentiality]") => no(
            NAME,
            "confidentiality: BPF programs may not read kernel memory",
            "boot with lockdown=integrity",
        ),
        Ok(modes) => yes(NAME, modes.trim()),
    }
}

fn socket(daemon: &DaemonAnswer) -> Check {
    const NAME: &str = "daemon.socket";
    let path = daemon.socket.display();
    match &daemon.error {
        None => yes(NAME, path.to_string()),
        Some(ClientError::Absent { source, .. }) => {
            let reason = format!("{path}: {source}");
            no(NAME, reason, START)
        }
        Some(error) => no(NAME, error.to_string(), advice(error)),
    }
}

const START: &str = "needed only to serve users without privileges; start it with `probe daemon`";

/// Returns what the user can do if a daemon is there, but of no use.
fn advice(error: &ClientError) -> &'static str {
    match error {
        ClientError::Forbidden { .. } => "join the group of the socket, or run probe as root",
        ClientError::Untrusted { .. } => {
            "if your daemon runs as this user, set PROBE_DAEMON_UID=UID"
        }
        _ => "restart the daemon with the same version of probe",
    }
}
