//! What a process does with a signal that does not end it.

use super::cause::SignalFate;
use crate::{model::Signal, proc::status::Status};

/// What happens to a signal for a process that lives on; `None` if it would end the process.
/// A handler is only told if the signal `was_sent`: most programs have one for SIGTERM.
pub(super) fn fate(status: Status<'_>, signal: Signal, was_sent: bool) -> Option<SignalFate> {
    let bit = 1_u64.checked_shl(signal.0.checked_sub(1)?)?;
    let has = |mask: Option<u64>| mask.is_some_and(|it| it & bit != 0);
    if has(status.ignored_signals()) {
        return Some(SignalFate::Ignored);
    }
    if has(status.blocked_signals()) && has(status.pending_signals()) {
        return Some(SignalFate::Blocked);
    }
    if has(status.caught_signals()) {
        return was_sent.then_some(SignalFate::Handled);
    }
    // The kernel shows a process in each of its pid namespaces, the innermost last.
    let is_init = status.ns_pids().last() == Some(1);
    is_init.then_some(SignalFate::Dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fate_is_told_by_the_masks() {
        let fate = |text: &str| fate(Status::new(text.as_bytes()), Signal(15), false);
        let term = "0000000000004000";
        let none = "0000000000000000";
        let status = |ignored: &str, blocked: &str, caught: &str, pid: u32| {
            format!(
                "NSpid:\t77\t{pid}\nSigPnd:\t{none}\nShdPnd:\t{term}\nSigBlk:\t{blocked}\n\
                 SigIgn:\t{ignored}\nSigCgt:\t{caught}\n"
            )
        };
        let ignored = fate(&status(term, none, none, 5));
        assert_eq!(ignored, Some(SignalFate::Ignored));
        let blocked = fate(&status(none, term, none, 5));
        assert_eq!(blocked, Some(SignalFate::Blocked));
        let dropped = fate(&status(none, none, none, 1));
        assert_eq!(dropped, Some(SignalFate::Dropped));
        assert_eq!(fate(&status(none, none, term, 1)), None);
        assert_eq!(fate(&status(none, none, none, 5)), None);
    }
}
