//! Processes on the command line: pids, lists of pids, and pids from stdin.

use std::io::{self, Read};

use probe_user::model::Backend;

use super::{Missing, pin};
use crate::cli::{ExitCode, Failure};
use probe_user::unstable::proc::pinned::PinnedProcess;

/// A process by its pid, or by pid and inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ProcessArg {
    pub(in crate::cli) pid: u32,
    /// Inode number of the pidfd (Linux 6.9). A later process with the same pid has another
    /// number.
    pub(super) inode: Option<u64>,
}

/// One item of a list of pids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum PidArg {
    Process(ProcessArg),
    /// `-`: the pids are on stdin.
    Stdin,
}

/// Parses PID, PID:INODE or `-`.
pub(super) fn pid_arg(text: &str) -> Result<PidArg, String> {
    if text == "-" {
        return Ok(PidArg::Stdin);
    }
    process(text).map(PidArg::Process)
}

/// Parses PID or PID:INODE.
fn process(text: &str) -> Result<ProcessArg, String> {
    let (pid, inode) = text
        .split_once(':')
        .map_or((text, None), |(pid, inode)| (pid, Some(inode)));
    let number = pid.parse::<i32>().ok().filter(|&pid| pid > 0);
    let pid = number.ok_or_else(|| format!("invalid pid '{pid}' (expected a positive number)"))?;
    let inode = inode.map(|inode| {
        let number = inode.parse().ok().filter(|&number| number > 0);
        number.ok_or_else(|| format!("invalid inode number '{inode}' (expected PID:INODE)"))
    });
    Ok(ProcessArg {
        pid: pid.cast_unsigned(),
        inode: inode.transpose()?,
    })
}

/// Returns each process once, in the order of the command line. Stdin is read if an item is `-`.
pub(super) fn processes<'a>(
    args: impl Iterator<Item = &'a PidArg>,
) -> Result<Vec<ProcessArg>, Failure> {
    let mut processes = Vec::new();
    for arg in args {
        match arg {
            PidArg::Process(process) => processes.push(*process),
            PidArg::Stdin => processes.extend(read(io::stdin())?),
        }
    }
    Ok(super::unique(processes, |one, other| one == other))
}

/// Reads pids that are separated by blanks, line ends or commas.
fn read(mut from: impl Read) -> Result<Vec<ProcessArg>, Failure> {
    let mut text = String::new();
    from.read_to_string(&mut text).map_err(|error| {
        let message = format!("cannot read pids from stdin: {error}");
        Failure::message(ExitCode::Failure, message)
    })?;
    let items = text.split(|char: char| char.is_whitespace() || char == ',');
    let items: Vec<_> = items.filter(|it| !it.is_empty()).collect();
    if items.is_empty() {
        let failure = Failure::message(ExitCode::NoSuchTarget, "stdin has no pids");
        return Err(failure.hint("the command that writes them found no process, perhaps"));
    }
    items
        .into_iter()
        .map(|item| {
            process(item).map_err(|message| {
                let failure = Failure::message(ExitCode::Usage, format!("stdin: {message}"));
                failure.hint("separate pids by blanks, line ends or commas, as pgrep and pidof do")
            })
        })
        .collect()
}

impl ProcessArg {
    /// Whether the process has an inode number.
    pub(in crate::cli) const fn has_inode(self) -> bool {
        self.inode.is_some()
    }

    /// Pins the process, which must exist.
    pub(in crate::cli) fn pin(self) -> Result<PinnedProcess, Failure> {
        let gone = || {
            let message = format!("no process {}", self.pid);
            Failure::message(ExitCode::NoSuchTarget, message)
        };
        pin::open(self, Backend::Pidfd, Missing::Error)?.ok_or_else(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<u32> {
        let processes = read(text.as_bytes()).expect("pids");
        processes.into_iter().map(|it| it.pid).collect()
    }

    #[test]
    fn stdin_has_the_formats_of_pgrep_pidof_and_lists_with_commas() {
        assert_eq!(numbers("1\n2\n"), [1, 2]);
        assert_eq!(numbers("3 4"), [3, 4]);
        assert_eq!(numbers("5,6:7, 8\n"), [5, 6, 8]);
    }

    #[test]
    fn stdin_without_pids_is_no_target_and_another_text_is_wrong_usage() {
        let code = |text: &str| read(text.as_bytes()).expect_err("no pids").code;
        assert_eq!(code(" \n"), ExitCode::NoSuchTarget);
        for wrong in ["1 x", "0", "-1", "1:0"] {
            assert_eq!(code(wrong), ExitCode::Usage, "{wrong}");
        }
    }

    #[test]
    fn a_process_counts_once_and_an_inode_makes_another_target() {
        let args = ["7", "7:3", "7", "7:3", "8"].map(|it| pid_arg(it).expect("a pid"));
        let processes = processes(args.iter()).expect("pids");
        let inodes: Vec<_> = processes.iter().map(|it| (it.pid, it.inode)).collect();
        assert_eq!(inodes, [(7, None), (7, Some(3)), (8, None)]);
    }

    #[test]
    fn an_inode_number_of_zero_is_invalid() {
        assert!(pid_arg("1:0").is_err());
    }
}
