//! `signal_generate` and `signal_deliver`: the sender of the signal that ends a process.
//!
//! The kernel decides in one of two ways that a signal ends a process:
//!
//! - While it sends the signal. Then `signal_generate` finds the group ending, with the
//!   number of the signal as its status. The first such signal is the killer.
//! - When a task takes the signal from a queue: it was blocked, the task is traced, or it
//!   dumps core. `signal_generate` stores such a signal as pending, and `signal_deliver`
//!   finds it again, in the queue of the task first and then in that of the group, as the
//!   kernel does. It compares the siginfo, because a pending signal may be discarded or
//!   taken by a system call without a trace.
//!
//! The exit program takes the killer with the number in the status.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use aya_log_ebpf::warn;
use probe_ebpf::{
    counter::SIGNAL_UNRECORDED,
    event::{
        self, Killer, SENDER_EXITING, SENDER_IS_CREATOR, SENDER_IS_TRACER, SENDER_NS_INIT,
        SIGINFO_IS_QUEUED, SIGNAL_NO_INFO, SIGNAL_OF_OOM, SIGNAL_TO_GROUP,
    },
};

use crate::{
    current, globals,
    map_value::{self, SharedWord},
    maps::{
        COUNTERS, FATAL_SIGNALS, FatalSignal, MAX_PENDING, PENDING_SIGNALS, PendingSignal,
        SignalKey,
    },
    memory::PROBED,
    oom,
    task::{self, Siginfo, Task, numbers},
};

pub(crate) const SIGKILL: u32 = 9;
/// First signal of which several can be pending in one queue.
const FIRST_REAL_TIME: u32 = 32;
/// Signals that do not end a process by default: SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
/// SIGTTIN, SIGTTOU, SIGURG, SIGWINCH. They have the same numbers on x86, arm64 and
/// riscv.
const NOT_FATAL: u64 =
    1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23 | 1 << 28;

/// `TRACE_SIGNAL_DELIVERED` and `TRACE_SIGNAL_LOSE_INFO` of
/// <https://elixir.bootlin.com/linux/v6.12/source/include/trace/events/signal.h#L39>
const DELIVERED: u64 = 0;
const WITHOUT_INFO: u64 = 4;

/// `SEND_SIG_NOINFO` and `SEND_SIG_PRIV` are small numbers in place of a pointer:
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/sched/signal.h#L349>
const SEND_SIG_NOINFO: u64 = 0;
const SEND_SIG_PRIV: u64 = 1;
const SI_USER: i32 = 0;
const SI_TIMER: i32 = -2;
pub(crate) const SI_KERNEL: i32 = 0x80;

/// Pending signals that are stored between two moments at which the map surely has room:
/// a quarter of its entries, because an LRU map may evict while half of it is free.
const EPOCH: u64 = MAX_PENDING as u64 / 4;

/// Number of pending signals that were stored.
static STORED: SharedWord = SharedWord::new();
/// [`STORED`] at the begin of this epoch.
static EPOCH_BEGIN: SharedWord = SharedWord::new();
/// When the last two epochs began, in `CLOCK_BOOTTIME` nanoseconds.
static THIS_EPOCH_NS: SharedWord = SharedWord::new();
static LAST_EPOCH_NS: SharedWord = SharedWord::new();

const fn can_be_fatal(signal: u32) -> bool {
    signal <= 64 && NOT_FATAL >> (signal & 63) & 1 == 0
}

/// Arguments: `sig`, `info`, `task`, `group`, `result`.
#[raw_tracepoint(tracepoint = "signal_generate")]
pub(crate) fn signal_generate(ctx: RawTracePointContext) -> i32 {
    let signal = ctx.arg::<u64>(0) as u32;
    let result = ctx.arg::<u64>(4) & 0xffff_ffff;
    if can_be_fatal(signal)
        && (result == DELIVERED || result == WITHOUT_INFO)
        && globals::can_read_tasks()
    {
        generated(&ctx, signal, result == WITHOUT_INFO);
    }
    0
}

