//! `probe doctor`: shows which backends work on this machine.

use std::{fs, io};

use probe_daemon::api::json;
use rustix::process::geteuid;

use super::{
    ExitCode, Failure,
    socket::{REQUIRED_PATIENCE, Socket},
    terminal,
};
use crate::{
    doctor::{self, DaemonAnswer, Examination, report},
    output::{Out, StopFlag, ignore_closed},
};

/// Show which backends work on this machine, and why others do not
///
/// probe tries everything: it loads and attaches the BPF programs, creates a cgroup,
/// polls the pidfd of a child, and asks the daemon. Each "no" has a reason and a hint. probe
/// also lists the directories with the state of container engines, and whether you may read
/// them. The last line says what works for this user, and what to do for more.
///
/// The exit code is 0 if at least one backend is woken by events, otherwise 5.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    socket: Socket,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let daemon = args.socket.daemon()?;
    let connected = super::runtime()?.block_on(daemon.connect(REQUIRED_PATIENCE));
    let answer = DaemonAnswer {
        error: connected.err(),
        socket: daemon.socket,
    };
    let found = doctor::examine(terminal::runtime_dir(), &answer);
    ignore_closed(print(args, &found))?;
    Ok(if found.line.event_driven {
        ExitCode::Done
    } else {
        ExitCode::NotAvailable
    })
}

fn print(args: &Args, found: &Examination) -> io::Result<()> {
    let mut out = Out::stdout(StopFlag::default())?;
    if args.json {
        out.line(|line| json::write(line, &found.line))?;
    } else {
        report::write(&mut out, found, &user(), terminal::colour())?;
    }
    out.flush()
}

/// The name of the user of this process, or the number of a user without a name.
fn user() -> String {
    let uid = geteuid().as_raw();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid {uid}"))
}
