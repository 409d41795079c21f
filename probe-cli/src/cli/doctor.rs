//! `probe doctor`: shows which backends work on this machine.

use std::io;

use probe_daemon::api::json::{self, DoctorLine};

use super::{ExitCode, Failure, terminal};
use crate::{
    doctor::{self, report},
    output::{Out, StopFlag, ignore_closed},
};

/// Show which backends work on this machine, and why others do not
///
/// probe tries everything: it loads and attaches the BPF programs, creates a cgroup,
/// and polls the pidfd of a child. Each "no" has a reason and a hint. probe also lists
/// the directories with the state of container engines, and whether you may read them.
///
/// The exit code is 0 if at least one backend is woken by events, otherwise 5.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let found = doctor::examine(terminal::runtime_dir());
    ignore_closed(print(args, &found))?;
    Ok(if found.event_driven {
        ExitCode::Done
    } else {
        ExitCode::NotAvailable
    })
}

fn print(args: &Args, found: &DoctorLine) -> io::Result<()> {
    let mut out = Out::stdout(StopFlag::default())?;
    if args.json {
        out.line(|line| json::write(line, found))?;
    } else {
        report::write(&mut out, found, terminal::colour())?;
    }
    out.flush()
}
