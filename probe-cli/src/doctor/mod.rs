//! Finds the backends that work on this machine by trying them.
//!
//! The version of the kernel is not considered: the checks create maps, load and attach
//! programs, open files, and poll the pidfd of a child.

mod bpf;
mod cgroups;
mod pidfds;
pub(crate) mod report;

use std::{fs, io, os::unix::net::UnixStream, path::Path};

use probe_daemon::api::DEFAULT_SOCKET;
use probe_user::unstable::bpf::capability::{self, Capability};
use rustix::process::{Resource, getrlimit};

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// A stable name, such as `btf`, `cgroup.kill` or `tracepoint.mark_victim`.
    pub(crate) name: String,
    /// Whether the check succeeded.
    pub(crate) ok: bool,
    /// The finding, or the reason for a failure.
    pub(crate) detail: String,
    /// What to do about a failure.
    pub(crate) hint: Option<&'static str>,
}

impl Check {
    fn yes(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok: true,
            detail: detail.into(),
            hint: None,
        }
    }

    fn no(name: impl Into<String>, reason: impl Into<String>, hint: Option<&'static str>) -> Self {
        Self {
            name: name.into(),
            ok: false,
            detail: reason.into(),
            hint,
        }
    }
}

/// The results of all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The release of the kernel, as in `uname -r`.
    pub(crate) kernel: String,
    /// The backends, best first.
    pub(crate) backends: Vec<Check>,
    /// The checks that the backends depend on.
    pub(crate) checks: Vec<Check>,
}

impl Report {
    /// Whether at least one backend is woken by events.
    #[must_use]
    pub(crate) fn is_event_driven(&self) -> bool {
        self.backends
            .iter()
            .any(|backend| backend.ok && backend.name != "poll")
    }
}

/// Runs all checks, which takes some tenths of a second.
#[must_use]
pub(crate) fn examine() -> Report {
    let mut checks = vec![privilege(), memlock(), lockdown()];
    let bpf = bpf::examine(&mut checks);
    let cgroups = cgroups::examine(&mut checks);
    let pidfd = pidfds::examine(&mut checks);
    let daemon = daemon();
    let backends = vec![
        backend("daemon", &[&daemon]),
        backend("bpf", &bpf.iter().collect::<Vec<_>>()),
        backend("pidfd", &[&pidfd]),
        backend("poll", &[&cgroups]),
    ];
    checks.push(daemon);
    Report {
        kernel: rustix::system::uname().release().to_string_lossy().into(),
        backends,
        checks,
    }
}

/// Returns the result for a backend: available if all `needs` succeeded, otherwise the reason
/// of the first that failed.
fn backend(name: &str, needs: &[&Check]) -> Check {
    match needs.iter().find(|need| !need.ok) {
        None => Check::yes(name, "available"),
        Some(need) => Check::no(name, format!("{}: {}", need.name, need.detail), need.hint),
    }
}

fn privilege() -> Check {
    const NAME: &str = "capabilities";
    let Some(set) = capability::effective() else {
        return Check::no(NAME, "/proc is not readable", Some("mount /proc"));
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
        Check::yes(NAME, held(true))
    } else {
        let hint = "run probe as root, or run `setcap cap_bpf,cap_perfmon+ep probe`";
        Check::no(NAME, format!("missing {}", held(false)), Some(hint))
    }
}

fn memlock() -> Check {
    const NAME: &str = "memlock";
    match getrlimit(Resource::Memlock).current {
        None => Check::yes(NAME, "unlimited"),
        Some(bytes) => Check::yes(
            NAME,
            format!("{bytes} bytes (limits BPF before Linux 5.11 only)"),
        ),
    }
}

fn lockdown() -> Check {
    const NAME: &str = "lockdown";
    match fs::read_to_string("/sys/kernel/security/lockdown") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Check::yes(NAME, "not shown by this kernel")
        }
        Err(error) => Check::yes(NAME, format!("unknown: {error}")),
        Ok(modes) if modes.contains("[confidentiality]") => Check::no(
            NAME,
            "confidentiality: BPF programs may not read kernel memory",
            Some("boot with lockdown=integrity"),
        ),
        Ok(modes) => Check::yes(NAME, modes.trim()),
    }
}

fn daemon() -> Check {
    const NAME: &str = "daemon.socket";
    match UnixStream::connect(Path::new(DEFAULT_SOCKET)) {
        Ok(_connected) => Check::yes(NAME, DEFAULT_SOCKET),
        Err(error) => Check::no(
            NAME,
            format!("{DEFAULT_SOCKET}: {error}"),
            Some("needed only to serve users without privileges; start it with `probe daemon`"),
        ),
    }
}