#[inline(always)]
fn generated(ctx: &RawTracePointContext, signal: u32, loses_info: bool) {
    let target = Task::at(ctx.arg(2));
    let tgid = target.tgid();
    let start_boottime_ns = target.leader().start_boottime_ns();
    let group = target.group();
    let stored = if group.is_ending() {
        // A later signal changes nothing, but the kernel reports it as delivered too. Only
        // SIGKILL ends a core dump with a status of its own.
        if group.signal() != signal || has_killer(tgid, start_boottime_ns, signal) {
            return;
        }
        let killer = sender(ctx, target, signal);
        let fatal = FatalSignal {
            start_boottime_ns,
            killer,
        };
        FATAL_SIGNALS.insert(tgid, fatal, 0)
    } else {
        if target.has_handler(signal) && !target.blocks(signal) {
            return;
        }
        let is_to_group = is_to_group(ctx);
        let key = SignalKey {
            tgid,
            signal,
            tid: if is_to_group { 0 } else { target.tid() },
        };
        // Of several real-time signals the first is delivered first. Any other signal is
        // pending at most once in a queue: the earlier one is gone.
        if signal >= FIRST_REAL_TIME
            && let Some(first) = map_value::lookup(&PENDING_SIGNALS, &key)
            && first.fatal.start_boottime_ns == start_boottime_ns
        {
            return;
        }
        note_stored();
        let killer = sender(ctx, target, signal);
        let siginfo = if loses_info {
            Siginfo::NONE
        } else {
            queued_siginfo(ctx, target, &killer)
        };
        let pending = PendingSignal {
            fatal: FatalSignal {
                start_boottime_ns,
                killer,
            },
            siginfo,
        };
        PENDING_SIGNALS.insert(key, pending, 0)
    };
    if stored.is_err() && map_value::add_one(&COUNTERS, SIGNAL_UNRECORDED) {
        warn!(
            ctx,
            "signal map full: the killers of some processes are unknown"
        );
    }
}

#[inline(always)]
fn is_to_group(ctx: &RawTracePointContext) -> bool {
    ctx.arg::<u64>(3) & 0xffff_ffff != 0
}

/// Whether a process is ended by an earlier signal with this number.
#[inline(always)]
fn has_killer(tgid: u32, start_boottime_ns: u64, signal: u32) -> bool {
    map_value::lookup(&FATAL_SIGNALS, &tgid).is_some_and(|first| {
        first.start_boottime_ns == start_boottime_ns && first.killer.signal == signal
    })
}

/// Counts a pending signal that is stored, and notes when the map may have filled up.
#[inline(always)]
fn note_stored() {
    STORED.add_one();
    if STORED.get().wrapping_sub(EPOCH_BEGIN.get()) >= EPOCH {
        EPOCH_BEGIN.set(STORED.get());
        LAST_EPOCH_NS.set(THIS_EPOCH_NS.get());
        THIS_EPOCH_NS.set(current::boottime_ns());
    }
}

/// Whether a pending signal of a process with this start may have been evicted.
#[inline(always)]
pub(crate) fn may_be_forgotten(start_boottime_ns: u64) -> bool {
    start_boottime_ns < LAST_EPOCH_NS.get()
}

/// The siginfo that the kernel put into the queue.
#[inline(always)]
fn queued_siginfo(ctx: &RawTracePointContext, target: Task<PROBED>, killer: &Killer) -> Siginfo {
    match ctx.arg::<u64>(1) {
        // The kernel fills in the pid of the sender in the namespace of the target.
        SEND_SIG_NOINFO => Siginfo {
            code: SI_USER,
            pid: Task::current().leader().pid_as_seen_by(target),
        },
        SEND_SIG_PRIV => Siginfo {
            code: SI_KERNEL,
            pid: 0,
        },
        info => Siginfo {
            code: killer.code,
            pid: task::si_pid(info),
        },
    }
}

