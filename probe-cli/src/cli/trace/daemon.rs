//! Asks a daemon for the records of a trace.

use probe_daemon::{api::query, client::Records};
use probe_user::unstable::{clock::initial_tick, proc::pinned::PinnedProcess};

use super::Args;
use crate::{
    cli::{Failure, named::TracedTargets, socket::OPTIONAL_PATIENCE},
    session::log_missing_daemon,
};

/// Opens the stream of a daemon, if one answers and supports these arguments.
pub(super) async fn records(
    args: &Args,
    targets: &TracedTargets,
) -> Result<Option<Records>, Failure> {
    let daemon = args.socket.daemon()?;
    if let Some(what) = unsupported(args, targets) {
        tracing::info!("not using the daemon: it does not support {what}");
        return Ok(None);
    }
    let directory = targets.cgroups.first();
    let directory = directory.map(|it| it.directory.to_string_lossy());
    let processes = &targets.processes;
    let start_ticks = processes.first().and_then(PinnedProcess::start_ticks);
    let query = query::Records {
        cgroup: directory.map(Into::into),
        container: None,
        pid: processes.first().map(|it| it.tgid),
        start_ticks: start_ticks.map(initial_tick),
        failed: args.conditions.failed,
    };
    let asked = async {
        let client = daemon.connect(OPTIONAL_PATIENCE).await?;
        client.events(&query).await
    };
    Ok(match asked.await {
        Ok(records) => {
            tracing::info!("using the daemon at {}", daemon.socket.display());
            Some(records)
        }
        Err(error) => {
            log_missing_daemon(error, daemon.is_named);
            None
        }
    })
}

/// Returns the first of the arguments that need BPF programs of this command.
fn unsupported(args: &Args, targets: &TracedTargets) -> Option<&'static str> {
    let options = [
        ("--threads", args.threads),
        ("--starts", args.starts),
        ("--buffer", args.buffer.is_some()),
        ("several targets", targets.count() > 1),
    ];
    options
        .into_iter()
        .find(|(_, is_used)| *is_used)
        .map(|(what, _)| what)
}
