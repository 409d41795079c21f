//! `probe doctor`: what this machine offers.

use std::io;

use super::{ExitCode, Failure, terminal};
use crate::{
    doctor::{self, report},
    output::{Out, StopFlag, is_closed},
};

/// Tell what this machine offers, backend by backend
///
/// Every answer is found out by trying: programs are loaded and attached, a
/// child's pidfd is asked. Each no comes with the reason and what to do. Exit
/// code 0 when at least one backend is woken by events, else 5.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One JSON object
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
