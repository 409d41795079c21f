//! Which daemon is asked, and which user's daemon is believed.

use std::{env, path::PathBuf, time::Duration};

use probe_daemon::{
    api::DEFAULT_SOCKET,
    client::{Client, ClientError, Trust},
};

use super::{ExitCode, Failure};

/// `--socket`.
#[derive(Debug, clap::Args)]
pub(super) struct Socket {
    /// Socket of the probe daemon; by default what `PROBE_SOCKET` says, or
    /// /run/probe/probe.sock
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

/// How long a daemon may take that the verb cannot do without.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

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
    /// Connects to it.
    pub(super) async fn connect(&self, patience: Duration) -> Result<Client, ClientError> {
        Client::connect(&self.socket, &self.trust, patience).await
    }
}

/// For a daemon of another user than root and `probe`.
fn trust() -> Result<Trust, Failure> {
    const NAME: &str = "PROBE_DAEMON_UID";
    let Some(uid) = variable(NAME) else {
        return Ok(Trust::default());
    };
    let uid = uid.to_string_lossy();
    let number = uid.parse().map_err(|_no_number| {
        let message = format!("{NAME} is '{}', which is no uid", uid.escape_debug());
        Failure::message(ExitCode::Usage, message)
    })?;
    Ok(Trust { uid: Some(number) })
}

/// An environment variable; an empty one counts as unset.
fn variable(name: &str) -> Option<std::ffi::OsString> {
    #[expect(clippy::disallowed_methods, reason = "the environment is read in cli/")]
    env::var_os(name).filter(|value| !value.is_empty())
}

/// `--backend daemon`, and no daemon serves.
pub(super) fn without_daemon(error: ClientError) -> Failure {
    let mut failure = failure(ExitCode::NotAvailable, error);
    let hint = failure.hint.take();
    let hint = hint.map_or_else(String::new, |hint| format!("{hint}; "));
    failure.hint(format!(
        "{hint}without --backend the best that works is taken"
    ))
}

/// A daemon does not answer a request, or refuses it.
pub(super) fn unanswered(error: ClientError) -> Failure {
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
