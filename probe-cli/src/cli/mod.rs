//! The command line: one file for each verb, with its arguments and its run function.
//!
//! Only this module reads the environment. [`Failure`] and [`ExitCode`] turn every outcome
//! into an exit code.

mod backend;
mod buffer;
mod completions;
mod conclude;
mod conditions;
mod daemon;
mod doctor;
mod failure;
mod format;
mod invocation;
mod kill;
mod last;
mod man;
mod named;
mod processes;
mod ps;
mod ready_fd;
mod remove;
mod run;
mod socket;
mod stop;
mod target;
mod terminal;
#[cfg(feature = "test-switches")]
mod test_switches;
mod top;
mod trace;
mod until;
mod version;
mod wait;
mod why;

use std::{
    ffi::{OsStr, OsString},
    io,
};

use clap::{CommandFactory, Parser, Subcommand};
use probe_user::unstable::limits;
use tokio::runtime::{Builder, Runtime};

pub use daemon::LogFormat;
pub use failure::{ExitCode, Failure};

/// The sections at the end of `--help`: the exit codes, and one from a file. A section is a
/// heading that ends in a colon, and indented entries. The man pages contain the same sections.
macro_rules! after_help {
    ($section:literal) => {
        concat!(
            include_str!("help/exit-codes.txt"),
            "\n",
            include_str!(concat!("help/", $section, ".txt"))
        )
    };
}

/// Know the moment a container's processes are gone.
///
/// A process that was sent SIGKILL stays in its cgroup until the kernel has
/// torn it down. Until then `rmdir` fails with EBUSY, although `cgroup.procs` may be
/// empty already. probe listens to the kernel, reports when the process is gone, and
/// shows what ended it.
#[derive(Debug, Parser)]
#[command(name = "probe", version)]
#[command(after_long_help = concat!(
    include_str!("help/exit-codes.txt"),
    include_str!("help/exit-codes-others.txt"),
    "\n",
    include_str!("help/root.txt"),
    "\n",
    include_str!("help/environment.txt"),
    "\n",
    include_str!("help/files.txt"),
))]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,

    /// Log more to stderr: -v for each step, -vv for details
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = LAST)]
    verbose: u8,

    /// Print nothing but errors to stderr
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = LAST)]
    quiet: bool,

    /// When to use colours; auto uses them on a terminal
    #[arg(
        long, global = true, value_name = "WHEN", value_enum, default_value_t,
        hide_default_value = true, display_order = LAST
    )]
    color: terminal::Color,

    /// Print times in UTC instead of local times
    #[arg(long, global = true, display_order = LAST)]
    utc: bool,
}

/// In `--help` the options common to all verbs come after the verb's own options.
const LAST: usize = 900;

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(after_long_help = concat!(
        include_str!("help/exit-codes.txt"),
        include_str!("help/exit-codes-status.txt"),
        "\n",
        include_str!("help/wait.txt"),
    ))]
    Wait(wait::Args),
    #[command(after_long_help = after_help!("kill"))]
    Kill(kill::Args),
    #[command(after_long_help = include_str!("help/run.txt"))]
    Run(run::Args),
    #[command(after_long_help = after_help!("trace"))]
    Trace(trace::Args),
    #[command(after_long_help = after_help!("top"))]
    Top(top::Args),
    #[command(after_long_help = after_help!("daemon"))]
    Daemon(daemon::Args),
    #[command(after_long_help = after_help!("ps"))]
    Ps(ps::Args),
    #[command(after_long_help = after_help!("last"))]
    Last(last::Args),
    #[command(after_long_help = after_help!("why"))]
    Why(why::Args),
    #[command(after_long_help = after_help!("doctor"))]
    Doctor(doctor::Args),
    #[command(after_long_help = after_help!("completions"))]
    Completions(completions::Args),
    #[command(after_long_help = after_help!("man"))]
    Man(man::Args),
    #[command(after_long_help = after_help!("version"))]
    Version(version::Args),
}

impl Cli {
    /// Reads the command line. If there is nothing to run, prints the help or the error, and returns
    /// the exit code. That of `probe run` tells a failure of probe from one of the command.
    pub fn read() -> Result<Self, ExitCode> {
        if let Some(code) = completions::answer() {
            return Err(code);
        }
        let mut args: Vec<_> = std::env::args_os().collect();
        let verb = verb(&args).map(OsStr::to_owned);
        if verb.as_deref() == Some(OsStr::new("kill")) {
            args = kill::with_signal_options(args);
        }
        let cli = Self::try_parse_from(args).map_err(|error| {
            let _closed = error.print();
            match error.exit_code() {
                0 => ExitCode::Done,
                _ if verb.is_some_and(|it| it == "run") => run::FAILED,
                _ => ExitCode::Usage,
            }
        })?;
        cli.color.choose();
        Ok(cli)
    }

    /// The tracing filter for `-v` and `-q`. `probe top` draws on the terminal, so it does
    /// not log to a terminal.
    #[must_use]
    pub fn log_level(&self) -> &'static str {
        match (self.quiet, self.verbose) {
            _ if matches!(self.verb, Verb::Top(_)) && terminal::is_stderr_interactive() => "off",
            (true, _) => "error",
            // The log of a daemon says where the daemon listens.
            (false, 0) if matches!(self.verb, Verb::Daemon(_)) => "probe_daemon=info,warn",
            (false, 0) => "warn",
            (false, 1) => "probe_cli=info,probe_daemon=info,probe_user=info,warn",
            (false, _) => "probe_cli=debug,probe_daemon=debug,probe_user=debug,info",
        }
    }

    /// The format of the log.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        match &self.verb {
            Verb::Daemon(args) => args.log_format,
            _ => LogFormat::Text,
        }
    }

    /// Runs the verb.
    pub fn run(self) -> Result<ExitCode, Failure> {
        if self.utc {
            crate::output::human::use_utc();
        }
        let messages = terminal::Messages::new(self.quiet);
        // A command inherits the limits.
        if !matches!(self.verb, Verb::Run(_)) {
            limits::raise_descriptors();
        }
        match self.verb {
            Verb::Wait(args) => wait::run(&args, messages),
            Verb::Kill(args) => kill::run(&args, messages),
            Verb::Run(args) => run::run(args, messages, self.verbose > 0),
            Verb::Trace(args) => trace::run(args, messages),
            Verb::Top(args) => top::run(&args),
            Verb::Daemon(args) => daemon::run(args, messages),
            Verb::Ps(args) => ps::run(&args, messages),
            Verb::Last(args) => last::run(&args),
            Verb::Why(args) => why::run(&args, messages),
            Verb::Doctor(args) => doctor::run(&args),
            Verb::Completions(args) => completions::run(&args),
            Verb::Version(args) => version::run(&args),
            Verb::Man(args) => man::run(&args),
        }
    }
}

/// The first word of the arguments that is neither an option nor the value of one.
fn verb(args: &[OsString]) -> Option<&OsStr> {
    let is_option = |it: &OsStr| it.as_encoded_bytes().starts_with(b"-");
    let words = args.windows(2).filter(|pair| {
        let [before, word] = pair else { return false };
        !is_option(word) && before != "--color"
    });
    words.map(|pair| pair[1].as_os_str()).next()
}

/// Creates the runtime of a verb, which uses the current thread.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Whether the log on stderr may use colours.
#[must_use]
pub fn log_colour() -> bool {
    terminal::stderr_colour()
}

/// The command line, from which completions and man pages are generated.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
