//! `probe why`: says why processes are still there, or how they ended.

use probe_daemon::{
    api::{
        json::{self, SCHEMA, SubjectObject, WhyLine},
        query,
    },
    client::ClientError,
};
use probe_user::{
    model::{Backend, Record, Until},
    unstable::{
        diagnosis::{self, Observer, Obstacle, Survivor},
        wait::Hub,
    },
};

use super::{
    ExitCode, Failure,
    format::FormatArg,
    named::{Missing, PinnedTarget, TargetArgs},
    socket::{Daemon, OPTIONAL_PATIENCE, Socket},
    target::{self, CgroupTarget},
    terminal::Messages,
};
use crate::{
    output::{
        Out, RecordPrinter, StopFlag,
        human::{self, printable},
        ignore_closed, verdict,
    },
    session::log_missing_daemon,
};

/// Say why processes are still there, or how they ended
///
/// For each living process probe prints what it waits for and what would free it: a
/// tracer, a parent that does not reap it, a FUSE server, a frozen cgroup, and so on.
/// The history of the daemon, if one answers, tells how the last processes ended.
///
/// Without a target, probe lists each process of the machine that was killed and is not
/// gone, and each that has been in an uninterruptible sleep for 10 seconds. probe never
/// waits; it looks for about 100 ms.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    targets: TargetArgs,

    #[command(flatten)]
    socket: Socket,

    #[command(flatten)]
    format: FormatArg,
}

/// How many of the last exits are shown.
const LAST_EXITS: u32 = 3;

pub(super) fn run(args: &Args, messages: Messages) -> Result<ExitCode, Failure> {
    let runtime = super::runtime()?;
    let _inside = runtime.enter();
    let observer = Observer::measuring();
    if !args.targets.are_any() {
        let stuck = diagnosis::describe(&diagnosis::stuck()?, &observer);
        args.print(None, &stuck, &[], &[])?;
        return Ok(ExitCode::Done);
    }
    let mut missing = None;
    for mut target in args.pinned()? {
        let exists = target.pinned.is_some();
        let survivors = diagnosis::describe(&left(&mut target)?, &observer);
        let exits = runtime.block_on(args.last_exits(&target, exists));
        if !exists && exits.is_empty() {
            missing.get_or_insert(unknown(&target));
            continue;
        }
        let obstacles = if survivors.is_empty() && exists {
            let busy =
                |it: &CgroupTarget| diagnosis::obstacles(&it.mount, &it.directory, &observer);
            target.cgroups.iter().flat_map(busy).collect()
        } else {
            Vec::new()
        };
        args.print(Some(&target.subject), &survivors, &obstacles, &exits)?;
        if exits.is_empty() && survivors.is_empty() {
            messages.print("the history of a daemon would tell how its processes ended");
        }
    }
    missing.map_or(Ok(ExitCode::Done), Err)
}

/// The failure if nothing is known about a target.
fn unknown(target: &PinnedTarget) -> Failure {
    let name = verdict::name(&target.subject);
    let message = format!("{name} does not exist, and no daemon knows how it ended");
    let failure = Failure::message(ExitCode::NoSuchTarget, message);
    failure.hint(match &target.missing {
        Some(first) => format!("{} does not exist", first.display()),
        None => "a running `probe daemon` remembers the exits of processes".to_owned(),
    })
}

/// The processes that are left of a target, zombies included.
fn left(target: &mut PinnedTarget) -> Result<Vec<u32>, Failure> {
    let Some(pinned) = target.pinned.take() else {
        return Ok(Vec::new());
    };
    let until = if pinned.cgroups.is_empty() {
        Until::Reaped
    } else {
        target.default_until
    };
    let hub = Hub::start(Backend::Poll);
    let mut wait = hub.arm(pinned, until)?;
    wait.look()?;
    Ok(wait.survivors()?)
}

impl Args {
    fn pinned(&self) -> Result<Vec<PinnedTarget>, Failure> {
        let mut resolver = self.targets.resolver();
        self.targets.pin(
            &target::mounts()?,
            &mut resolver,
            Backend::Pidfd,
            Missing::Ok,
        )
    }

