//! The `probe` command: parses the arguments, sets up the log, runs the verb and returns
//! its exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use probe_cli::cli::{self, Cli, Failure};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code.number()),
    };
    log_to_stderr(cli.log_level(), cli::log_colour());
    let code = cli.run().unwrap_or_else(|failure| {
        report(&failure);
        failure.code
    });
    if let cli::ExitCode::Signal(signal) = code {
        die_by(signal);
    }
    ExitCode::from(code.number())
}

fn log_to_stderr(level: &str, colour: bool) {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(colour)
        .with_env_filter(EnvFilter::new(level))
        .without_time()
        .with_target(false)
        // tracing would report a failed write (full disk) to stderr again, and panic.
        .log_internal_errors(false)
        .finish();
    // Both fail only if a subscriber was set before, and none was.
    let _first = tracing::subscriber::set_global_default(subscriber);
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
