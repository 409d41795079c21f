//! Asks a daemon for the records of a trace.

use probe_daemon::{api::query, client::Records};
use probe_user::unstable::{clock::initial_tick, proc::pinned::PinnedProcess};

use super::Args;
use crate::{
    cli::{Failure, socket::OPTIONAL_PATIENCE, target::CgroupTarget},
    session::log_missing_daemon,
};

/// Opens the stream of a daemon, if one answers and supports these arguments.
pub(super) async fn records(
    args: &Args,
    targets: &[CgroupTarget],
    processes: &[PinnedProcess],
) -> Result<Option<Records>, Failure> {
    let daemon = args.socket.daemon()?;
    if let Some(what) = unsupported(args, targets) {
        tracing::info!("not using the daemon: it does not support {what}");
        return Ok(None);
    }
    let directory = targets.first().map(|it| it.directory.to_string_lossy());
    let start_ticks = processes.first().and_then(PinnedProcess::start_ticks);
    let query = query::Records {
        cgroup: directory.map(Into::into),
        container: None,
        pid: processes.first().map(|it| it.tgid),
        start_ticks: start_ticks.map(initial_tick),
        failed: args.failed,
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
fn unsupported(args: &Args, targets: &[CgroupTarget]) -> Option<&'static str> {
    let options = [
        ("--threads", args.threads),
        ("--starts", args.starts),
        ("--buffer", args.buffer.is_some()),
        ("several targets", targets.len() + args.pid.len() > 1),
    ];
    options
        .into_iter()
        .find(|(_, is_used)| *is_used)
        .map(|(what, _)| what)
}
