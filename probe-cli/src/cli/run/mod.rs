//! `probe run`: runs a command so that nothing of it is left afterwards.

mod clean;
mod everything;
mod killing;
mod recorder;
mod report;
mod supervisor;

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use probe_daemon::api::quantity::duration;
use probe_user::{
    model::ExitStatus,
    unstable::run::{
        CreateError, Family, Program, RunCgroup, RunName, Signals, StartError, candidates,
    },
};
use rustix::process::Pid;

use self::{
    everything::Everything,
    recorder::{Killers, Recorder},
    supervisor::{Ended, Supervisor},
};
use super::{ExitCode, Failure, terminal::Messages};

/// Run a command so that nothing of it is left afterwards
///
/// The command starts in a new cgroup. When it has ended, every process that it left
/// is killed, also daemons in sessions of their own, and the cgroup is removed. stdin,
/// stdout, stderr and the terminal are those of probe. Signals that probe receives are
/// handed on to the command, and probe exits with the code of the command.
///
/// The cgroup is a child of the cgroup of probe, so all limits hold for the command
/// too. Without the right to make a cgroup, probe follows the processes by their
/// parents, and says so.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Command to run, and its arguments
    #[arg(
        value_name = "COMMAND",
        required_unless_present = "clean",
        trailing_var_arg = true
    )]
    command: Vec<OsString>,

    /// What happens to processes that outlive the command
    #[arg(long, value_name = "POLICY", value_enum, default_value_t)]
    leftover: LeftoverPolicy,

    /// Kill everything after this time (250ms, 2.5 or 1m30s) [default: no limit]
    ///
    /// A number without a unit is in seconds. The exit code is then 124.
    #[arg(short, long, value_name = "DUR", value_parser = duration)]
    timeout: Option<Duration>,

    /// Before SIGKILL, send SIGTERM and wait for this time
    ///
    /// Holds for --timeout and for leftovers. If probe receives SIGTERM, it hands the
    /// signal on and kills everything after this time.
    #[arg(long, value_name = "DUR", value_parser = duration)]
    grace: Option<Duration>,

    /// Print the report as a JSON object to stderr
    #[arg(long)]
    json: bool,

    /// Write the report as a JSON object to a file, such as /dev/fd/3
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Load BPF first, to report the senders of fatal signals
    ///
    /// Takes about 50 ms before the command starts, and needs the right to load BPF
    /// programs, see probe doctor.
    #[arg(long)]
    records: bool,

    /// Kill and remove what runs have left of which probe was killed by SIGKILL
    #[arg(long, conflicts_with_all = ["command", "leftover", "timeout", "grace", "json", "report", "records"])]
    clean: bool,
}

/// The values of `--leftover`. `--help` shows the comments of the variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum LeftoverPolicy {
    /// kill them
    #[default]
    Kill,
    /// wait until they end by themselves
    Wait,
    /// kill them, and exit with code 123
    Fail,
}

/// The exit code if `--leftover fail` found a process.
const LEFTOVER: ExitCode = ExitCode::Child(123);
/// The exit code after `--timeout`.
const TIMED_OUT: ExitCode = ExitCode::Child(124);
/// The exit code if probe itself failed.
pub(super) const FAILED: ExitCode = ExitCode::Child(125);
/// The exit code if the command cannot be executed.
const NOT_EXECUTABLE: ExitCode = ExitCode::Child(126);
/// The exit code if there is no such command.
const NOT_FOUND: ExitCode = ExitCode::Child(127);

pub(super) fn run(args: Args, messages: Messages, is_verbose: bool) -> Result<ExitCode, Failure> {
    if args.clean {
        return clean::run();
    }
    run_command(args, messages, is_verbose).map_err(|failure| match failure.code {
        ExitCode::Child(_) => failure,
        _ => Failure {
            code: FAILED,
            ..failure
        },
    })
}

