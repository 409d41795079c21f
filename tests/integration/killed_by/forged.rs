//! Signals that a process sent with the `si_code` of a signal of the kernel.

use probe_tests::{TracedCgroup, Victim, kernel, record};
use serde_json::Value;

use super::{by, send};

/// `by`, for a sender that gave the code of another origin.
fn forged_by(pid: u32, signal: &str) -> Value {
    let mut by = by(pid, "victim", signal, "kill");
    by["forged"] = true.into();
    by
}

fn send_code(code: &str, victim: &Victim, signal: &str) -> u32 {
    send(&["send-code", code, &victim.pid().to_string(), signal])
}

#[test]
#[ignore = "needs root"]
fn a_forged_code_does_not_hide_the_sender() {
    let mut traced = TracedCgroup::new("forged");
    // SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO, SI_DETHREAD.
    for code in ["-2", "-3", "-4", "-5", "-7"] {
        let mut victim = traced.ready(&["ready", "pause"]);
        let sender = send_code(code, &victim, "9");
        let exit = traced.reap(&mut victim);
        let is_ambiguous = ["-3", "-4", "-5"].contains(&code);
        if is_ambiguous && !kernel::finds_registers() {
            assert_eq!(exit["killed_by"], Value::Null, "{code}");
        } else {
            assert_eq!(exit["killed_by"], forged_by(sender, "SIGKILL"), "{code}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_code_that_claims_nothing_is_not_forged() {
    let mut traced = TracedCgroup::new("claimless");
    for code in ["-1", "-77"] {
        let mut victim = traced.ready(&["ready", "pause"]);
        let sender = send_code(code, &victim, "15");
        let exit = traced.reap(&mut victim);
        let expected = by(sender, "victim", "SIGTERM", "kill");
        assert_eq!(exit["killed_by"], expected, "{code}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_that_signals_itself_as_if_it_were_the_kernel_is_the_killer() {
    if !kernel::finds_registers() {
        kernel::inapplicable("this kernel does not say which system call sends a signal");
    }
    let mut traced = TracedCgroup::new("itself");
    // SI_KERNEL, SEGV_MAPERR.
    for (code, number, name) in [("128", "9", "SIGKILL"), ("1", "11", "SIGSEGV")] {
        let death = traced.run_parent(&["parent", "signal-code", code, number]);
        let expected = forged_by(record::pid(&death.exit), name);
        assert_eq!(death.exit["killed_by"], expected, "{code}");
    }
}
