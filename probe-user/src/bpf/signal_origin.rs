//! Tells from the facts in a record how a signal came about.
//!
//! `current` at `signal_generate` is the sender only of a signal that a process sends;
//! a timer interrupts an unrelated process. A process may give any negative `si_code`, and
//! to itself every code, so the code alone does not name the sender.

use probe_ebpf::event::{
    Killer, SENDER_EXITING, SENDER_IS_CREATOR, SENDER_IS_TRACER, SENDER_NS_INIT, SIGINFO_IS_QUEUED,
    SIGNAL_NO_INFO, SIGNAL_TO_GROUP,
};

use super::syscall::Call;
use crate::model::{Cause, Signal, Via};

/// `si_code` values of `include/uapi/asm-generic/siginfo.h`.
pub(super) const SI_USER: i32 = 0;
pub(super) const SI_KERNEL: i32 = 0x80;
const SI_QUEUE: i32 = -1;
const SI_TIMER: i32 = -2;
const SI_MESGQ: i32 = -3;
const SI_SIGIO: i32 = -5;
const SI_TKILL: i32 = -6;
const SI_DETHREAD: i32 = -7;
/// The code of a SIGSYS by a seccomp filter.
const SYS_SECCOMP: i32 = 1;

/// Numbers of signals, the same on x86-64 and arm64.
mod number {
    pub(super) const HUP: u32 = 1;
    pub(super) const INT: u32 = 2;
    pub(super) const QUIT: u32 = 3;
    pub(super) const PIPE: u32 = 13;
    pub(super) const ALRM: u32 = 14;
    pub(super) const XCPU: u32 = 24;
    pub(super) const XFSZ: u32 = 25;
    pub(super) const VTALRM: u32 = 26;
    pub(super) const PROF: u32 = 27;
    pub(super) const SYS: u32 = 31;
}

/// The way in which a signal came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) via: Via,
    pub(super) cause: Option<Cause>,
    /// Whether the task that was current is the sender.
    pub(super) has_sender: bool,
    pub(super) forged: bool,
}

impl Origin {
    pub(super) const KERNEL: Self = Self::without_sender(Via::Kernel);

    pub(super) const fn without_sender(via: Via) -> Self {
        Self {
            via,
            cause: None,
            has_sender: false,
            forged: false,
        }
    }

    pub(super) const fn sent(via: Via) -> Self {
        Self {
            has_sender: true,
            ..Self::without_sender(via)
        }
    }

    pub(super) const fn caused(cause: Cause) -> Self {
        Self {
            cause: Some(cause),
            ..Self::KERNEL
        }
    }
}

impl Origin {
    /// Adds what the number of the signal tells: the kernel sends some signals for one reason
    /// only. Signals that a program chooses (at the exit of a child, or for a file that is
    /// ready) have other codes, and no cause.
    pub(super) fn with_cause_of(self, killer: &Killer) -> Self {
        let is_kernels_own = killer.code == SI_KERNEL || killer.flags & SIGNAL_NO_INFO != 0;
        if self.via == Via::Kernel && !is_kernels_own {
            return self;
        }
        let caused = |cause| Self {
            cause: Some(cause),
            ..self
        };
        match (self.via, self.cause, killer.signal) {
            (Via::Kernel, None, number::ALRM | number::VTALRM | number::PROF) => {
                Self::without_sender(Via::Timer)
            }
            (Via::Kernel, None, number::XCPU) => caused(Cause::CpuLimit),
            (Via::Kernel, None, number::XFSZ) => caused(Cause::FileSizeLimit),
            (Via::Kernel, None, number::PIPE) => caused(Cause::BrokenPipe),
            (Via::Kernel, None, number::INT | number::QUIT) => caused(Cause::Terminal),
            (Via::Kernel, None, number::HUP) => caused(Cause::HangUp),
            (Via::Fault, None, number::SYS) if killer.code == SYS_SECCOMP => caused(Cause::Seccomp),
            _ => self,
        }
    }
}

