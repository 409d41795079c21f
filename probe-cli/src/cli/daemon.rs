//! `probe daemon`: its configuration, and the supervisor that started it.

use std::{env, os::unix::net::UnixListener, path::PathBuf};

use listenfd::ListenFd;
use probe_daemon::service::{
    self, Accounts, Config, ConfigError, Environment, History, Inherited, MaxClients, Mode,
    RunError, Settings, SocketError, Supervisor,
};
use rustix::process::geteuid;

use super::{ExitCode, Failure, failure::without_bpf, stop, terminal::Say};

/// Serve instant waits, exits and containers to the users of this machine
///
/// Loads the programs once, drops all privileges that are not needed any more,
/// follows every container's processes, keeps the last exits and answers on a
/// Unix socket: HTTP/1.1 and JSON, see docs/api.md. What a client may see goes
/// by its user. SIGTERM and SIGINT stop it.
///
/// Needs root or the capabilities `CAP_BPF` and `CAP_PERFMON`. Started by systemd
/// it serves the socket of its socket unit, tells when it is ready and feeds the
/// watchdog.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Read what is not said here from this TOML file: socket, mode, group, user,
    /// history, max-clients, runtime-names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where to listen [default: /run/probe/probe.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// Who may connect: permissions of the socket, in octal [default: 0660]
    #[arg(long, value_name = "OCTAL")]
    mode: Option<Mode>,

    /// Group of the socket [default: probe, if it exists]
    #[arg(long, value_name = "NAME|GID")]
    group: Option<String>,

    /// User to become once the programs are attached [default: probe, if it exists
    /// and root starts the daemon]
    #[arg(long, value_name = "NAME|UID")]
    user: Option<String>,

    /// How many exits to keep [default: 65536]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    history: Option<History>,

    /// How many connections to serve at once [default: three for every five file
    /// descriptors, at most 16384]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_clients: Option<MaxClients>,

    /// Keep `CAP_DAC_READ_SEARCH`, with Landlock, for names of containers whose state
    /// only their runtime's user may read
    #[arg(long)]
    runtime_names: bool,
}

pub(super) fn run(args: Args, say: Say) -> Result<ExitCode, Failure> {
    let config = config(args).map_err(|error| {
        let hint = error.hint();
        Failure::new(ExitCode::Usage, error).hint(hint)
    })?;
    let inherited = Inherited {
        supervisor: Supervisor::new(&environment()),
        socket: passed_socket().map_err(|error| failure(error.into()))?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (stop, _flag) = stop::requested()?;
        let socket = config.socket.display().to_string();
        let announce = |status: &str| {
            // For a person at a terminal. The log of a supervisor has its own line.
            if say.is_interactive() {
                say.line(&format!("{status} on {socket}; Ctrl-C ends"));
            }
        };
        let served = service::run(config, inherited, announce, stop).await;
        served.map(|()| ExitCode::Done).map_err(failure)
    })
}

fn config(args: Args) -> Result<Config, ConfigError> {
    let file = args.config.as_deref().map(Settings::read).transpose()?;
    let flags = Settings {
        socket: args.socket,
        mode: args.mode,
        group: args.group,
        user: args.user,
        history: args.history,
        max_clients: args.max_clients,
        runtime_names: args.runtime_names.then_some(true),
    };
    let settings = flags.or(file.unwrap_or_default());
    settings.resolve(geteuid().as_raw(), &Accounts::system())
}

fn environment() -> Environment {
    #[expect(clippy::disallowed_methods, reason = "the environment is read in cli/")]
    let read = |name: &str| env::var_os(name);
    Environment {
        socket: read("NOTIFY_SOCKET"),
        watchdog_usec: read("WATCHDOG_USEC"),
        watchdog_pid: read("WATCHDOG_PID"),
    }
}

/// The socket that a supervisor passed on, if there is one.
fn passed_socket() -> Result<Option<UnixListener>, SocketError> {
    let mut passed = ListenFd::from_env();
    if passed.len() > 1 {
        return Err(SocketError::Several(passed.len()));
    }
    passed
        .take_unix_listener(0)
        .map_err(|source| SocketError::Passed { source })
}

fn failure(error: RunError) -> Failure {
    match error {
        RunError::Load(error) => without_bpf(error),
        RunError::Clients(error) => {
            let hint = error.hint();
            Failure::new(ExitCode::Usage, error).hint(hint)
        }
        RunError::Socket(error) => {
            let hint = error.hint();
            Failure::new(ExitCode::Failure, error).hint(hint)
        }
        RunError::Confine(error) => {
            let hint = error.hint();
            Failure::new(ExitCode::Failure, error).hint(hint)
        }
        error => error.into(),
    }
}
