//! `probe top`: shows the exits of this machine on a live screen.

use std::{
    io::{IsTerminal, stdin},
    pin::pin,
};

use probe_user::{
    model::{Filter, LossReason},
    unstable::{
        bpf::load::{self, DEFAULT_STREAM_BYTES, Plan},
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
    session::log_missing_daemon,
    top::{self, Model, Options, RecordSource, Screen, Sort, Source, SourceError, TopError},
};

/// Show the exits of this machine on a live screen
///
/// The screen shows a graph of exits per second, then each container (and each
/// cgroup outside of containers) with its live processes and exits, then the latest
/// exits with status and killer. The first line counts records that were lost.
///
/// With targets and conditions the screen shows only the exits that trace would show.
/// --failed (key f) hides the other exits and counts them all the same.
///
/// Keys: q quits, p pauses, s changes the order, f shows only failures, / filters by
/// text, the arrow keys scroll, ? shows help.
///
/// probe top needs a terminal; `probe trace` writes exits to a file or a pipe.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    targets: TargetArgs,

    #[command(flatten)]
    conditions: Conditions,

    /// Order of the containers (key s)
    #[arg(long, value_enum, default_value_t, value_name = "BY")]
    sort: Sort,

    /// Size of the BPF ring buffer (64K, 4M or 1G), rounded up to a power of two
    ///
    /// A number without a unit is in bytes. With this option, probe does not use the
    /// daemon.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    buffer: Option<u32>,

    #[command(flatten)]
    socket: Socket,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if !(stdin().is_terminal() && terminal::is_interactive()) {
        let failure = Failure::message(ExitCode::Usage, "top needs a terminal");
        return Err(failure.hint("`probe trace` writes exits to a file or a pipe"));
    }
    super::runtime()?.block_on(follow(args))
}

/// What the screen shows.
struct Shown {
    targets: TracedTargets,
    wanted: Filter,
}

impl Shown {
    fn of(args: &Args) -> Result<Self, Failure> {
        args.conditions.check()?;
        let mut resolver = args.targets.resolver();
        let targets = args.targets.traced(&target::mounts()?, &mut resolver)?;
        // The key f shows the other exits again.
        let wanted = Filter {
            failed: false,
            ..targets.filter(&args.conditions)?
        };
        Ok(Self { targets, wanted })
    }
}

async fn follow(args: &Args) -> Result<ExitCode, Failure> {
    let (stop, flag) = stop::requested_by_any()?;
    let shown = Shown::of(args)?;
    let source = source(args, &shown).await?;
    let mut model = Model::new(Options {
        backend: source.backend(),
        sort: args.sort,
        failed_only: args.conditions.failed,
        colour: terminal::colour(),
    });
    let mut screen = Screen::enter(flag)?;
    let mut stop = pin!(stop);
    let mut ended = top::run(&mut model, source, &mut screen, stop.as_mut()).await;
    // If the daemon ends, BPF programs of this command replace it if they load. The exits in
    // between are not known.
    if let Err(TopError::Source(SourceError::Daemon(_))) = &ended
        && let Ok(source) = own_programs(args, &shown)
    {
        model.apply(top::Event::Lost {
            count: None,
            reason: LossReason::DaemonGone,
        });
        ended = top::run(&mut model, source, &mut screen, stop).await;
    }
    // Leaves the alternate screen, on which an error message would be lost.
    drop(screen);
    Ok(ended?.map_or(ExitCode::Done, ExitCode::Signal))
}

/// Opens the stream of a daemon if one answers, otherwise loads BPF programs.
async fn source(args: &Args, shown: &Shown) -> Result<Source, Failure> {
    let query = shown.targets.query(&args.conditions)?;
    let (None, Some((mut query, tests_targets))) = (args.buffer, query) else {
        return own_programs(args, shown);
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
            Ok(Source::new(records, shown.wanted.clone()))
        }
        Err(error) => {
            log_missing_daemon(error, daemon.is_named);
            own_programs(args, shown)
        }
    }
}

fn own_programs(args: &Args, shown: &Shown) -> Result<Source, Failure> {
    let mounts = target::mounts()?;
    let asked = args.buffer.map(ring_size);
    let stream_bytes = asked.unwrap_or(DEFAULT_STREAM_BYTES);
    let wanted = shown.wanted.clone();
    let cgroups = directories(&wanted, &shown.targets.cgroups)?;
    let plan = Plan::exits(&wanted, cgroups, stream_bytes).with_v1(&mounts);
    let loaded = load::load(&plan).map_err(bpf_unavailable)?;
    let resolver = Resolver::new(args.targets.state_roots());
    let exits = ExitStream::new(loaded, mounts, resolver, wanted.clone())?;
    Ok(Source::new(RecordSource::Here(Box::new(exits)), wanted))
}