/// `None` if the facts allow several origins.
pub(super) fn origin(killer: &Killer, tgid: u32) -> Option<Origin> {
    let has = |flag: u32| killer.flags & flag != 0;
    if has(SIGNAL_NO_INFO) {
        return Some(origin_without_siginfo(killer, tgid));
    }
    let is_to_group = has(SIGNAL_TO_GROUP);
    let sent = Origin::sent(if is_to_group { Via::Kill } else { Via::Tkill });
    let forged = Origin {
        forged: true,
        ..sent
    };
    let gives_siginfo = Call::Sigqueue.is(killer.syscall);
    let is_from_itself = killer.tgid == tgid;
    Some(match killer.code {
        SI_USER | SI_QUEUE | SI_TKILL => sent,
        SI_TIMER if has(SIGINFO_IS_QUEUED) => Origin::without_sender(Via::Timer),
        SI_TIMER | SI_DETHREAD => forged,
        SI_SIGIO..=SI_MESGQ => match gives_siginfo {
            Some(true) => forged,
            Some(false) => Origin::KERNEL,
            None => return None,
        },
        // The kernel accepts any other negative code from every process.
        ..0 => sent,
        // The kernel accepts its own codes only from a process that signals itself. Its
        // faults go to the task, and not to the group.
        _ if is_from_itself && gives_siginfo == Some(true) => forged,
        SI_KERNEL if has(SENDER_EXITING) && has(SENDER_NS_INIT) && is_kill(killer) => {
            Origin::caused(Cause::PidNamespaceTeardown)
        }
        // SIGSEGV of a bad stack or a general protection fault is SI_KERNEL, but the
        // process caused it.
        _ if is_from_itself && !is_to_group && Signal(killer.signal).is_fault() => {
            Origin::sent(Via::Fault)
        }
        _ => Origin::KERNEL,
    })
}

/// The origin of a signal with `SEND_SIG_NOINFO`: its siginfo names no sender.
fn origin_without_siginfo(killer: &Killer, tgid: u32) -> Origin {
    let has = |flag: u32| killer.flags & flag != 0;
    if has(SIGNAL_TO_GROUP) {
        // A child that is cloned while its cgroup is killed: the task that writes to
        // `cgroup.kill` is another one.
        return if has(SENDER_IS_CREATOR) && is_kill(killer) {
            Origin::caused(Cause::CgroupKill)
        } else if has(SENDER_EXITING) {
            Origin::caused(Cause::ParentDeath)
        } else if Call::Kill.is(killer.syscall) == Some(true) {
            // Since Linux 7.3 `kill(2)` gives no siginfo. Some signals of a terminal are
            // sent in the same way.
            Origin::sent(Via::Kill)
        } else {
            Origin::KERNEL
        };
    }
    let traces = has(SENDER_IS_TRACER) && Call::Ptrace.is(killer.syscall) != Some(false);
    if traces {
        return Origin::sent(Via::Ptrace);
    }
    let is_own_write = Call::Write.is(killer.syscall) == Some(true);
    if is_kill(killer) && (killer.tgid != tgid || is_own_write) {
        Origin::sent(Via::CgroupKill)
    } else {
        Origin::KERNEL
    }
}

const fn is_kill(killer: &Killer) -> bool {
    killer.signal == Signal::KILL.0
}

#[cfg(test)]
mod tests {
    use probe_ebpf::event::UNKNOWN;

    use super::*;

    const DEAD: u32 = 42;
    const GROUP: u32 = SIGNAL_TO_GROUP;
    const NO_INFO: u32 = SIGNAL_NO_INFO;
    const READ: i64 = libc::SYS_read;

    const KILLER: Killer = Killer {
        tgid: 0,
        uid: 7,
        signal: 0,
        code: 0,
        flags: 0,
        syscall: UNKNOWN,
        pid: 0,
        reserved: 0,
        comm: *b"sender\0\0\0\0\0\0\0\0\0\0",
    };

    /// The origin of a signal: number, code, flags, thread group and system call of the
    /// task that was current.
    fn origin_of(signal: u32, code: i32, flags: u32, tgid: u32, call: i64) -> Option<Origin> {
        let killer = Killer {
            tgid,
            signal,
            code,
            flags,
            syscall: u32::try_from(call).unwrap_or(UNKNOWN),
            pid: tgid,
            ..KILLER
        };
        origin(&killer, DEAD)
    }

    #[test]
    fn a_signal_of_the_kernel_has_a_cause_only_if_no_program_chose_it() {
        let of = |origin: Origin, signal, code, flags| {
            let killer = Killer {
                signal,
                code,
                flags,
                ..KILLER
            };
            origin.with_cause_of(&killer)
        };
        let timer = Origin::without_sender(Via::Timer);
        assert_eq!(of(Origin::KERNEL, 14, SI_KERNEL, GROUP), timer);
        let limit = Origin::caused(Cause::CpuLimit);
        assert_eq!(of(Origin::KERNEL, 24, SI_KERNEL, GROUP), limit);
        let pipe = Origin::caused(Cause::BrokenPipe);
        assert_eq!(of(Origin::KERNEL, 13, 0, NO_INFO), pipe);
        // The exit signal of a clone, and that of a file.
        for signal in [1, 2, 13, 14, 24] {
            assert_eq!(of(Origin::KERNEL, signal, 1, GROUP), Origin::KERNEL);
        }
        assert_eq!(of(Origin::KERNEL, 9, SI_KERNEL, GROUP), Origin::KERNEL);
        let died = Origin::caused(Cause::ParentDeath);
        assert_eq!(of(died, 1, 0, NO_INFO), died);
        let sent = Origin::sent(Via::Kill);
        assert_eq!(of(sent, 24, SI_KERNEL, GROUP), sent);
        let fault = Origin::sent(Via::Fault);
        assert_eq!(of(fault, 31, 1, 0).cause, Some(Cause::Seccomp));
        // A system call that user dispatch catches.
        assert_eq!(of(fault, 31, 2, 0), fault);
    }