#[inline(always)]
fn sender(ctx: &RawTracePointContext, target: Task<PROBED>, signal: u32) -> Killer {
    let info: u64 = ctx.arg(1);
    let mut flags = sender_state(target);
    let code = match info {
        SEND_SIG_NOINFO => {
            flags |= SIGNAL_NO_INFO;
            SI_USER
        }
        SEND_SIG_PRIV => SI_KERNEL,
        _ => task::si_code(info),
    };
    if code == SI_TIMER && task::is_queued(info) {
        flags |= SIGINFO_IS_QUEUED;
    }
    if is_to_group(ctx) {
        flags |= SIGNAL_TO_GROUP;
    }
    if info == SEND_SIG_PRIV && signal == SIGKILL && oom::is_of_last_kill(target) {
        flags |= SIGNAL_OF_OOM;
    }
    Killer {
        tgid: current::ids().0,
        uid: current::uid(),
        signal,
        code,
        flags,
        syscall: current::syscall(),
        pid: numbers::of_group(Task::current()),
        reserved: 0,
        comm: current::comm(),
    }
}

/// Flags that distinguish a parent-death signal, the teardown of a pid namespace, a tracer
/// and a kill at birth from other senders that give no siginfo.
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
    if target.is_being_created() {
        state |= SENDER_IS_CREATOR;
    }
    let (level, pid, _) = sender.leader().innermost_pid();
    if level > 0 && pid == 1 {
        state |= SENDER_NS_INIT;
    }
    state
}

/// Arguments: `sig`, `info`, `ka`. Runs for every signal that a task takes from a queue,
/// so it returns early for signals that a handler takes.
#[raw_tracepoint(tracepoint = "signal_deliver")]
pub(crate) fn signal_deliver(ctx: RawTracePointContext) -> i32 {
    let signal = ctx.arg::<u64>(0) as u32;
    let info: u64 = ctx.arg(1);
    // A task that ends with its group gets a SIGKILL without siginfo.
    if !can_be_fatal(signal) || info <= SEND_SIG_PRIV || !globals::can_read_tasks() {
        return 0;
    }
    let is_handled = task::handler(ctx.arg(2)) != task::SIG_DFL;
    if is_handled && signal < FIRST_REAL_TIME {
        return 0;
    }
    let (tgid, tid) = current::ids();
    if !delivered(tgid, tid, signal, info, is_handled) {
        delivered(tgid, 0, signal, info, is_handled);
    }
    0
}

/// Removes a pending signal from one queue if it has this siginfo, and makes it the killer
/// unless it is handled. Returns whether it did.
#[inline(always)]
fn delivered(tgid: u32, tid: u32, signal: u32, info: u64, is_handled: bool) -> bool {
    let key = SignalKey { tgid, signal, tid };
    let Some(pending) = map_value::lookup(&PENDING_SIGNALS, &key) else {
        return false;
    };
    let start_boottime_ns = Task::current().leader().start_boottime_ns();
    if pending.fatal.start_boottime_ns != start_boottime_ns || !pending.siginfo.is_at(info) {
        return false;
    }
    if !is_handled && !has_killer(tgid, start_boottime_ns, signal) {
        let _full = FATAL_SIGNALS.insert(tgid, &pending.fatal, 0);
    }
    let _absent = PENDING_SIGNALS.remove(key);
    true
}

/// The signal that ended a group with this signal in its status. Only a call with `is_last`
/// removes it: where the tracepoint does not say which task is the last, two tasks of a
/// group may both seem to be, and both look for the signal.
#[inline(always)]
pub(crate) fn find(task: &event::Task, signal: u32, is_last: bool) -> Option<Killer> {
    let found = map_value::lookup(&FATAL_SIGNALS, &task.tgid)?;
    let killer = found.killer;
    let is_it = found.start_boottime_ns == task.start_boottime_ns && killer.signal == signal;
    if is_last {
        let _absent = FATAL_SIGNALS.remove(task.tgid);
    }
    is_it.then_some(killer)
}
