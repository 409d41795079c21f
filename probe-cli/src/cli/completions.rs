//! `probe completions`: prints a completion script for a shell.

use std::io::{self, Write};

use clap_complete::{Shell, generate};

use super::{ExitCode, Failure};
use crate::output::ignore_closed;

/// Print a completion script for a shell
///
/// For bash, run `probe completions bash > /etc/bash_completion.d/probe`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Shell to print the script for
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut crate::cli::command(), "probe", &mut script);
    ignore_closed(io::stdout().write_all(&script))?;
    Ok(ExitCode::Done)
}
