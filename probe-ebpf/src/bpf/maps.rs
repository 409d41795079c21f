//! Every map, with the reason for its size.
//!
//! The kernel allocates every element together with its map. Before 6.1 its
//! `check_map_prog_compatibility` warns, once and with a stack trace in the kernel's
//! log, about a tracing program whose hash map allocates elements later.

use aya_ebpf::{
    macros::map,
    maps::{Array, CgroupArray, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use probe_ebpf::{
    config::CGROUP_SLOTS,
    counter,
    event::{CgroupCreated, CgroupKey, Exec, Killer, OomMark},
};

use crate::task::Siginfo;

/// Records that decide a wait: a handful, most of which wake the reader. They have a
/// ring of their own, so that a storm of exits cannot crowd them out.
#[map]
pub(crate) static DECISIVE: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

/// All other records. 4 MiB hold 18,000 exits; the loader may resize the ring.
#[map]
pub(crate) static STREAM: RingBuf = RingBuf::with_byte_size(4 * 1024 * 1024, 0);

/// Counters for each CPU; the slots are in [`counter`].
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// Cgroups that a client waits for, with the last value of `populated` as an
/// [`occupancy`]. The map takes 1.4 MiB. Each cgroup costs its waiter three file
/// descriptors, which limits their number; a wait for a cgroup that finds no room in
/// the map works without it.
#[map]
pub(crate) static WATCHED: HashMap<CgroupKey, u32> = HashMap::with_max_entries(16_384, 0);

/// A bit for each hierarchy with a watched cgroup (number modulo 64), so that a fork elsewhere
/// costs one load.
#[map]
pub(crate) static FOLLOWED: Array<u64> = Array::with_max_entries(1, 0);

/// The signal that ended a thread group. The exit that is due removes it, unless a filter
/// or a skipped program prevents that, so the map is an LRU map. With 8,192 entries a
/// signal stays in the map until the exit of its target, even in a burst of kills.
#[map]
pub(crate) static FATAL_SIGNALS: LruHashMap<u32, FatalSignal> =
    LruHashMap::with_max_entries(8192, 0);

/// Limit of [`PENDING_SIGNALS`].
pub(crate) const MAX_PENDING: u32 = 4096;

/// Signals that end their target if a task takes them from their queue. They have a map of
/// their own, because a user can leave many of them pending: that must not evict the
/// senders of signals that kill at once. A signal that is taken without a trace stays until
/// it is evicted.
#[map]
pub(crate) static PENDING_SIGNALS: LruHashMap<SignalKey, PendingSignal> =
    LruHashMap::with_max_entries(MAX_PENDING, 0);

/// Thread groups (or, before the tracepoint passed a task, tasks) that the
/// out-of-memory killer chose: a handful at a time.
#[map]
pub(crate) static OOM_VICTIMS: LruHashMap<u32, OomMark> = LruHashMap::with_max_entries(1024, 0);

/// The last out-of-memory kill by each task (by its tid) that ran the killer: the kernel
/// runs it in the task that needs memory.
#[map]
pub(crate) static OOM_KILLS: LruHashMap<u32, OomKill> = LruHashMap::with_max_entries(1024, 0);

/// Subtrees that the stream is limited to.
#[map]
pub(crate) static CGROUPS: CgroupArray = CgroupArray::with_max_entries(CGROUP_SLOTS, 0);

/// Thread groups that the stream is limited to, by their numbers in the reader's pid
/// namespace.
#[map]
pub(crate) static PIDS: HashMap<u32, u32> = HashMap::with_max_entries(4096, 0);

/// 1 while the stream's reader sleeps without a timer: the next record wakes it.
#[map]
pub(crate) static PARKED: Array<u32> = Array::with_max_entries(1, 0);

/// Records that are too large for the 512-byte stack are built here.
#[map]
pub(crate) static EXEC_SCRATCH: PerCpuArray<Exec> = PerCpuArray::with_max_entries(1, 0);

/// Scratch space of `cgroup_mkdir` and `cgroup_rename`, as [`EXEC_SCRATCH`].
#[map]
pub(crate) static CGROUP_SCRATCH: PerCpuArray<CgroupCreated> = PerCpuArray::with_max_entries(1, 0);

/// Key of [`PENDING_SIGNALS`].
#[repr(C)]
pub(crate) struct SignalKey {
    pub(crate) tgid: u32,
    pub(crate) signal: u32,
    /// The task in whose queue the signal is; 0 for the queue of the group.
    pub(crate) tid: u32,
}

/// Value of [`FATAL_SIGNALS`].
#[repr(C)]
pub(crate) struct FatalSignal {
    /// Start of the target: a reused tgid must not inherit the signal.
    pub(crate) start_boottime_ns: u64,
    pub(crate) killer: Killer,
}

/// Value of [`PENDING_SIGNALS`].
#[repr(C)]
pub(crate) struct PendingSignal {
    pub(crate) fatal: FatalSignal,
    /// What the kernel queued.
    pub(crate) siginfo: Siginfo,
}

/// Value of [`OOM_KILLS`].
#[repr(C)]
pub(crate) struct OomKill {
    /// Address of the `mm_struct` of the victim; 0 where the kernel passed only a tid.
    pub(crate) mm: u64,
    pub(crate) boottime_ns: u64,
}
