//! `probe trace`: exits as they happen.

mod daemon;
mod plan;

use std::{
    path::PathBuf,
    pin::pin,
    time::{Duration, Instant},
};

use glob::Pattern;
use probe_daemon::api::quantity::{duration, size};
use probe_user::{
    model::Filter,
    unstable::{
        bpf::hook::ExitShape,
        container::{Resolver, StateRoots},
    },
};

use super::{
    ExitCode, Failure,
    socket::Socket,
    stop, target,
    terminal::{self, Say},
};
use crate::{
    output::{Out, human::Columns, reporter::Reported},
    trace::{self, Settings},
};

/// Show processes as they end: who, how, and who killed them
///
/// Without a target the whole machine. Targets add up, all other conditions
/// must hold together; where the kernel can test one, it does, so that what
/// nobody wants costs next to nothing.
///
/// An exit is shown when it begins: the process is still in its cgroup and may
/// hold memory and ports for some milliseconds. To know when it is gone use
/// `probe wait`.
///
/// --starts adds lines for what begins. Those are limited by targets, --comm and
/// --uid; how and when something ends cannot be asked of its beginning, so
/// --failed, --signaled, --oom, --min-age and --max-age limit exits only.
///
/// On a kernel without BTF nothing is known of a process but pid, uid, name and
/// v2 cgroup. A condition on something else then lets every record pass, and a
/// note says so.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of a command line are no state machine"
)]
pub(super) struct Args {
    /// Only the subtree of this cgroup: a path on a cgroup mount, or below the
    /// root of a hierarchy
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<PathBuf>,

    /// Only this container: id, unique beginning of an id, or name
    #[arg(long, value_name = "ID|NAME")]
    container: Vec<String>,

    /// Only this process
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Vec<u32>,

    /// Which hierarchy --cgroup means: v2, or the name of a v1 controller
    #[arg(long, value_name = "NAME")]
    hierarchy: Option<String>,

    /// State directory of a runtime started with --root
    #[arg(long, value_name = "DIR")]
    runtime_root: Vec<PathBuf>,

    /// Only processes whose name matches
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    comm: Vec<Pattern>,

    /// Only what did not end by exit(0)
    #[arg(long)]
    failed: bool,

    /// Only what a signal ended
    #[arg(long)]
    signaled: bool,

    /// Only what the out-of-memory killer ended
    #[arg(long)]
    oom: bool,

    /// Only processes of this user
    #[arg(long, value_name = "UID")]
    uid: Vec<u32>,

    /// Only processes at least this old
    #[arg(long, value_name = "DUR", value_parser = duration)]
    min_age: Option<Duration>,

    /// Only processes at most this old
    #[arg(long, value_name = "DUR", value_parser = duration)]
    max_age: Option<Duration>,

    /// Every thread, not only the last one of each process; STATUS then says
    /// which line is of a leader or thread (l or t where it is narrow)
    #[arg(long)]
    threads: bool,

    /// Also starts: fork, and exec with its arguments
    #[arg(long)]
    starts: bool,

    #[command(flatten)]
    socket: Socket,

    /// One JSON object a line
    #[arg(long)]
    json: bool,

    /// End after this many lines
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End after this time: 250ms, 2.5 (seconds), 1m30s
    #[arg(short, long, value_name = "DUR", value_parser = duration)]
    duration: Option<Duration>,

    /// Size of the kernel's ring buffer: 64K, 4M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    buffer: Option<u32>,
}

/// Time between two drains of the ring: short enough for a person at a screen, and a
/// program that reads a pipe needs them no more often.
const DRAIN_EVERY: Duration = Duration::from_millis(20);
const DRAIN_EVERY_INTERACTIVE: Duration = Duration::from_millis(10);

fn glob(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|error| format!("'{text}' is no glob: {error}"))
}

pub(super) fn run(args: Args, say: Say) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(follow(args, say))
}

async fn follow(args: Args, say: Say) -> Result<ExitCode, Failure> {
    plan::check_ages(&args)?;
    // First of all, so that no signal ends the command half way.
    let (stop, flag) = stop::requested()?;
    let mounts = target::mounts()?;
    let roots = StateRoots::system(terminal::runtime_dir(), args.runtime_root.clone());
    let mut resolver = Resolver::new(roots);
    let targets = plan::targets(&args, &mounts, &mut resolver)?;
    let wanted = plan::wanted(&args, &targets)?;
    let mut settings = settings(&args, wanted);
    let begun = Instant::now();
    let mut out = Out::stdout(flag)?;
    let mut stop = pin!(until_stop_or(args.duration, stop));
    let mut reported = Reported::default();
    if let Some(records) = daemon::records(&args, &targets).await? {
        say.line(&announcement("daemon", &args));
        trace::write_header(settings.columns.as_ref(), &mut out)?;
        let ended = trace::daemon::run(&settings, records, &mut out, stop.as_mut()).await?;
        reported = ended.0;
        let Some(error) = ended.1 else {
            summary(say, reported, begun);
            return Ok(ExitCode::Done);
        };
        let reason = anyhow::Error::new(error);
        tracing::warn!("{reason:#}: what ends before others serve is missing");
        settings.count = settings.count.map(|count| count - reported.shown);
    }
    let (attached, rings) = plan::load(&args, &settings.wanted, &targets, say)?;
    if attached.types.is_none() {
        plan::do_without_types(&args, &settings.wanted, say)?;
    }
    let shape = attached.exit_shape().map_or("?", ExitShape::as_str);
    say.line(&announcement(&format!("bpf, {shape}"), &args));
    if reported == Reported::default() {
        trace::write_header(settings.columns.as_ref(), &mut out)?;
    }
    let sources = (attached, rings);
    let more = trace::run(settings, sources, mounts, resolver, out, stop).await?;
    reported.seen += more.seen;
    reported.shown += more.shown;
    reported.lost += more.lost;
    summary(say, reported, begun);
    Ok(ExitCode::Done)
}

fn settings(args: &Args, wanted: Filter) -> Settings {
    Settings {
        wanted,
        columns: (!args.json).then(|| Columns::new(terminal::width(), terminal::colour())),
        count: args.count,
        drain_every: if terminal::is_interactive() {
            DRAIN_EVERY_INTERACTIVE
        } else {
            DRAIN_EVERY
        },
    }
}

fn summary(say: Say, reported: Reported, begun: Instant) {
    say.line(&format!(
        "seen {}, shown {}, lost {} in {:.1} s",
        reported.seen,
        reported.shown,
        reported.lost,
        begun.elapsed().as_secs_f64()
    ));
}

async fn until_stop_or(limit: Option<Duration>, stop: impl Future<Output = i32>) {
    match limit {
        None => _ = stop.await,
        Some(limit) => _ = tokio::time::timeout(limit, stop).await,
    }
}

fn announcement(by: &str, args: &Args) -> String {
    let what = if args.starts {
        "starts and exits"
    } else {
        "exits"
    };
    let whose = match args.cgroup.len() + args.container.len() + args.pid.len() {
        0 => "the whole machine".to_owned(),
        1 => "1 target".to_owned(),
        targets => format!("{targets} targets"),
    };
    format!("tracing: {what} of {whose} ({by}); Ctrl-C ends")
}
