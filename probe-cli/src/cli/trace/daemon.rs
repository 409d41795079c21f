//! Asks a daemon for the records of a trace.

use probe_daemon::client::Records;

use super::Args;
use crate::{
    cli::{Failure, named::TracedTargets, socket::OPTIONAL_PATIENCE},
    session::log_missing_daemon,
};

/// Opens the stream of a daemon, if one answers and supports these arguments. Returns also
/// whether the targets must be tested here.
pub(super) async fn records(
    args: &Args,
    targets: &TracedTargets,
) -> Result<Option<(Records, bool)>, Failure> {
    let daemon = args.socket.daemon()?;
    let unsupported = |what: &str| {
        tracing::info!("not using the daemon: it does not support {what}");
        Ok(None)
    };
    if let Some(option) = unsupported_option(args) {
        return unsupported(option);
    }
    let Some((query, tests_targets)) = targets.query(&args.conditions)? else {
        return unsupported("several targets of a v1 hierarchy");
    };
    let asked = async {
        let client = daemon.connect(OPTIONAL_PATIENCE).await?;
        client.events(&query).await
    };
    Ok(match asked.await {
        Ok(records) => {
            tracing::info!("using the daemon at {}", daemon.socket.display());
            Some((records, tests_targets))
        }
        Err(error) => {
            log_missing_daemon(error, daemon.is_named);
            None
        }
    })
}

/// Returns the first of the options that need BPF programs of this command.
fn unsupported_option(args: &Args) -> Option<&'static str> {
    let options = [
        ("--threads", args.threads),
        ("--starts", args.starts),
        ("--buffer", args.buffer.is_some()),
    ];
    let mut used = options.into_iter().filter(|(_, is_used)| *is_used);
    used.next().map(|(option, _)| option)
}
