//! `probe last`: shows recent exits from the history of the daemon.

use std::time::Duration;

use probe_daemon::api::quantity::{duration, nanoseconds};
use probe_daemon::{
    api::{json, query},
    client::{ClientError, Newest, Records},
};
use probe_user::unstable::clock::{WallClock, boottime_ns};

use super::{
    ExitCode, Failure,
    named::{OneTarget, unit_paths},
    socket::{REQUIRED_PATIENCE, Socket, request_failed},
    target::{self, CgroupTarget},
    terminal::{self, Messages},
};
use crate::output::{
    Out, RecordPrinter, StopFlag,
    human::{printable, short_id},
    ignore_closed, is_closed,
};

/// Show recent exits: exit status, killer and container of each process
///
/// The probe daemon keeps the last exits. probe shows them with the newest at the
/// bottom, also those of containers and cgroups that are gone. There is no history
/// without a daemon; `probe trace` shows exits from now on.
///
/// --container finds a container by its id, a unique prefix of the id, or its name,
/// before and after it was renamed. If several containers have or had the name, probe
/// shows the exits of the newest: the one that exists, otherwise the one with the last
/// exit. A note says so, and --all shows the exits of all of them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: OneTarget,

    /// Show the exits of every container that has or had the name, not only of the newest
    #[arg(long, requires = "container")]
    all: bool,

    /// Show only exits within this time before now (250ms, 2.5 or 1h30m)
    ///
    /// A number without a unit is in seconds.
    #[arg(long, value_name = "DUR", value_parser = duration)]
    since: Option<Duration>,

    /// Show only the last N exits
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,

    /// Show only processes that did not end by exit(0)
    #[arg(long)]
    failed: bool,

    #[command(flatten)]
    socket: Socket,

    /// Print one JSON object per line, as probe trace does
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let query = args.query()?;
    let daemon = args.socket.daemon()?;
    super::runtime()?.block_on(async {
        let client = daemon
            .connect(REQUIRED_PATIENCE)
            .await
            .map_err(history_unavailable)?;
        let (records, newest) = client.exits(&query).await.map_err(request_failed)?;
        if let Some(newest) = newest.filter(|it| it.others > 0) {
            args.print_newest(&newest);
        }
        args.print(records).await
    })
}

/// The failure if no daemon answers. The exit code is always 5, because only a daemon has a
/// history.
fn history_unavailable(error: ClientError) -> Failure {
    let mut failure = request_failed(error);
    failure.code = ExitCode::NotAvailable;
    let hint = failure.hint.take().unwrap_or_default();
    failure.hint(format!("the history needs the daemon; {hint}").trim_end_matches("; "))
}

impl Args {
    fn query(&self) -> Result<query::Exits, Failure> {
        let since = self.since.map(|since| {
            let then = boottime_ns().saturating_sub(nanoseconds(since));
            json::time(WallClock::now().unix_ns(then))
        });
        let cgroup = match (&self.target.cgroup, &self.target.unit) {
            (Some(name), _) => Some(target::cgroup(&target::mounts()?, name, None)?),
            (None, Some(name)) => Some(unit_cgroup(name)?),
            (None, None) => None,
        };
        let directory = cgroup.map(|it| it.directory.to_string_lossy().into_owned());
        Ok(query::Exits {
            cgroup: directory,
            container: self.target.container.clone(),
            all: self.all,
            pid: self.target.pid,
            failed: self.failed,
            since,
            limit: self.count,
        })
    }

    /// Says on stderr which of several containers with the name is shown.
    fn print_newest(&self, newest: &Newest) {
        let Newest { container, others } = newest;
        let (runtime, id) = container
            .split_once('/')
            .unwrap_or(("container", container));
        let id = printable(short_id(id));
        let name = printable(self.target.container.as_deref().unwrap_or_default());
        let containers = if *others == 1 {
            "container"
        } else {
            "containers"
        };
        Messages::print_always(&format!(
            "note: exits of {runtime} {id}, the newest with the name '{name}'; \
             --all also shows {others} older {containers}"
        ));
    }

    async fn print(&self, mut records: Records) -> Result<ExitCode, Failure> {
        let out = Out::stdout(StopFlag::default())?;
        let mut printer = RecordPrinter::new(out, (!self.json).then(terminal::columns));
        while let Some(record) = records.next().await.map_err(request_failed)? {
            let header = printer.print_header();
            match header.and_then(|()| printer.print(&record)) {
                Err(error) if is_closed(&error) => return Ok(ExitCode::Done),
                written => written?,
            }
        }
        ignore_closed(printer.out.flush())?;
        Ok(ExitCode::Done)
    }
}

fn unit_cgroup(name: &str) -> Result<CgroupTarget, Failure> {
    let mounts = target::mounts()?;
    let (wanted, mut found) = unit_paths(name, &mounts)?;
    if let (Some(target), true) = (found.pop(), found.is_empty()) {
        return Ok(target);
    }
    let message = format!("unit '{wanted}' has no cgroup, or several");
    let failure = Failure::message(ExitCode::NoSuchTarget, message);
    Err(failure.hint("use --cgroup PATH, which may name a cgroup that is gone"))
}
