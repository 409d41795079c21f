//! A child process with pipes, and its output when it ends.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
};

use crate::{Deadline, Output, lines::Lines, victim::ended};

/// Starts a command with an empty stdin and with pipes for stdout and stderr.
pub(crate) fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// The unread output of a child and the way it ends.
pub(crate) fn collect(child: &mut Child, stdout: &Lines, stderr: &Lines) -> Output {
    let stdout = text(&stdout.rest());
    let stderr = text(&stderr.rest());
    let status = ended(child, Deadline::start());
    Output {
        code: status.code(),
        signal: status.signal(),
        stdout,
        stderr,
    }
}

fn text(lines: &[String]) -> String {
    lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect()
}
