//! `probe top`: shows the exits of this machine on a live screen.

use std::{
    io::{IsTerminal, stdin},
    path::PathBuf,
    pin::pin,
};

use probe_daemon::api::query;
use probe_user::{
    model::{Filter, LossReason},
    unstable::{
        bpf::load::{self, DEFAULT_STREAM_BYTES, Plan},
        container::{Resolver, StateRoots},
        trace::ExitStream,
    },
};

use super::{
    ExitCode, Failure,
    buffer::{ring_size, size},
    failure::bpf_unavailable,
    socket::{OPTIONAL_PATIENCE, Socket},
    stop, target, terminal,
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
/// Keys: q quits, p pauses, s changes the order, f shows only failures, / filters by
/// text, the arrow keys scroll, ? shows help.
///
/// probe top needs a terminal; `probe trace` writes exits to a file or a pipe.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show only processes that did not end by exit(0) (key f)
    #[arg(long)]
    failed: bool,

    /// Order of the containers (key s)
    #[arg(long, value_enum, default_value_t, value_name = "BY")]
    sort: Sort,

    /// State directory of a container runtime that was started with --root
    #[arg(long, value_name = "DIR")]
    runtime_root: Vec<PathBuf>,

    /// Size of the BPF ring buffer (64K or 4M), rounded up to a power of two
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

async fn follow(args: &Args) -> Result<ExitCode, Failure> {
    let (stop, flag) = stop::requested_by_any()?;
    let source = source(args).await?;
    let mut model = Model::new(Options {
        backend: source.backend(),
        sort: args.sort,
        failed_only: args.failed,
        colour: terminal::colour(),
    });
    let mut screen = Screen::enter(flag)?;
    let mut stop = pin!(stop);
    let mut ended = top::run(&mut model, source, &mut screen, stop.as_mut()).await;
    // If the daemon ends, BPF programs of this command replace it if they load. The exits in
    // between are not known.
    if let Err(TopError::Source(SourceError::Daemon(_))) = &ended
        && let Ok(source) = own_programs(args)
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
async fn source(args: &Args) -> Result<Source, Failure> {
    if args.buffer.is_some() {
        return own_programs(args);
    }
    let daemon = args.socket.daemon()?;
    let asked = async {
        let client = daemon.connect(OPTIONAL_PATIENCE).await?;
        client.events(&query::Records::default()).await
    };
    match asked.await {
        Ok(records) => {
            let resolver = Resolver::unwatched(roots(args));
            let records = RecordSource::Daemon(Box::new(records), Box::new(resolver));
            Ok(Source::new(records))
        }
        Err(error) => {
            log_missing_daemon(error, daemon.is_named);
            own_programs(args)
        }
    }
}

fn roots(args: &Args) -> StateRoots {
    StateRoots::system(terminal::runtime_dir(), args.runtime_root.clone())
}

fn own_programs(args: &Args) -> Result<Source, Failure> {
    let mounts = target::mounts()?;
    let asked = args.buffer.map(ring_size);
    let stream_bytes = asked.unwrap_or(DEFAULT_STREAM_BYTES);
    let filter = Filter::default();
    let plan = Plan::exits(&filter, Vec::new(), stream_bytes).with_v1(&mounts);
    let loaded = load::load(&plan).map_err(bpf_unavailable)?;
    let exits = ExitStream::new(loaded, mounts, Resolver::new(roots(args)), filter)?;
    Ok(Source::new(RecordSource::Here(Box::new(exits))))
}
