//! `probe doctor`: shows which backends work on this machine.

use std::io;

use super::{ExitCode, Failure, terminal};
use crate::{
    doctor::{self, report},
    output::{Out, StopFlag, is_closed},
};

/// Show which backends work on this machine, and why others do not
///
/// probe tries everything: it loads and attaches the BPF programs, creates a cgroup,
/// and polls the pidfd of a child. Each "no" has a reason and a hint.
///
/// The exit code is 0 if at least one backend is woken by events, otherwise 5.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let found = doctor::examine();
    match print(args, &found) {
        Err(error) if !is_closed(&error) => return Err(error.into()),
        _ => {}
    }
    Ok(if found.is_event_driven() {
        ExitCode::Done
    } else {
        ExitCode::NotAvailable
    })
}

fn print(args: &Args, found: &doctor::Report) -> io::Result<()> {
    let mut out = Out::stdout(StopFlag::default())?;
    if args.json {
        out.line(|line| report::write_json(line, found))?;
    } else {
        report::write_human(&mut out, found, terminal::colour())?;
    }
    out.flush()
}
