//! `probe last`: shows recent exits from the history of the daemon.

mod follow;
mod history;
mod subject;

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use probe_daemon::{
    api::{
        moment::{self, FORMATS},
        query,
    },
    client::{ClientError, Newest},
};

use self::{history::Exits, subject::Subject};
use super::{
    ExitCode, Failure,
    conditions::Conditions,
    format::FormatArg,
    named::TargetArgs,
    socket::{Daemon, REQUIRED_PATIENCE, Socket, request_failed},
    terminal::Messages,
};
use crate::output::{
    Out, RecordPrinter, StopFlag,
    human::{is_utc, printable, short_id},
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
    targets: TargetArgs,

    /// Show the exits of every container that has or had the name, not only of the newest
    #[arg(long, requires = "container")]
    all: bool,

    /// Show only exits since then: 10m, '2 days ago', today, 14:30 or a date and time
    ///
    /// A span before now (250ms, 90 for seconds, 1h30m, '2 days ago'), now, today,
    /// yesterday, 14:30, '2026-01-02 14:30', @SECONDS since 1970, or a time of RFC 3339.
    /// Without an offset the time is a local one, or one in UTC with --utc.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Show only exits until then, in the formats of --since
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Show only the last N exits
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,

    /// Show the newest exit first
    #[arg(short, long)]
    reverse: bool,

    /// Go on with exits as they happen
    #[arg(short, long, conflicts_with_all = ["reverse", "until"])]
    follow: bool,

    #[command(flatten)]
    conditions: Conditions,

    #[command(flatten)]
    socket: Socket,

    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.conditions.check()?;
    let query = args.query()?;
    let subjects = subject::of(&args.targets)?;
    if args.follow && subjects.len() > 1 {
        let message = "--follow takes one target";
        let failure = Failure::message(ExitCode::Usage, message);
        return Err(failure.hint("`probe trace` follows several targets"));
    }
    let daemon = args.socket.daemon()?;
    let runtime = super::runtime()?;
    runtime.block_on(async {
        if args.follow {
            let subject = subjects.into_iter().next().unwrap_or(Subject::Machine);
            return args.follow(&daemon, &query, subject).await;
        }
        args.show(&daemon, &query, &subjects).await
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
    /// The query without a target.
    fn query(&self) -> Result<query::Exits, Failure> {
        let mut now = moment::now();
        if is_utc() {
            now = now.with_time_zone(TimeZone::UTC);
        }
        let since = time("--since", self.since.as_deref(), &now)?;
        let until = time("--until", self.until.as_deref(), &now)?;
        if since.zip(until).is_some_and(|(since, until)| since > until) {
            let message = "--since is later than --until";
            let failure = Failure::message(ExitCode::Usage, message);
            return Err(failure.hint("no exit is in this period"));
        }
        let conditions = self.conditions.query()?;
        Ok(query::Exits {
            all: self.all,
            failed: conditions.failed,
            signaled: conditions.signaled,
            oom: conditions.oom,
            comm: conditions.comm,
            uid: conditions.uid,
            min_age: conditions.min_age,
            max_age: conditions.max_age,
            since: since.map(|it| it.to_string()),
            until: until.map(|it| it.to_string()),
            limit: self.count,
            ..query::Exits::default()
        })
    }

    async fn show(
        &self,
        daemon: &Daemon,
        query: &query::Exits,
        subjects: &[Subject],
    ) -> Result<ExitCode, Failure> {
        let out = Out::stdout(StopFlag::default())?;
        let printer = RecordPrinter::new(out, self.format.records()?);
        let mut exits = Exits::new(printer, self.count, self.reverse, subjects.len());
        let mut missing = Vec::new();
        for subject in subjects {
            let asked = subject.query(query);
            let client = daemon.connect(REQUIRED_PATIENCE).await;
            let client = client.map_err(history_unavailable)?;
            let (records, newest) = client.exits(&asked).await.map_err(request_failed)?;
            print_newest(subject, newest);
            if exits.take(records).await? == 0 {
                missing.extend(subject.absence(daemon, &asked).await?);
            }
        }
        exits.finish()?;
        subject::report(missing, subjects.len())
    }
}

/// Parses the moment of an option.
fn time(
    option: &str,
    text: Option<&str>,
    now: &ZonedDateTime,
) -> Result<Option<Timestamp>, Failure> {
    let moment = text.map(|text| moment::moment(text, now)).transpose();
    moment.map_err(|error| {
        Failure::message(ExitCode::Usage, format!("{option}: {error}")).hint(FORMATS)
    })
}

/// Says on stderr which of several containers with the name is shown.
fn print_newest(subject: &Subject, newest: Option<Newest>) {
    let (Subject::Container(name), Some(newest)) = (subject, newest) else {
        return;
    };
    let Newest { container, others } = newest;
    if others == 0 {
        return;
    }
    let (runtime, id) = container
        .split_once('/')
        .unwrap_or(("container", &container));
    let id = printable(short_id(id));
    let name = printable(name);
    let containers = if others == 1 {
        "container"
    } else {
        "containers"
    };
    Messages::print_always(&format!(
        "note: exits of {runtime} {id}, the newest with the name '{name}'; \
         --all also shows {others} older {containers}"
    ));
}