    const FORGED: Option<Origin> = Some(Origin {
        forged: true,
        ..Origin::sent(Via::Kill)
    });

    #[test]
    fn each_combination_of_code_and_flags_has_its_origin() {
        const PARENT: u32 = NO_INFO | GROUP | SENDER_EXITING;
        const NAMESPACE: u32 = GROUP | SENDER_EXITING | SENDER_NS_INIT;
        let kill = libc::SYS_kill;
        for ((signal, code, flags, tgid, call), expected) in [
            ((9, 0, GROUP, 5, kill), Origin::sent(Via::Kill)),
            ((15, -1, GROUP, 5, -1), Origin::sent(Via::Kill)),
            ((15, -6, 0, 5, -1), Origin::sent(Via::Tkill)),
            ((6, -6, 0, DEAD, -1), Origin::sent(Via::Tkill)),
            ((9, 0, NO_INFO, 5, -1), Origin::sent(Via::CgroupKill)),
            (
                (9, 0, NO_INFO, DEAD, libc::SYS_write),
                Origin::sent(Via::CgroupKill),
            ),
            ((11, 1, 0, DEAD, READ), Origin::sent(Via::Fault)),
            ((11, 128, 0, DEAD, -1), Origin::sent(Via::Fault)),
            ((14, 128, GROUP, 5, READ), Origin::KERNEL),
            ((13, 0, NO_INFO, DEAD, libc::SYS_write), Origin::KERNEL),
            // A file that is readable, and the exit signal of a clone.
            ((15, 1, GROUP, 5, READ), Origin::KERNEL),
            ((11, 1, GROUP | SENDER_EXITING, 5, -1), Origin::KERNEL),
            // Since Linux 7.3, and a terminal that is given up.
            ((15, 0, NO_INFO | GROUP, 5, kill), Origin::sent(Via::Kill)),
            ((1, 0, NO_INFO | GROUP, 5, libc::SYS_ioctl), Origin::KERNEL),
            ((15, 0, PARENT, 5, -1), Origin::caused(Cause::ParentDeath)),
            (
                (9, 128, NAMESPACE, 5, -1),
                Origin::caused(Cause::PidNamespaceTeardown),
            ),
        ] {
            let found = origin_of(signal, code, flags, tgid, call);
            assert_eq!(
                found,
                Some(expected),
                "{signal} {code} {flags:x} {tgid} {call}"
            );
        }
    }

    #[test]
    fn a_code_of_the_kernel_that_a_process_gives_is_forged() {
        let queue = libc::SYS_rt_sigqueueinfo;
        let timer = Origin::without_sender(Via::Timer);
        assert_eq!(origin_of(9, SI_TIMER, GROUP, 5, queue), FORGED);
        assert_eq!(origin_of(9, SI_TIMER, GROUP, 5, -1), FORGED);
        let queued = GROUP | SIGINFO_IS_QUEUED;
        assert_eq!(origin_of(9, SI_TIMER, queued, 5, queue), Some(timer));
        for code in [SI_MESGQ, -4, SI_SIGIO] {
            assert_eq!(origin_of(9, code, GROUP, 5, queue), FORGED);
            assert_eq!(origin_of(9, code, GROUP, 5, READ), Some(Origin::KERNEL));
            assert_eq!(origin_of(9, code, GROUP, 5, -1), None, "unknown");
        }
        assert_eq!(origin_of(9, SI_KERNEL, GROUP, DEAD, queue), FORGED);
        assert_eq!(origin_of(11, 1, GROUP, DEAD, queue), FORGED);
        let sent = Some(Origin::sent(Via::Kill));
        assert_eq!(origin_of(9, -77, GROUP, 5, queue), sent);
    }

    #[test]
    fn a_tracer_kills_by_ptrace_or_by_the_cgroup() {
        let traced = NO_INFO | SENDER_IS_TRACER;
        let sent = |via| Some(Origin::sent(via));
        assert_eq!(
            origin_of(9, 0, traced, 5, libc::SYS_ptrace),
            sent(Via::Ptrace)
        );
        assert_eq!(origin_of(9, 0, traced, 5, -1), sent(Via::Ptrace));
        assert_eq!(
            origin_of(9, 0, traced, 5, libc::SYS_write),
            sent(Via::CgroupKill)
        );
    }

    #[test]
    fn a_child_that_is_killed_at_birth_has_no_sender() {
        let born = NO_INFO | GROUP | SENDER_IS_CREATOR;
        let expected = Origin::caused(Cause::CgroupKill);
        assert_eq!(origin_of(9, 0, born, 5, libc::SYS_clone), Some(expected));
    }
}
