//! Processes that a kill did not reach, and targets that it refuses: as messages with
//! an exit code.

use std::io;

use probe_user::unstable::kill::{KillError, Report};
use rustix::io::Errno;

use crate::cli::{ExitCode, Failure};

/// The failure if some processes were not reached.
pub(super) fn unreached(report: &Report) -> Option<Failure> {
    let first = report.unreached.first()?;
    let mut message = format!("{} could not be signalled:", report.unreached.len());
    for one in &report.unreached {
        let why = io::Error::from(one.errno);
        let line = match one.pid {
            0 => "\n  some in a pid namespace that is not ours".to_owned(),
            pid => format!("\n  {pid:>7} {}: {why}", one.comm.escape_debug()),
        };
        message.push_str(&line);
    }
    Some(match report.forbidden().next() {
        Some(_) => Failure::message(ExitCode::NotAvailable, message)
            .hint("run it as root, or as the user they belong to"),
        None if first.pid == 0 => Failure::message(ExitCode::Failure, message)
            .hint("run it in the pid namespace of the machine"),
        None => Failure::message(ExitCode::Failure, message),
    })
}

/// The failure if a target was refused, or could not be signalled to the end.
pub(super) fn refused(error: KillError) -> Failure {
    match &error {
        KillError::Threaded { root, .. } => {
            let hint = format!("its processes belong to {}", root.display());
            Failure::new(ExitCode::Usage, error).hint(hint)
        }
        KillError::Precious { .. } | KillError::PreciousProcess { .. } => {
            Failure::new(ExitCode::Usage, error).hint("--force does it all the same")
        }
        KillError::Signal { .. } => Failure::new(ExitCode::Usage, error),
        KillError::Members { source, .. } => {
            let code = match Errno::from_io_error(source) {
                Some(Errno::ACCESS | Errno::PERM) => ExitCode::NotAvailable,
                _ => ExitCode::Failure,
            };
            Failure::new(code, error)
        }
    }
}
