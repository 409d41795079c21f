//! `--until` and `--backend`: words of the command line and what they mean here.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use probe_user::model::{Backend, Until};
use rustix::{
    io::Errno,
    process::{PidfdFlags, getpid, pidfd_open},
};

use super::{ExitCode, Failure};
use crate::session::Broken;

const UNTIL: [Until; 5] = [
    Until::Exited,
    Until::Reaped,
    Until::Empty,
    Until::Stopped,
    Until::Removed,
];

/// Parses `--until`.
pub(super) fn until() -> impl TypedValueParser<Value = Until> {
    PossibleValuesParser::new(UNTIL.map(Until::as_str)).map(|word| {
        let named = UNTIL.into_iter().find(|it| it.as_str() == word);
        named.unwrap_or(Until::Empty)
    })
}

/// What `--backend` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The best that works.
    Auto,
    /// The daemon's stream, or nothing.
    Daemon,
    /// Our own BPF programs, or nothing.
    Bpf,
    /// What needs no privilege.
    Pidfd,
    /// The timer alone.
    Poll,
}

const BACKENDS: [(&str, Asked); 5] = [
    ("auto", Asked::Auto),
    ("daemon", Asked::Daemon),
    ("bpf", Asked::Bpf),
    ("pidfd", Asked::Pidfd),
    ("poll", Asked::Poll),
];

/// Parses `--backend`.
pub(super) fn backend() -> impl TypedValueParser<Value = Asked> {
    PossibleValuesParser::new(BACKENDS.map(|(word, _)| word)).map(|word| {
        let named = BACKENDS.into_iter().find(|(it, _)| *it == word);
        named.map_or(Asked::Auto, |(_, asked)| asked)
    })
}

/// Parses `--break-bpf`.
pub(super) fn broken() -> impl TypedValueParser<Value = Broken> {
    PossibleValuesParser::new(["reader", "files"]).map(|word| match word.as_str() {
        "reader" => Broken::Reader,
        _ => Broken::Files,
    })
}

/// The best backend that may be used, or why the one asked for cannot be had.
/// Whether BPF loads is found out by loading it.
pub(super) fn tier(asked: Asked) -> Result<Backend, Failure> {
    match asked {
        Asked::Poll => Ok(Backend::Poll),
        Asked::Bpf => Ok(Backend::Bpf),
        // What we watch ourselves beside it.
        Asked::Auto | Asked::Daemon => Ok(match pidfd() {
            Ok(()) => Backend::Bpf,
            Err(errno) => {
                tracing::info!(%errno, "without pidfds");
                Backend::Poll
            }
        }),
        Asked::Pidfd => pidfd().map(|()| Backend::Pidfd).map_err(|errno| {
            let message = format!("backend pidfd: pidfd_open: {errno}");
            let failure = Failure::message(ExitCode::NotAvailable, message);
            failure.hint("needs Linux 5.3, and no seccomp filter against it; --backend poll works everywhere")
        }),
    }
}

fn pidfd() -> Result<(), Errno> {
    pidfd_open(getpid(), PidfdFlags::empty()).map(drop)
}
