//! Asking a daemon for the records of a trace.

use std::time::Duration;

use probe_daemon::{api::query, client::Records};

use super::Args;
use crate::{
    cli::{Failure, target::CgroupTarget},
    session::log_without_daemon,
};

/// How long a daemon that the user did not name may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The stream of a daemon, if one answers and can serve these arguments.
pub(super) async fn records(
    args: &Args,
    targets: &[CgroupTarget],
) -> Result<Option<Records>, Failure> {
    let daemon = args.socket.daemon()?;
    if let Some(why) = out_of_reach(args, targets) {
        tracing::info!("without a daemon: it cannot serve {why}");
        return Ok(None);
    }
    let directory = targets.first().map(|it| it.directory.to_string_lossy());
    let query = query::Records {
        cgroup: directory.map(Into::into),
        container: None,
        pid: args.pid.first().copied(),
        failed: args.failed,
    };
    let asked = async {
        let client = daemon.connect(PATIENCE).await?;
        client.events(&query).await
    };
    Ok(match asked.await {
        Ok(records) => {
            tracing::info!("by the daemon on {}", daemon.socket.display());
            Some(records)
        }
        Err(error) => {
            log_without_daemon(error, daemon.is_named);
            None
        }
    })
}

/// The first of the arguments that only our own BPF programs can serve.
fn out_of_reach(args: &Args, targets: &[CgroupTarget]) -> Option<&'static str> {
    let options = [
        ("--threads", args.threads),
        ("--starts", args.starts),
        ("--buffer", args.buffer.is_some()),
        ("several targets", targets.len() + args.pid.len() > 1),
    ];
    options
        .into_iter()
        .find(|(_, is_asked)| *is_asked)
        .map(|(what, _)| what)
}
