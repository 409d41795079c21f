//! `probe last`: recent exits, from the daemon's history.

use std::{io, path::PathBuf, time::Duration};

use probe_daemon::api::quantity::{duration, nanoseconds};
use probe_daemon::{
    api::{json, query},
    client::{ClientError, Records},
};
use probe_user::unstable::clock::{WallClock, boottime_ns};

use super::{
    ExitCode, Failure,
    named::unit_paths,
    socket::{PATIENCE, Socket, unanswered},
    target::{self, CgroupTarget},
    terminal,
};
use crate::output::{Out, Stdout, StopFlag, human::Columns, is_closed};

/// Show what ended lately: who, how, and who killed it
///
/// Asks the probe daemon, which keeps the last exits: oldest first, the newest
/// at the bottom. Containers and cgroups that are gone can be asked for too.
/// Without a daemon there is no history; `probe trace` shows what ends from now
/// on.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArg,

    /// Only what ended within this time: 250ms, 2.5 (seconds), 1h30m
    #[arg(long, value_name = "DUR", value_parser = duration)]
    since: Option<Duration>,

    /// Only the last so many
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,

    /// Only what did not end by exit(0)
    #[arg(long)]
    failed: bool,

    #[command(flatten)]
    socket: Socket,

    /// One JSON object a line, as of probe trace
    #[arg(long)]
    json: bool,
}

/// At most one target.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct TargetArg {
    /// Only this process
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,

    /// Only the subtree of this cgroup: a path on a cgroup mount, or below the
    /// root of a hierarchy
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,

    /// Only this container: id, unique beginning of an id, or name
    #[arg(long, value_name = "ID|NAME")]
    container: Option<String>,

    /// Only this systemd unit, by its cgroup
    #[arg(long, value_name = "NAME")]
    unit: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let query = args.query()?;
    let daemon = args.socket.daemon()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = daemon.connect(PATIENCE).await.map_err(without_history)?;
        let records = client.exits(&query).await.map_err(unanswered)?;
        args.print(records).await
    })
}

/// Only a daemon has a history, so that any failure is exit code 5.
fn without_history(error: ClientError) -> Failure {
    let mut failure = unanswered(error);
    failure.code = ExitCode::NotAvailable;
    let hint = failure.hint.take().unwrap_or_default();
    failure.hint(format!("history needs the daemon; {hint}").trim_end_matches("; "))
}

impl Args {
    fn query(&self) -> Result<query::Exits, Failure> {
        let since = self.since.map(|since| {
            let then = boottime_ns().saturating_sub(nanoseconds(since));
            json::time(WallClock::now().unix_ns(then))
        });
        let cgroup = match (&self.target.cgroup, &self.target.unit) {
            (Some(name), _) => Some(target::cgroup(&target::mounts()?, name, None)?),
            (None, Some(name)) => Some(of_unit(name)?),
            (None, None) => None,
        };
        let directory = cgroup.map(|it| it.directory.to_string_lossy().into_owned());
        Ok(query::Exits {
            cgroup: directory,
            container: self.target.container.clone(),
            pid: self.target.pid,
            failed: self.failed,
            since,
            limit: self.count,
        })
    }

    async fn print(&self, mut records: Records) -> Result<ExitCode, Failure> {
        let mut out = Out::stdout(StopFlag::default())?;
        let columns = Columns::new(terminal::width(), terminal::colour());
        let columns = (!self.json).then_some(columns);
        let clock = WallClock::now();
        let mut is_first = true;
        while let Some(record) = records.next().await.map_err(unanswered)? {
            let mut write = |out: &mut Out<Stdout>| match &columns {
                None => out.line(|line| json::write_record(line, &record, &clock)),
                Some(columns) => {
                    if std::mem::take(&mut is_first) {
                        out.line(|line| columns.write_header(line))?;
                    }
                    out.line(|line| columns.write_record(line, &record, &clock))
                }
            };
            if is_over(write(&mut out))? {
                return Ok(ExitCode::Done);
            }
        }
        is_over(out.flush())?;
        Ok(ExitCode::Done)
    }
}

/// Whether the reader of stdout has gone, which is no failure.
fn is_over(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Err(error) if is_closed(&error) => Ok(true),
        Err(error) => Err(error),
        Ok(()) => Ok(false),
    }
}

fn of_unit(name: &str) -> Result<CgroupTarget, Failure> {
    let mounts = target::mounts()?;
    let (wanted, mut found) = unit_paths(name, &mounts)?;
    if let (Some(target), true) = (found.pop(), found.is_empty()) {
        return Ok(target);
    }
    let message = format!("no one cgroup belongs to unit '{wanted}'");
    let failure = Failure::message(ExitCode::NoSuchTarget, message);
    Err(failure.hint("name its cgroup, which need not be there any more: --cgroup PATH"))
}
