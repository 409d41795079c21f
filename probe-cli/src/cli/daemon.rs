//! `probe daemon`: runs the daemon, with its configuration and its supervisor.

use std::{env, os::unix::net::UnixListener, path::PathBuf};

use listenfd::ListenFd;
use probe_daemon::service::{
    self, Accounts, Config, ConfigError, Environment, History, Inherited, MaxClients, Mode,
    RunError, Settings, SocketError, Supervisor,
};
use rustix::process::geteuid;

use super::{ExitCode, Failure, failure::bpf_unavailable, stop, terminal::Messages};

/// Serve waits, exits and containers to the users of this machine
///
/// The daemon loads the BPF programs once and drops all privileges that it no longer
/// needs. It follows the processes of every container, keeps the last exits, and
/// serves HTTP/1.1 with JSON on a Unix socket (see docs/api.md). A client sees only
/// what its user may see. SIGTERM and SIGINT stop the daemon.
///
/// The daemon needs root or the capabilities `CAP_BPF` and `CAP_PERFMON`. Under
/// systemd it serves the socket of its socket unit, notifies systemd when it is
/// ready, and sends keep-alives to the watchdog.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// TOML file with defaults for the options below
    ///
    /// The keys are socket, mode, group, user, history, max-clients and runtime-names.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Socket to listen on [default: /run/probe/probe.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// Permissions of the socket, in octal [default: 0660]
    #[arg(long, value_name = "OCTAL")]
    mode: Option<Mode>,

    /// Group of the socket [default: probe, if it exists]
    #[arg(long, value_name = "NAME|GID")]
    group: Option<String>,

    /// User to switch to once the BPF programs are attached [default: probe]
    ///
    /// The default applies if the user probe exists and root starts the daemon.
    #[arg(long, value_name = "NAME|UID")]
    user: Option<String>,

    /// Number of exits to keep [default: 65536]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    history: Option<History>,

    /// Number of connections to serve at once [default: depends on the file limit]
    ///
    /// The default is three fifths of the limit on open file descriptors, but at most
    /// 16384.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_clients: Option<MaxClients>,

    /// Keep `CAP_DAC_READ_SEARCH` to read the names of more containers
    ///
    /// Some runtimes let only their own user read the state of a container. Landlock
    /// limits the capability to the state directories of the runtimes.
    #[arg(long)]
    runtime_names: bool,

    /// Format of the log on stderr
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) log_format: LogFormat,
}

/// The format of the log. `--help` shows the comments of the variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// one line of text for each message
    #[default]
    Text,
    /// one JSON object for each message, with its time
    Json,
}

pub(super) fn run(args: Args, messages: Messages) -> Result<ExitCode, Failure> {
    let config = config(args).map_err(|error| {
        let hint = error.hint();
        Failure::new(ExitCode::Usage, error).hint(hint)
    })?;
    let inherited = Inherited {
        supervisor: Supervisor::new(&environment()),
        socket: passed_socket().map_err(|error| failure(error.into()))?,
    };
    super::runtime()?.block_on(async {
        let (stop, _flag) = stop::requested()?;
        let announce = |status: &str| {
            // For a person at a terminal. The log says where the daemon listens.
            if messages.is_interactive() {
                messages.print(&format!("{status}; press Ctrl-C to stop"));
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

/// Returns the socket that a supervisor passed, if there is one.
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
        RunError::Load(error) => bpf_unavailable(error),
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
