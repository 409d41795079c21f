//! `probe top`: shows the exits of this machine on a live screen.

use std::{
    io::{IsTerminal, stdin},
    pin::{Pin, pin},
    time::Duration,
};

use probe_daemon::api::quantity::duration;
use probe_user::{
    model::{Filter, LossReason},
    unstable::{
        bpf::load::{self, DEFAULT_STREAM_BYTES, Plan},
        cgroup::mounts::Mounts,
        container::Resolver,
        trace::ExitStream,
    },
};

use super::{
    ExitCode, Failure,
    buffer::{ring_size, size},
    conditions::Conditions,
    failure::bpf_unavailable,
    named::{TargetArgs, TracedTargets},
    socket::{OPTIONAL_PATIENCE, Socket},
    stop, target, terminal,
    trace::plan::directories,
};
use crate::{
    output::{Out, StopFlag, human::LocalTime},
    session::log_missing_daemon,
    top::{
        self, Model, Options, RecordSource, Screen, Sort, Source, SourceError, TopError,
        batch::{self, Batch},
    },
};

/// Show the exits of this machine on a live screen
///
/// The screen shows a graph of exits per second, then each container (and each
/// cgroup outside of containers) with its live processes and exits, then the latest
/// exits with status and killer. The first line counts records that were lost. With targets or
/// conditions the screen shows and counts only what matches.
///
/// Keys: the arrows select a container or cgroup, Enter shows its processes and last exits, Esc
/// goes back, Tab changes the list, s sorts by the next column and r reverses the order, f shows
/// only failures, / filters by text, p pauses, ? shows help, q quits.
///
/// The screen needs a terminal. --batch writes the tables as text.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    targets: TargetArgs,

    #[command(flatten)]
    conditions: Conditions,

    /// Order of the containers (key s)
    #[arg(long, value_enum, default_value_t, value_name = "BY")]
    sort: Sort,

    /// Time between two updates of the screen (250ms, 2.5 or 1m)
    ///
    /// A number without a unit is in seconds. Live processes are counted at most once a second.
    #[arg(short = 'd', long, value_name = "DUR", value_parser = interval, default_value = "1")]
    interval: Duration,

    /// Write the tables as text at intervals, for a file or a pipe
    #[arg(short, long)]
    batch: bool,

    /// Stop after N tables [default: no limit]
    #[arg(
        short = 'n', long, value_name = "N", requires = "batch",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    count: Option<u64>,

    /// Size of the BPF ring buffer (64K, 4M or 1G), rounded up to a power of two
    ///
    /// A number without a unit is in bytes. With this option, probe does not use the
    /// daemon.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    buffer: Option<u32>,

    #[command(flatten)]
    socket: Socket,
}

/// The least time between two updates: a screen that changes faster cannot be read.
const MIN_INTERVAL: Duration = Duration::from_millis(50);

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < MIN_INTERVAL {
        return Err("the interval is shorter than 50ms".to_owned());
    }
    Ok(interval)
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let has_terminal = stdin().is_terminal() && terminal::is_interactive();
    if !(args.batch || has_terminal) {
        let failure = Failure::message(ExitCode::Usage, "top needs a terminal");
        return Err(failure.hint(
            "`probe top --batch` writes tables to a file or a pipe, and `probe trace` writes exits",
        ));
    }
    args.conditions.check()?;
    super::runtime()?.block_on(follow(args))
}

/// The targets, and how their exits are found.
struct Watched {
    mounts: Mounts,
    targets: TracedTargets,
    wanted: Filter,
}

impl Watched {
    fn find(args: &Args) -> Result<Self, Failure> {
        let mounts = target::mounts()?;
        let mut resolver = args.targets.resolver();
        let targets = args.targets.traced(&mounts, &mut resolver)?;
        let wanted = Filter {
            // The key f shows the others.
            failed: false,
            ..targets.filter(&args.conditions)?
        };
        Ok(Self {
            mounts,
            targets,
            wanted,
        })
    }
}

