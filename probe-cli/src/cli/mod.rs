//! The command line: one file for each verb, with its arguments and what it runs.
//!
//! The environment is read here and nowhere else. Every outcome becomes an exit code
//! by [`Failure`] and [`ExitCode`].

mod backend;
mod census;
mod completions;
mod conclude;
mod daemon;
mod doctor;
mod end;
mod failure;
mod kill;
mod last;
mod named;
mod ps;
mod remove;
mod socket;
mod stop;
mod target;
mod terminal;
mod top;
mod trace;
mod until;
mod wait;

use clap::{CommandFactory, Parser, Subcommand};

pub use failure::{ExitCode, Failure};

/// Know the moment a container's processes are gone.
///
/// A process that was sent SIGKILL stays in its cgroup until the kernel has
/// torn it down: `cgroup.procs` lists it, `rmdir` says EBUSY, `kill -0`
/// succeeds. probe listens to the kernel and tells when it is over, and what
/// ended each process.
#[derive(Debug, Parser)]
#[command(name = "probe", version, about, long_about, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,

    /// Say more on stderr: -v what is done, -vv how
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = LAST)]
    verbose: u8,

    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = LAST)]
    quiet: bool,
}

/// Where `--help` lists the options of all verbs: after those of the verb itself.
const LAST: usize = 900;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failure
  2  wrong usage
  3  timed out
  4  no such target
  5  not permitted, or the backend asked for is not available";

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(after_help = EXIT_CODES)]
    Wait(wait::Args),
    #[command(after_help = EXIT_CODES)]
    Kill(kill::Args),
    #[command(after_help = EXIT_CODES)]
    Trace(trace::Args),
    #[command(after_help = EXIT_CODES)]
    Top(top::Args),
    #[command(after_help = EXIT_CODES)]
    Daemon(daemon::Args),
    #[command(after_help = EXIT_CODES)]
    Ps(ps::Args),
    #[command(after_help = EXIT_CODES)]
    Last(last::Args),
    #[command(after_help = EXIT_CODES)]
    Doctor(doctor::Args),
    Completions(completions::Args),
}

impl Cli {
    /// The tracing filter for `-v` and `-q`. `probe top` owns the terminal, so it logs
    /// nothing to one.
    #[must_use]
    pub fn log_level(&self) -> &'static str {
        match (self.quiet, self.verbose) {
            _ if matches!(self.verb, Verb::Top(_)) && terminal::is_stderr_interactive() => "off",
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "probe_cli=info,probe_daemon=info,probe_user=info,warn",
            (false, _) => "probe_cli=debug,probe_daemon=debug,probe_user=debug,info",
        }
    }

    /// Runs the verb.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let say = terminal::Say::new(self.quiet);
        match self.verb {
            Verb::Wait(args) => wait::run(&args, say),
            Verb::Kill(args) => kill::run(&args, say),
            Verb::Trace(args) => trace::run(args, say),
            Verb::Top(args) => top::run(&args),
            Verb::Daemon(args) => daemon::run(args, say),
            Verb::Ps(args) => ps::run(&args),
            Verb::Last(args) => last::run(&args),
            Verb::Doctor(args) => doctor::run(&args),
            Verb::Completions(args) => completions::run(&args),
        }
    }
}

/// Whether the log on stderr may use colours.
#[must_use]
pub fn log_colour() -> bool {
    terminal::stderr_colour()
}

/// The command line, for completions and man pages.
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
