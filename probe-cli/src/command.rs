//! The whole command: parses the arguments, sets up the log, runs the verb and returns its exit
//! code.

use std::{
    io::{self, Write},
    process,
};

use tracing_subscriber::EnvFilter;

use crate::{
    cli::{self, Cli, ExitCode, Failure, LogFormat},
    output::LogOutput,
};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> process::ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(code) => return process::ExitCode::from(code.number()),
    };
    log_to_stderr(&cli);
    let code = cli.run().unwrap_or_else(|failure| {
        report(&failure);
        failure.code
    });
    if let ExitCode::Signal(signal) = code {
        die_by(signal);
    }
    process::ExitCode::from(code.number())
}

fn log_to_stderr(cli: &Cli) {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(LogOutput::default)
        .with_ansi(cli::log_colour())
        .with_env_filter(EnvFilter::new(cli.log_level()))
        .with_target(false)
        // tracing would report a failed write (full disk) to stderr again, and panic.
        .log_internal_errors(false);
    // This fails only if a subscriber was set before, and none was.
    let _first = match cli.log_format() {
        LogFormat::Text => {
            tracing::subscriber::set_global_default(subscriber.without_time().finish())
        }
        LogFormat::Json => tracing::subscriber::set_global_default(subscriber.json().finish()),
    };
    let _first = tracing_log::LogTracer::init();
}

fn report(failure: &Failure) {
    let mut stderr = io::stderr().lock();
    let _closed = writeln!(stderr, "probe: {:#}", failure.error);
    if let Some(hint) = &failure.hint {
        let _closed = writeln!(stderr, "hint: {hint}");
    }
}

/// Ends the process by the signal itself, because a shell must see a signal and not an exit
/// code.
fn die_by(signal: i32) {
    if let Err(error) = signal_hook::low_level::emulate_default_handler(signal) {
        let _closed = writeln!(
            io::stderr(),
            "probe: cannot die by signal {signal}: {error}"
        );
    }
}