/// Where the tables go.
enum View {
    Screen(Screen),
    Batch(Out<crate::output::Stdout>, Batch),
}

impl View {
    fn open(args: &Args, stop: StopFlag) -> Result<Self, Failure> {
        if !args.batch {
            return Ok(Self::Screen(Screen::enter(stop)?));
        }
        let batch = Batch {
            interval: args.interval,
            count: args.count,
            width: terminal::width().unwrap_or(BATCH_WIDTH),
        };
        Ok(Self::Batch(Out::stdout(stop)?, batch))
    }

    async fn run(
        &mut self,
        model: &mut Model,
        source: Source,
        every: Duration,
        stop: Pin<&mut impl Future<Output = i32>>,
    ) -> Result<Option<i32>, TopError> {
        match self {
            Self::Screen(screen) => top::run(model, source, screen, every, stop).await,
            Self::Batch(out, batch) => batch::run(model, source, out, batch, stop).await,
        }
    }
}

/// Width of the lines of a file or a pipe, if `COLUMNS` does not say otherwise.
const BATCH_WIDTH: usize = 160;

async fn follow(args: &Args) -> Result<ExitCode, Failure> {
    let (stop, flag) = stop::requested_by_any()?;
    let watched = Watched::find(args)?;
    let source = source(args, &watched).await?;
    let mut model = Model::new(Options {
        backend: source.backend(),
        sort: args.sort,
        failed_only: args.conditions.failed,
        colour: terminal::colour(),
        time_header: LocalTime::system().header(),
    });
    let mut view = View::open(args, flag)?;
    let mut stop = pin!(stop);
    let every = args.interval;
    let mut ended = view.run(&mut model, source, every, stop.as_mut()).await;
    // If the daemon ends, BPF programs of this command replace it if they load. The exits in
    // between are not known.
    if let Err(TopError::Source(SourceError::Daemon(_))) = &ended
        && let Ok(source) = own_programs(args, &watched)
    {
        model.apply(top::Event::Lost {
            count: None,
            reason: LossReason::DaemonGone,
        });
        ended = view.run(&mut model, source, every, stop).await;
    }
    // Leaves the alternate screen, on which an error message would be lost.
    drop(view);
    Ok(ended?.map_or(ExitCode::Done, ExitCode::Signal))
}

/// Opens the stream of a daemon if one answers and knows the targets, otherwise loads BPF
/// programs.
async fn source(args: &Args, watched: &Watched) -> Result<Source, Failure> {
    let query = watched.targets.query(&args.conditions)?;
    let (None, Some((mut query, tests_targets))) = (args.buffer, query) else {
        return own_programs(args, watched);
    };
    query.failed = false;
    let daemon = args.socket.daemon()?;
    let asked = async {
        let client = daemon.connect(OPTIONAL_PATIENCE).await?;
        client.events(&query).await
    };
    match asked.await {
        Ok(records) => {
            let records = RecordSource::Daemon {
                records: Box::new(records),
                resolver: Box::new(args.targets.resolver()),
                tests_targets,
            };
            Ok(Source::new(records, watched.wanted.clone(), args.interval))
        }
        Err(error) => {
            log_missing_daemon(error, daemon.is_named);
            own_programs(args, watched)
        }
    }
}

fn own_programs(args: &Args, watched: &Watched) -> Result<Source, Failure> {
    let Watched {
        mounts,
        targets,
        wanted,
    } = watched;
    let asked = args.buffer.map(ring_size);
    let stream_bytes = asked.unwrap_or(DEFAULT_STREAM_BYTES);
    let cgroups = directories(wanted, &targets.cgroups)?;
    let plan = Plan::exits(wanted, cgroups, stream_bytes).with_v1(mounts);
    let loaded = load::load(&plan).map_err(bpf_unavailable)?;
    let resolver = Resolver::new(args.targets.state_roots());
    let exits = ExitStream::new(loaded, mounts.clone(), resolver, wanted.clone())?;
    let records = RecordSource::Here(Box::new(exits));
    Ok(Source::new(records, wanted.clone(), args.interval))
}
