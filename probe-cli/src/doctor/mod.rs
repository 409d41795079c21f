//! The backends that work on this machine, found out by trying.
//!
//! The kernel's version decides nothing: maps are made, programs loaded and attached,
//! files opened, the pidfd of a child polled.

mod bpf;
mod cgroups;
mod pidfds;
pub(crate) mod report;

use std::{fs, io, os::unix::net::UnixStream, path::Path};

use probe_daemon::api::DEFAULT_SOCKET;
use probe_user::unstable::bpf::capability::{self, Capability};
use rustix::process::{Resource, getrlimit};

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// A stable word: `btf`, `cgroup.kill`, `tracepoint.mark_victim`.
    pub(crate) name: String,
    /// The answer.
    pub(crate) ok: bool,
    /// The finding, or the reason for a no.
    pub(crate) detail: String,
    /// What to do about a no.
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

/// All findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// `uname -r`.
    pub(crate) kernel: String,
    /// Best first.
    pub(crate) backends: Vec<Check>,
    /// The facts that the backends require.
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

/// Tries everything. Takes some tenths of a second.
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

/// A backend works if all checks that it requires do; else it has the reason of the
/// first that does not.
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
        let hint = "run as root, or `setcap cap_bpf,cap_perfmon+ep probe`";
        Check::no(NAME, format!("lacks {}", held(false)), Some(hint))
    }
}

fn memlock() -> Check {
    const NAME: &str = "memlock";
    match getrlimit(Resource::Memlock).current {
        None => Check::yes(NAME, "unlimited"),
        Some(bytes) => Check::yes(
            NAME,
            format!("{bytes} bytes (counts against BPF before Linux 5.11 only)"),
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
            "confidentiality: BPF may not read kernel memory",
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
            Some("nothing to do, unless a daemon is to serve users without privilege"),
        ),
    }
}
