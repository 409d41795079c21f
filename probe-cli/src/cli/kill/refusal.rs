//! Failures of a kill: processes that it could not signal, and targets that it refuses.

use std::io;

use probe_user::unstable::kill::{KillError, Report};
use rustix::io::Errno;

use crate::cli::{ExitCode, Failure};

/// The failure if some processes could not be signalled.
pub(super) fn unreached(report: &Report) -> Option<Failure> {
    let first = report.unreached.first()?;
    let count = report.unreached.len();
    let plural = if count == 1 { "" } else { "es" };
    let mut message = format!("cannot signal {count} process{plural}:");
    for one in &report.unreached {
        let why = io::Error::from(one.errno);
        let line = match one.pid {
            0 => "\n  processes of another pid namespace".to_owned(),
            pid => format!("\n  {pid:>7} {}: {why}", one.comm.escape_debug()),
        };
        message.push_str(&line);
    }
    Some(match report.forbidden().next() {
        Some(_) => Failure::message(ExitCode::NotAvailable, message)
            .hint("run probe as root, or as the owner of the processes"),
        None if first.pid == 0 => Failure::message(ExitCode::Failure, message)
            .hint("run probe in the initial pid namespace"),
        None => Failure::message(ExitCode::Failure, message),
    })
}

/// The failure if a target is refused, or its members cannot be listed.
pub(super) fn refused(error: KillError) -> Failure {
    match &error {
        KillError::Threaded { root, .. } => {
            let hint = format!(
                "kill the domain cgroup of its processes: {}",
                root.display()
            );
            Failure::new(ExitCode::Usage, error).hint(hint)
        }
        KillError::ProtectedMember { .. } | KillError::ProtectedProcess { .. } => {
            Failure::new(ExitCode::Usage, error).hint("--force kills it anyway")
        }
        KillError::Signal { .. } | KillError::KernelThread { .. } => {
            Failure::new(ExitCode::Usage, error)
        }
        KillError::Members { source, .. } => {
            let code = match Errno::from_io_error(source) {
                Some(Errno::ACCESS | Errno::PERM) => ExitCode::NotAvailable,
                _ => ExitCode::Failure,
            };
            Failure::new(code, error)
        }
    }
}
