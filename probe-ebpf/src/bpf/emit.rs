//! Writes records into the two rings, counts those that found no room, and wakes
//! the readers.
//!
//! A wake-up costs the dying task 10 µs (`irq_work` and an IPI), so the stream
//! wakes its reader only if enough bytes are unread, or if the reader's flag says
//! that it sleeps without a timer. The decisive ring wakes its reader where no other
//! source does.

use aya_ebpf::{EbpfContext, bindings, programs::RawTracePointContext};
use aya_log_ebpf::warn;
use probe_ebpf::{
    counter::{DECISIVE_DROPPED, DECISIVE_SUBMITTED, STREAM_DROPPED, STREAM_SUBMITTED},
    event::{Header, Member},
};

use zerocopy::IntoBytes;

use crate::{
    current, globals, map_value,
    maps::{COUNTERS, DECISIVE, PARKED, STREAM},
};

const NO_WAKEUP: u64 = bindings::BPF_RB_NO_WAKEUP as u64;
const FORCE_WAKEUP: u64 = bindings::BPF_RB_FORCE_WAKEUP as u64;

/// Unread bytes of the decisive ring that wake its reader in any case: a quarter.
const DECISIVE_UNREAD: u64 = 16 * 1024;

/// The header of a stream record that is written now.
#[inline(always)]
pub(crate) fn header(kind: u32) -> Header {
    Header {
        kind,
        cpu: current::cpu(),
        dropped: map_value::counter(&COUNTERS, STREAM_DROPPED),
        boottime_ns: current::boottime_ns(),
    }
}

/// Puts a record of fixed size into the stream, or adds one to the counter
/// `dropped` if the ring has no room.
#[inline(always)]
pub(crate) fn stream<T: 'static>(ctx: &impl EbpfContext, record: T, dropped: u32) {
    if let Some(mut entry) = STREAM.reserve::<T>(0) {
        entry.write(record);
        entry.submit(wake_up(size_of::<T>() as u64));
        wake_parked();
        map_value::add_one(&COUNTERS, STREAM_SUBMITTED);
    } else {
        count_drop(ctx, dropped);
    }
}

/// Puts the valid part of a scratch record into the stream.
#[inline(always)]
pub(crate) fn stream_bytes(ctx: &RawTracePointContext, record: &[u8], dropped: u32) {
    if STREAM
        .output::<[u8]>(record, wake_up(record.len() as u64))
        .is_ok()
    {
        wake_parked();
        map_value::add_one(&COUNTERS, STREAM_SUBMITTED);
    } else {
        count_drop(ctx, dropped);
    }
}

/// Puts a record into the decisive ring. `wakes` is false if another source is
/// known to wake the reader.
#[inline(always)]
pub(crate) fn decisive<T: 'static>(ctx: &RawTracePointContext, record: T, wakes: bool) {
    if let Some(mut entry) = DECISIVE.reserve::<T>(0) {
        entry.write(record);
        entry.submit(if wakes || DECISIVE.query(0) > DECISIVE_UNREAD {
            FORCE_WAKEUP
        } else {
            NO_WAKEUP
        });
        map_value::add_one(&COUNTERS, DECISIVE_SUBMITTED);
    } else if map_value::add_one(&COUNTERS, DECISIVE_DROPPED) {
        warn!(ctx, "decisive ring full: first record dropped on this CPU");
    }
}

/// Puts a member of a watched cgroup into the decisive ring. It decides no wait by itself, so it
/// wakes the reader only to make room. The function has few branches, because it is called in a
/// loop.
#[inline(always)]
pub(crate) fn member(record: &Member) {
    let flags = if DECISIVE.query(0) > DECISIVE_UNREAD {
        FORCE_WAKEUP
    } else {
        NO_WAKEUP
    };
    if DECISIVE.output::<[u8]>(record.as_bytes(), flags).is_err() {
        map_value::add_one(&COUNTERS, DECISIVE_DROPPED);
    }
}

/// Flags that wake the reader once, when the unread bytes cross the threshold. If
/// two CPUs cross it together, both may leave the wake-up to the other; the reader's
/// drain timer covers that.
///
/// The function adds nothing to `len`: the verifier of 6.12 would keep the sum linked
/// to `len`, forget the bounds of `len` when it works back from the comparison, and
/// then refuse the program.
#[inline(always)]
fn wake_up(len: u64) -> u64 {
    let unread = STREAM.query(0);
    match unread.checked_sub(globals::wake_bytes()) {
        Some(excess) if excess < len => FORCE_WAKEUP,
        _ => NO_WAKEUP,
    }
}

/// Wakes a reader that sleeps without a timer. The call comes after the record is
/// committed: a reader that parks in between either finds the record or has set
/// its flag before the program reads it. The commit is a fully ordered exchange, and
/// the reader has a fence:
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/bpf/ringbuf.c#L541>
#[inline(always)]
fn wake_parked() {
    if map_value::take_flag(&PARKED)
        && let Some(entry) = STREAM.reserve::<u64>(0)
    {
        entry.discard(FORCE_WAKEUP);
    }
}

#[inline(always)]
fn count_drop(ctx: &impl EbpfContext, dropped: u32) {
    if map_value::add_one(&COUNTERS, dropped) {
        warn!(ctx, "stream ring full: first record dropped on this CPU");
    }
}
