//! The origin of a fatal signal, from the facts in a record: `killed_by`.
//!
//! `current` at `signal_generate` is the sender only of a signal that a process sends;
//! a timer interrupts an unrelated process. So a sender is named only if `si_code` says
//! that there is one.

use probe_ebpf::event::{
    Killer, SENDER_EXITING, SENDER_IS_TRACER, SENDER_NS_INIT, SIGNAL_NO_INFO, SIGNAL_TO_GROUP,
};

use crate::model::{Cause, Comm, ExitStatus, KilledBy, Sender, Signal, Via};

/// `si_code` values of `include/uapi/asm-generic/siginfo.h`.
const SI_USER: i32 = 0;
const SI_KERNEL: i32 = 0x80;
const SI_QUEUE: i32 = -1;
const SI_TIMER: i32 = -2;
const SI_TKILL: i32 = -6;

/// Joins a status with the recorded signal of the same number.
pub(super) fn killed_by(
    status: Option<ExitStatus>,
    oom: bool,
    killer: Option<&Killer>,
    tgid: u32,
) -> Option<KilledBy> {
    let Some(ExitStatus::Signaled { signal, .. }) = status else {
        return None;
    };
    if oom && signal == Signal::KILL {
        return Some(KilledBy::OOM);
    }
    let killer = killer.filter(|killer| killer.signal == signal.0)?;
    let (via, cause) = classify(killer, tgid);
    let has_sender = !matches!(via, Via::Kernel | Via::Timer | Via::Oom);
    Some(KilledBy {
        signal,
        via,
        sender: has_sender.then(|| sender(killer)),
        cause,
    })
}

fn sender(killer: &Killer) -> Sender {
    Sender {
        tgid: killer.tgid,
        comm: Comm::new(killer.comm).to_str().into_owned(),
        uid: killer.uid,
    }
}

fn classify(killer: &Killer, tgid: u32) -> (Via, Option<Cause>) {
    let has = |flag: u32| killer.flags & flag != 0;
    let signal = Signal(killer.signal);
    match killer.code {
        SI_USER if has(SIGNAL_NO_INFO) => classify_without_siginfo(killer, tgid),
        SI_USER | SI_QUEUE if has(SIGNAL_TO_GROUP) => (Via::Kill, None),
        SI_USER | SI_QUEUE | SI_TKILL => (Via::Tkill, None),
        SI_TIMER => (Via::Timer, None),
        SI_KERNEL if signal == Signal::KILL && has(SENDER_EXITING) && has(SENDER_NS_INIT) => {
            (Via::Kernel, Some(Cause::PidNamespaceTeardown))
        }
        // SIGSEGV of a bad stack or a general protection fault is SI_KERNEL, but the
        // process caused it.
        SI_KERNEL if signal.is_fault() && killer.tgid == tgid => (Via::Fault, None),
        code if code > 0 && code != SI_KERNEL && signal.is_fault() => (Via::Fault, None),
        _ => (Via::Kernel, None),
    }
}

/// Classifies a signal with `SEND_SIG_NOINFO`: its siginfo names no sender. Since Linux
/// 7.3 `kill(2)` sends such signals too; they go to the group, as the signal at the death
/// of a parent does.
fn classify_without_siginfo(killer: &Killer, tgid: u32) -> (Via, Option<Cause>) {
    let has = |flag: u32| killer.flags & flag != 0;
    if has(SIGNAL_TO_GROUP) {
        return if has(SENDER_EXITING) {
            (Via::Kernel, Some(Cause::ParentDeath))
        } else {
            (Via::Kill, None)
        };
    }
    if has(SENDER_IS_TRACER) {
        return (Via::Ptrace, None);
    }
    if killer.signal == Signal::KILL.0 && killer.tgid != tgid {
        (Via::CgroupKill, None)
    } else {
        (Via::Kernel, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: u32 = 42;

    #[test]
    fn each_combination_of_code_and_flags_has_its_origin() {
        const GROUP: u32 = SIGNAL_TO_GROUP;
        const NO_INFO: u32 = SIGNAL_NO_INFO;
        const TRACER: u32 = NO_INFO | SENDER_IS_TRACER;
        const PARENT: u32 = NO_INFO | GROUP | SENDER_EXITING;
        const NAMESPACE: u32 = GROUP | SENDER_EXITING | SENDER_NS_INIT;
        let parent = Some(Cause::ParentDeath);
        let namespace = Some(Cause::PidNamespaceTeardown);
        for ((signal, code, flags, tgid), expected) in [
            ((9, 0, GROUP, 5), (Via::Kill, Some(5), None)),
            ((15, -1, GROUP, 5), (Via::Kill, Some(5), None)),
            ((15, -6, 0, 5), (Via::Tkill, Some(5), None)),
            ((6, -6, 0, DEAD), (Via::Tkill, Some(DEAD), None)),
            ((9, 0, NO_INFO, 5), (Via::CgroupKill, Some(5), None)),
            ((9, 0, TRACER, 5), (Via::Ptrace, Some(5), None)),
            ((11, 1, 0, DEAD), (Via::Fault, Some(DEAD), None)),
            ((14, 128, GROUP, 5), (Via::Kernel, None, None)),
            ((10, -2, GROUP, 5), (Via::Timer, None, None)),
            ((13, 0, NO_INFO, DEAD), (Via::Kernel, None, None)),
            ((15, 0, NO_INFO | GROUP, 5), (Via::Kill, Some(5), None)),
            ((15, 0, PARENT, 5), (Via::Kernel, None, parent)),
            ((9, 128, NAMESPACE, 5), (Via::Kernel, None, namespace)),
        ] {
            let killer = Killer {
                tgid,
                uid: 7,
                signal,
                code,
                flags,
                reserved: 0,
                comm: *b"sender\0\0\0\0\0\0\0\0\0\0",
            };
            let status = ExitStatus::from_wait_status(signal);
            let killed = killed_by(Some(status), false, Some(&killer), DEAD).expect("a killer");
            let sender = killed.sender.map(|sender| sender.tgid);
            assert_eq!((killed.via, sender, killed.cause), expected, "{killer:?}");
        }
    }

    #[test]
    fn an_out_of_memory_kill_has_no_sender() {
        let killed = killed_by(Some(ExitStatus::from_wait_status(9)), true, None, DEAD);
        let killed = killed.expect("a killer");
        assert_eq!((killed.via, killed.sender), (Via::Oom, None));
    }

    #[test]
    fn a_normal_exit_has_no_killer() {
        let status = Some(ExitStatus::from_wait_status(0x0900));
        assert_eq!(killed_by(status, true, None, DEAD), None);
    }
}