fn run_command(mut args: Args, messages: Messages, is_verbose: bool) -> Result<ExitCode, Failure> {
    let program = Program::new(std::mem::take(&mut args.command))?;
    let file = args.report.as_deref().map(create).transpose()?;
    let signals = Signals::block()?;
    let family = Family::begin()?;
    let Started {
        child,
        cgroup,
        recorder,
        begun,
    } = start(&program, &signals, messages, args.records)?;
    let everything = Everything::new(cgroup, family, child)?;
    let mut supervisor = Supervisor::new(&args, messages, signals, everything, begun);
    let ended = supervisor.run()?;
    let everything = supervisor.everything();
    let killers = recorder.map_or_else(Killers::new, Recorder::finish);
    let code = exit_code(&ended, args.leftover);
    let report = report::Report {
        name: program.name(),
        code: code.number(),
        pid: child.as_raw_nonzero().get().cast_unsigned(),
        ended: &ended,
        everything,
        killers,
        policy: args.leftover,
    };
    let is_machine_readable = args.json || file.is_some();
    let usage = report.usage(is_verbose || is_machine_readable);
    let removed = everything.remove();
    if let Some(line) = report.text(&usage, is_verbose) {
        messages.print(&format!("probe: {line}"));
    }
    if is_machine_readable {
        report.write_json(&usage, args.json, file)?;
    }
    removed.map(|()| code)
}

fn create(path: &std::path::Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| {
        let context = format!("cannot write the report to {}", path.display());
        Failure::from(anyhow::Error::new(error).context(context))
    })
}

/// A command that runs.
struct Started {
    child: Pid,
    cgroup: Option<RunCgroup>,
    recorder: Option<Recorder>,
    begun: Instant,
}

/// Starts the command in the first cgroup that works, or without one.
fn start(
    program: &Program,
    signals: &Signals,
    messages: Messages,
    records: bool,
) -> Result<Started, Failure> {
    let reason = match candidates() {
        Ok((mount, parents)) => {
            let name = RunName::own()?;
            let mut first = None;
            for parent in parents {
                let cgroup = match RunCgroup::create(&mount, &parent, name) {
                    Ok(cgroup) => cgroup,
                    Err(error) => {
                        tracing::debug!(%error, "no cgroup below {}", parent.display());
                        first.get_or_insert(anyhow::Error::new(error));
                        continue;
                    }
                };
                let recorder = records.then(|| record(&cgroup, messages)).flatten();
                let begun = Instant::now();
                match program.start(Some(cgroup.pinned()), signals) {
                    Ok(child) => {
                        return Ok(Started {
                            child,
                            cgroup: Some(cgroup),
                            recorder,
                            begun,
                        });
                    }
                    Err(error @ StartError::Enter { .. }) => {
                        cgroup.discard();
                        first.get_or_insert(anyhow::Error::new(error));
                    }
                    Err(error) => {
                        cgroup.discard();
                        return Err(not_started(error));
                    }
                }
            }
            first.unwrap_or_else(|| CreateError::NotMounted.into())
        }
        Err(error) => error.into(),
    };
    messages.print(&format!(
        "probe: no cgroup for the command, so its processes are followed by their parents: {reason:#}"
    ));
    let begun = Instant::now();
    let child = program.start(None, signals).map_err(not_started)?;
    Ok(Started {
        child,
        cgroup: None,
        recorder: None,
        begun,
    })
}

/// Records the exits of the cgroup, if that is possible.
fn record(cgroup: &RunCgroup, messages: Messages) -> Option<Recorder> {
    let recorder = Recorder::start(cgroup.pinned().path());
    recorder
        .map_err(|error| {
            let error = anyhow::Error::new(error);
            messages.print(&format!(
                "probe: the senders of fatal signals are unknown: {error:#}"
            ));
        })
        .ok()
}

fn not_started(error: StartError) -> Failure {
    let (code, hint) = match &error {
        StartError::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => (
            NOT_FOUND,
            "check the name; for a line of shell, run: probe run -- sh -c 'LINE'",
        ),
        StartError::Exec { .. } => (NOT_EXECUTABLE, "is it a program, and may you execute it?"),
        _ => (
            FAILED,
            "is the limit of processes reached (ulimit -u, pids.max)?",
        ),
    };
    Failure::new(code, error).hint(hint)
}

fn exit_code(ended: &Ended, policy: LeftoverPolicy) -> ExitCode {
    if !ended.stuck.is_empty() {
        return FAILED;
    }
    if ended.timed_out {
        return TIMED_OUT;
    }
    if policy == LeftoverPolicy::Fail && !ended.leftovers.is_empty() {
        return LEFTOVER;
    }
    match ended.status {
        Some(ExitStatus::Exited { code }) => ExitCode::Child(code),
        Some(ExitStatus::Signaled { signal, .. }) => {
            let number = signal.0.cast_signed();
            match ended.interrupted {
                // A shell stops a script after Ctrl-C only if it sees the signal.
                Some(own) if own == signal => ExitCode::Signal(number),
                _ => ExitCode::Child(u8::try_from(128 + number).unwrap_or(u8::MAX)),
            }
        }
        None => FAILED,
    }
}
