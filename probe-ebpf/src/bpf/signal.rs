//! `signal_generate`: the sender of a fatal signal.
//!
//! The program stores the last fatal signal of each number for each thread group; the
//! exit program takes the one with the number in the status. Only delivered signals that
//! end a process by default count: an ignored signal, or a SIGCHLD, would overwrite the
//! killer.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use aya_log_ebpf::warn;
use probe_ebpf::{
    counter::SIGNAL_UNRECORDED,
    event::{
        self, Killer, SENDER_EXITING, SENDER_IS_TRACER, SENDER_NS_INIT, SIGNAL_KILLED,
        SIGNAL_NO_INFO, SIGNAL_TO_GROUP,
    },
};

use crate::{
    current, globals, map_value,
    maps::{COUNTERS, FATAL_SIGNALS, FatalSignal, SignalKey},
    memory::PROBED,
    task::{self, Task},
};

pub(crate) const SIGKILL: u32 = 9;
/// Signals that do not end a process by default: SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
/// SIGTTIN, SIGTTOU, SIGURG, SIGWINCH. They have the same numbers on x86, arm64 and
/// riscv.
const NOT_FATAL: u64 =
    1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23 | 1 << 28;

/// `TRACE_SIGNAL_DELIVERED` and `TRACE_SIGNAL_LOSE_INFO` of
/// <https://elixir.bootlin.com/linux/v6.12/source/include/trace/events/signal.h#L39>
const DELIVERED: [u64; 2] = [0, 4];

/// `SEND_SIG_NOINFO` and `SEND_SIG_PRIV` are small numbers in place of a pointer:
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/sched/signal.h#L349>
const SEND_SIG_NOINFO: u64 = 0;
const SEND_SIG_PRIV: u64 = 1;
const SI_USER: i32 = 0;
pub(crate) const SI_KERNEL: i32 = 0x80;

/// Arguments: `sig`, `info`, `task`, `group`, `result`.
#[raw_tracepoint(tracepoint = "signal_generate")]
pub(crate) fn signal_generate(ctx: RawTracePointContext) -> i32 {
    let signal = ctx.arg::<u64>(0) as u32;
    if signal > 64 || NOT_FATAL >> (signal & 63) & 1 != 0 {
        return 0;
    }
    let result = ctx.arg::<u64>(4) & 0xffff_ffff;
    if !DELIVERED.contains(&result) || !globals::can_read_tasks() {
        return 0;
    }
    store(&ctx, signal);
    0
}

#[inline(always)]
fn store(ctx: &RawTracePointContext, signal: u32) {
    let target = Task::at(ctx.arg(2));
    let key = SignalKey {
        tgid: target.tgid(),
        signal,
    };
    let start_boottime_ns = target.leader().start_boottime_ns();
    // The first SIGKILL is the one that kills, and the kernel reports later ones as
    // delivered too. Older kernels (5.10) report a fatal real-time signal again as well.
    if let Some(first) = map_value::lookup(&FATAL_SIGNALS, &key)
        && first.start_boottime_ns == start_boottime_ns
        && (signal == SIGKILL || first.killer.flags & SIGNAL_KILLED != 0)
    {
        return;
    }
    let mut killer = sender(ctx, target, signal);
    if target.group().is_ending() {
        killer.flags |= SIGNAL_KILLED;
    }
    let entry = FatalSignal {
        start_boottime_ns,
        killer,
    };
    if FATAL_SIGNALS.insert(&key, &entry, 0).is_err()
        && map_value::add_one(&COUNTERS, SIGNAL_UNRECORDED) == 1
    {
        warn!(
            ctx,
            "signal map full: the killers of some processes are unknown"
        );
    }
}

#[inline(always)]
fn sender(ctx: &RawTracePointContext, target: Task<PROBED>, signal: u32) -> Killer {
    let info: u64 = ctx.arg(1);
    let (code, mut flags) = match info {
        SEND_SIG_NOINFO => (SI_USER, SIGNAL_NO_INFO | sender_state(target)),
        SEND_SIG_PRIV => (SI_KERNEL, sender_state(target)),
        _ => (task::si_code(info), 0),
    };
    if ctx.arg::<u64>(3) & 0xffff_ffff != 0 {
        flags |= SIGNAL_TO_GROUP;
    }
    Killer {
        tgid: current::ids().0,
        uid: current::uid(),
        signal,
        code,
        flags,
        reserved: 0,
        comm: current::comm(),
    }
}

/// Flags that distinguish a parent-death signal, the teardown of a pid namespace and a
/// tracer from other senders that give no siginfo.
#[inline(always)]
fn sender_state(target: Task<PROBED>) -> u32 {
    let sender = Task::current();
    let mut state = 0;
    if sender.is_exiting() {
        state |= SENDER_EXITING;
    }
    if target.tracer() == current::ids().0 {
        state |= SENDER_IS_TRACER;
    }
    let (level, pid, _) = sender.leader().innermost_pid();
    if level > 0 && pid == 1 {
        state |= SENDER_NS_INIT;
    }
    state
}

/// The stored signal of a group that died of `signal`. Only a call with `is_last`
/// removes it: where the tracepoint does not say which task is the last, two tasks of a
/// group may both seem to be, and both look for the signal.
#[inline(always)]
pub(crate) fn find(task: &event::Task, signal: u32, is_last: bool) -> Option<Killer> {
    let key = SignalKey {
        tgid: task.tgid,
        signal,
    };
    let found = map_value::lookup(&FATAL_SIGNALS, &key)?;
    let is_same_process = found.start_boottime_ns == task.start_boottime_ns;
    let killer = found.killer;
    if is_last {
        let _absent = FATAL_SIGNALS.remove(&key);
    }
    is_same_process.then_some(killer)
}