    /// The last exits of the target in the history of a daemon; none without a daemon.
    async fn last_exits(&self, target: &PinnedTarget, exists: bool) -> Vec<Record> {
        let query = query_of(target, exists);
        let (Some(query), Ok(daemon)) = (query, self.socket.daemon()) else {
            return Vec::new();
        };
        self.ask(&daemon, &query).await.unwrap_or_else(|error| {
            log_missing_daemon(error, daemon.is_named);
            Vec::new()
        })
    }

    async fn ask(&self, daemon: &Daemon, query: &query::Exits) -> Result<Vec<Record>, ClientError> {
        let client = daemon.connect(OPTIONAL_PATIENCE).await?;
        let (mut records, _) = client.exits(query).await?;
        let mut exits = Vec::new();
        while let Some(record) = records.next().await? {
            exits.push(record);
        }
        Ok(exits)
    }

    fn print(
        &self,
        subject: Option<&SubjectObject>,
        survivors: &[Survivor],
        obstacles: &[Obstacle],
        exits: &[Record],
    ) -> Result<(), Failure> {
        let name = subject.map(verdict::name);
        let (text, hint) = sentence(name.as_deref(), survivors);
        let mut out = Out::stdout(StopFlag::default())?;
        if self.format.is_json() {
            let line = WhyLine {
                schema: SCHEMA,
                r#type: "why",
                target: name,
                summary: text,
                hint,
                survivors: survivors.to_vec(),
                obstacles: obstacles.to_vec(),
            };
            ignore_closed(out.line(|out| json::write(out, &line)))?;
        } else {
            let mut lines = vec![printable(&text)];
            lines.extend(hint.map(|it| format!("hint: {}", printable(&it))));
            for obstacle in obstacles {
                lines.push(printable(&obstacle.text()));
                lines.push(format!("hint: {}", printable(&obstacle.hint())));
            }
            if !survivors.is_empty() {
                lines.extend(human::survivors(survivors));
            }
            for line in lines {
                ignore_closed(out.line(|out| {
                    out.extend_from_slice(line.as_bytes());
                    Ok(())
                }))?;
            }
        }
        let mut printer = RecordPrinter::new(out, self.format.records()?);
        if !exits.is_empty() {
            ignore_closed(printer.print_header())?;
        }
        for exit in exits {
            ignore_closed(printer.print(exit))?;
        }
        Ok(ignore_closed(printer.out.flush())?)
    }
}

/// The query for the exits of a target; `None` if the history cannot tell them from others: a unit
/// that is gone has no cgroup, and the exits with the pid of a living process are those of others.
fn query_of(target: &PinnedTarget, exists: bool) -> Option<query::Exits> {
    let mut query = query::Exits {
        limit: Some(LAST_EXITS),
        ..query::Exits::default()
    };
    if let Some(container) = &target.subject.container {
        query.container = Some(container.id.as_ref().or(container.name.as_ref())?.clone());
    } else if let Some(process) = &target.subject.process {
        query.pid = (!exists).then(|| process.pid.to_string());
        query.pid.as_ref()?;
    } else {
        let directory = &target.cgroups.first()?.directory;
        query.cgroup = Some(directory.to_string_lossy().into_owned());
    }
    Some(query)
}

/// The first line, and what would free the process that it names.
fn sentence(name: Option<&str>, survivors: &[Survivor]) -> (String, Option<String>) {
    let Some(headline) = diagnosis::headline(survivors) else {
        let text = match name {
            Some(name) => format!("nothing is left of {name}"),
            None => "no process is stuck".to_owned(),
        };
        return (text, None);
    };
    let count = survivors.len();
    let text = match (name, count) {
        (Some(_), 1) => headline.text,
        (Some(name), _) => format!("{count} processes are left of {name}; {}", headline.text),
        (None, 1) => format!("1 process is stuck: {}", headline.text),
        (None, _) => format!("{count} processes are stuck; {}", headline.text),
    };
    (text, headline.hint)
}
