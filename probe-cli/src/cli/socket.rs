//! `--socket`: selects the daemon to ask, and which users' daemons are trusted.

use std::{env, path::PathBuf, time::Duration};

use probe_daemon::{
    api::DEFAULT_SOCKET,
    client::{Client, ClientError, Trust},
};

use super::{ExitCode, Failure};

/// `--socket`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Socket {
    /// Socket of the probe daemon [default: `$PROBE_SOCKET` or /run/probe/probe.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// A daemon that may be running.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    pub(super) socket: PathBuf,
    /// Whether the user named the socket.
    pub(super) is_named: bool,
    pub(super) trust: Trust,
}

/// How long a daemon that the verb needs may take to answer.
pub(super) const REQUIRED_PATIENCE: Duration = Duration::from_secs(5);
/// How long a daemon that is only the best choice may take to answer.
pub(super) const OPTIONAL_PATIENCE: Duration = Duration::from_secs(1);

impl Socket {
    pub(super) fn daemon(&self) -> Result<Daemon, Failure> {
        let named = self
            .socket
            .clone()
            .or_else(|| variable("PROBE_SOCKET").map(Into::into));
        Ok(Daemon {
            is_named: named.is_some(),
            socket: named.unwrap_or_else(|| DEFAULT_SOCKET.into()),
            trust: trust()?,
        })
    }
}

impl Daemon {
    /// Connects to the daemon.
    pub(super) async fn connect(&self, patience: Duration) -> Result<Client, ClientError> {
        Client::connect(&self.socket, &self.trust, patience).await
    }
}

/// Reads which user's daemon is trusted in addition to those of root and `probe`.
fn trust() -> Result<Trust, Failure> {
    const NAME: &str = "PROBE_DAEMON_UID";
    let Some(uid) = variable(NAME) else {
        return Ok(Trust::default());
    };
    let uid = uid.to_string_lossy();
    let number = uid.parse().map_err(|_no_number| {
        let message = format!("invalid uid '{}' in {NAME}", uid.escape_debug());
        Failure::message(ExitCode::Usage, message).hint("use a number, such as 1000")
    })?;
    Ok(Trust { uid: Some(number) })
}

/// Reads an environment variable. An empty one counts as unset.
fn variable(name: &str) -> Option<std::ffi::OsString> {
    #[expect(clippy::disallowed_methods, reason = "the environment is read in cli/")]
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The failure of `--backend daemon` if no daemon serves.
pub(super) fn daemon_unavailable(error: ClientError) -> Failure {
    let mut failure = failure(ExitCode::NotAvailable, error);
    let hint = failure.hint.take();
    let hint = hint.map_or_else(String::new, |hint| format!("{hint}; "));
    failure.hint(format!(
        "{hint}omit --backend to use the best backend that works"
    ))
}

/// The failure of a request that the daemon does not answer, or refuses.
pub(super) fn request_failed(error: ClientError) -> Failure {
    let code = match &error {
        ClientError::Refused(problem) if problem.status == 404 => ExitCode::NoSuchTarget,
        ClientError::Refused(problem) if problem.status == 400 => ExitCode::Usage,
        _ => ExitCode::NotAvailable,
    };
    failure(code, error)
}

fn failure(code: ExitCode, error: ClientError) -> Failure {
    let hint = error.hint().map(str::to_owned);
    let failure = Failure::new(code, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
