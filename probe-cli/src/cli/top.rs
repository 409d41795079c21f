//! `probe top`: the exits of this machine on a live screen.

use std::{
    io::{IsTerminal, stdin},
    path::PathBuf,
    pin::pin,
    time::Duration,
};

use probe_daemon::api::quantity::{ring_size, size};
use probe_daemon::api::query;
use probe_user::{
    model::Filter,
    unstable::{
        bpf::load::{self, DEFAULT_STREAM_BYTES, Plan},
        container::{Resolver, StateRoots},
        trace::ExitStream,
    },
};
use rustix::param::page_size;

use super::{ExitCode, Failure, failure::without_bpf, socket::Socket, stop, target, terminal};
use crate::{
    session::log_without_daemon,
    top::{self, Model, Options, RecordSource, Screen, Sort, Source, SourceError, TopError},
};

/// Watch what ends on this machine: how much, where, how, and by whose hand
///
/// Shows exits per second as a graph, containers (and cgroups that belong to
/// none) with their live processes and exits, and the last deaths with status
/// and killer. Records that were lost are counted in the first line.
///
/// Keys: q quits, p pauses, s sorts, f leaves what failed, / searches, arrows
/// scroll, ? tells more.
///
/// It needs a terminal; `probe trace` writes the same to a file or a pipe.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only what did not end by exit(0); key f
    #[arg(long)]
    failed: bool,

    /// What comes first among the containers; key s
    #[arg(long, value_enum, default_value_t, value_name = "BY")]
    sort: Sort,

    /// State directory of a runtime started with --root
    #[arg(long, value_name = "DIR")]
    runtime_root: Vec<PathBuf>,

    /// Size of the kernel's ring buffer, rounded up to a power of two: 64K, 4M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    buffer: Option<u32>,

    #[command(flatten)]
    socket: Socket,
}

/// How long a daemon that the user did not name may take to answer.
const UNNAMED: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if !(stdin().is_terminal() && terminal::is_interactive()) {
        let failure = Failure::message(ExitCode::Usage, "top needs a terminal");
        return Err(failure.hint("`probe trace` writes what happens, line by line"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(follow(args))
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
    // If the daemon ends, our own BPF programs replace it, where they may run.
    if let Err(TopError::Source(SourceError::Daemon(_))) = &ended
        && let Ok(source) = own_programs(args)
    {
        ended = top::run(&mut model, source, &mut screen, stop).await;
    }
    // Leaves the alternate screen first, on which a message would be lost.
    drop(screen);
    Ok(ended?.map_or(ExitCode::Done, ExitCode::Signal))
}

/// The records of a daemon if one answers, else those of our own BPF programs.
async fn source(args: &Args) -> Result<Source, Failure> {
    if args.buffer.is_some() {
        return own_programs(args);
    }
    let daemon = args.socket.daemon()?;
    let asked = async {
        let client = daemon.connect(UNNAMED).await?;
        client.events(&query::Records::default()).await
    };
    match asked.await {
        Ok(records) => {
            let resolver = Resolver::unwatched(roots(args));
            let records = RecordSource::Daemon(Box::new(records), Box::new(resolver));
            Ok(Source::new(records))
        }
        Err(error) => {
            log_without_daemon(error, daemon.is_named);
            own_programs(args)
        }
    }
}

fn roots(args: &Args) -> StateRoots {
    StateRoots::system(terminal::runtime_dir(), args.runtime_root.clone())
}

fn own_programs(args: &Args) -> Result<Source, Failure> {
    let mounts = target::mounts()?;
    let page = u32::try_from(page_size()).unwrap_or(4096);
    let asked = args.buffer.map(|asked| ring_size(asked, page));
    let stream_bytes = asked.unwrap_or(DEFAULT_STREAM_BYTES);
    let filter = Filter::default();
    let plan = Plan::exits(&filter, Vec::new(), stream_bytes);
    let loaded = load::load(&plan).map_err(without_bpf)?;
    let exits = ExitStream::new(loaded, mounts, Resolver::new(roots(args)), filter)?;
    Ok(Source::new(RecordSource::Here(Box::new(exits))))
}
