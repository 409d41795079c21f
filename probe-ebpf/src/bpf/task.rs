//! All reads of kernel memory, behind safe functions.
//!
//! # Safety
//!
//! This is the only module with unsafe code. It rests on two guarantees.
//! `bpf_probe_read_*` checks the source address itself and answers with an
//! error, never a fault, so any address may be handed to it; a wrong offset
//! gives wrong data, not undefined behaviour. And the verifier proves, for each
//! load of the program, that every map pointer dereferenced here is inside the
//! map's value.
#![expect(unsafe_code, reason = "kernel memory, see the module's Safety section")]

use core::cell::UnsafeCell;

use aya_ebpf::{
    Global, bindings, helpers,
    maps::{Array, LruHashMap, PerCpuArray},
};
use probe_ebpf::{
    config::{CONTROLLERS, FILTER_NOTHING, Filter, HIERARCHIES, OFFSETS_UNKNOWN, Offsets},
    event::{self, COMM_BYTES, CgroupKey, UNKNOWN},
};

#[unsafe(no_mangle)]
static OFFSETS: Global<Offsets> = Global::new(OFFSETS_UNKNOWN);

#[unsafe(no_mangle)]
static FILTER: Global<Filter> = Global::new(FILTER_NOTHING);

/// `init_css_set`, which every task starts in that no one has moved. Static in
/// the kernel, so once found it never changes.
static ROOT_CSS_SET: Remembered = Remembered::new();

/// `PF_EXITING`, since 2.6.
const PF_EXITING: u32 = 0x4;
/// `SIGNAL_GROUP_EXIT`: `group_exit_code` is the status.
const SIGNAL_GROUP_EXIT: u32 = 0x4;
/// A `css_set` has one link for each mounted hierarchy, at most the 14 v1
/// controllers, v2 and a few named ones.
const MAX_LINKS: u32 = 20;
/// Ancestors between a task and pid 0. Beyond it the root `css_set` stays
/// unknown until a task with fewer exits.
const MAX_DEPTH: u32 = 16;

macro_rules! global {
    ($global:ident: $type:ty, $field:ident) => {{
        let base = (&raw const $global).cast::<$type>();
        // SAFETY: the projection stays inside the static, which lives as long
        // as the program.
        let field = unsafe { &raw const (*base).$field };
        // SAFETY: the static is initialised and read-only (`.rodata`, frozen
        // by the loader); volatile because the loader, not the compiler,
        // decides the value.
        unsafe { field.read_volatile() }
    }};
}

macro_rules! offset {
    ($field:ident) => {
        global!(OFFSETS: Offsets, $field)
    };
}

macro_rules! filter {
    ($field:ident) => {
        global!(FILTER: Filter, $field)
    };
}

/// What the stream is limited to.
#[inline(always)]
pub(crate) fn filter_flags() -> u32 {
    filter!(flags)
}

/// See [`Filter::uid`].
#[inline(always)]
pub(crate) fn filter_uid() -> u32 {
    filter!(uid)
}

/// See [`Filter::cgroup_slots`].
#[inline(always)]
pub(crate) fn filter_cgroup_slots() -> u32 {
    filter!(cgroup_slots)
}

/// See [`Filter::hierarchy`].
#[inline(always)]
pub(crate) fn filter_hierarchy() -> u32 {
    filter!(hierarchy)
}

/// Whether an age in nanoseconds is within the bounds.
#[inline(always)]
pub(crate) fn filter_age_passes(age_ns: u64) -> bool {
    age_ns >= filter!(min_age_ns) && age_ns <= filter!(max_age_ns)
}

/// See [`Filter::wake_bytes`].
#[inline(always)]
pub(crate) fn wake_bytes() -> u64 {
    u64::from(filter!(wake_bytes))
}

/// Whether the loader found the struct members that a status needs.
#[inline(always)]
pub(crate) fn can_read_tasks() -> bool {
    offset!(task_tgid) != UNKNOWN && offset!(task_signal) != UNKNOWN
}

/// A word in `.bss` that all CPUs see, 0 at first. Not an atomic: LLVM selects
/// no atomic load before BPF v4, and an aligned 8-byte access does not tear.
#[repr(transparent)]
pub(crate) struct Remembered(UnsafeCell<u64>);

// SAFETY: only whole words are read and written, by volatile accesses that the
// BPF JIT compiles to single instructions.
unsafe impl Sync for Remembered {}

impl Remembered {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        // SAFETY: the cell is in a static, initialised and aligned.
        unsafe { self.0.get().read_volatile() }
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: u64) {
        // SAFETY: as in `get`.
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// A value that may be read from any bytes.
pub(crate) trait Plain: Copy + Default {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for i32 {}

/// How kernel memory is read.
///
/// `DIRECT` reads compile to plain loads that the kernel guards by its fault
/// table, a nanosecond each; the verifier allows them from a pointer whose type
/// it knows, which `bpf_get_current_task_btf` (5.11, and a kernel with BTF)
/// gives for the current task and everything reached from it by members. All
/// else goes through `bpf_probe_read_kernel`, some twenty times as slow.
pub(crate) const DIRECT: bool = true;
/// See [`DIRECT`].
pub(crate) const PROBED: bool = false;

/// Reads a member, or gives zero where the offset or the memory is not there.
///
/// A null `base` is not asked for: it reads as zero either way, and each
/// question would double the paths that the verifier must follow.
#[inline(always)]
fn read<const HOW: bool, T: Plain>(base: u64, offset: u32) -> T {
    if offset == UNKNOWN {
        return T::default();
    }
    let address = base.wrapping_add(u64::from(offset)) as *const T;
    if HOW == DIRECT {
        // SAFETY: the verifier accepts the load only if it knows the struct
        // that `base` points to and that `offset` is inside it; a fault reads
        // as zero.
        unsafe { address.read_volatile() }
    } else {
        let mut value = T::default();
        let destination = (&raw mut value).cast();
        // What it answers is not asked for either: where it fails it writes
        // zeros. https://elixir.bootlin.com/linux/v6.12/source/kernel/trace/bpf_trace.c#L213
        // SAFETY: `value` is valid for size_of::<T>() bytes, and any bytes are a
        // `Plain`; the helper checks the source.
        let _zero_or_error = unsafe {
            helpers::generated::bpf_probe_read_kernel(
                destination,
                size_of::<T>() as u32,
                address.cast(),
            )
        };
        value
    }
}

/// Reads a pointer, then a member of what it points to.
#[inline(always)]
fn follow<const HOW: bool, T: Plain>(base: u64, pointer: u32, offset: u32) -> T {
    if pointer == UNKNOWN {
        return T::default();
    }
    read::<HOW, T>(read::<HOW, u64>(base, pointer), offset)
}

/// A `task_struct`, by its kernel address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task<const HOW: bool>(u64);

impl Task<PROBED> {
    #[inline(always)]
    pub(crate) const fn at(address: u64) -> Self {
        Self(address)
    }

    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: the helper has no precondition.
        Self(unsafe { helpers::generated::bpf_get_current_task() })
    }
}

impl Task<DIRECT> {
    #[inline(always)]
    pub(crate) fn current_typed() -> Self {
        // SAFETY: the helper has no precondition.
        Self(unsafe { helpers::generated::bpf_get_current_task_btf() } as u64)
    }
}

impl<const HOW: bool> Task<HOW> {
    #[inline(always)]
    pub(crate) fn tid(self) -> u32 {
        read::<HOW, _>(self.0, offset!(task_pid))
    }

    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        read::<HOW, _>(self.0, offset!(task_tgid))
    }

    #[inline(always)]
    pub(crate) fn leader(self) -> Self {
        Self(read::<HOW, _>(self.0, offset!(task_group_leader)))
    }

    #[inline(always)]
    fn real_parent(self) -> Self {
        Self(read::<HOW, _>(self.0, offset!(task_real_parent)))
    }

    /// To be asked once for each program: for every pointer that it loads from
    /// a typed one the verifier searches the kernel's BTF from end to end.
    #[inline(always)]
    pub(crate) fn group(self) -> Group<HOW> {
        Group(read::<HOW, _>(self.0, offset!(task_signal)))
    }

    #[inline(always)]
    pub(crate) fn start_boottime_ns(self) -> u64 {
        read::<HOW, _>(self.0, offset!(task_start_boottime))
    }

    #[inline(always)]
    pub(crate) fn is_exiting(self) -> bool {
        read::<HOW, u32>(self.0, offset!(task_flags)) & PF_EXITING != 0
    }

    /// Raw wait status of this task alone.
    #[inline(always)]
    pub(crate) fn status(self) -> u32 {
        read::<HOW, _>(self.0, offset!(task_exit_code))
    }

    #[inline(always)]
    fn add_own_times(self, times: &mut [u64; 3]) {
        times[0] += read::<HOW, u64>(self.0, offset!(task_utime));
        times[1] += read::<HOW, u64>(self.0, offset!(task_stime));
        times[2] += read::<HOW, u64>(self.0, offset!(task_sum_exec_runtime));
    }

    /// Innermost pid namespace: its depth, the pid in it, its inode number.
    #[inline(always)]
    pub(crate) fn innermost_pid(self) -> (u32, u32, u32) {
        let pid: u64 = read::<HOW, _>(self.0, offset!(task_thread_pid));
        let level: u32 = read::<HOW, _>(pid, offset!(pid_level));
        let numbers = offset!(pid_numbers);
        let stride = offset!(upid_bytes);
        if numbers == UNKNOWN || stride == UNKNOWN {
            return (0, 0, 0);
        }
        if level == 0 {
            let at = |member: u32| numbers.wrapping_add(member);
            let namespace: u64 = read::<HOW, _>(pid, at(offset!(upid_ns)));
            let inum = read::<HOW, _>(namespace, offset!(pid_ns_inum));
            return (0, read::<HOW, _>(pid, at(offset!(upid_nr))), inum);
        }
        // An index that the verifier does not know: never a direct load.
        let pid: u64 = read::<PROBED, _>(self.0, offset!(task_thread_pid));
        let upid = pid
            .wrapping_add(u64::from(numbers))
            .wrapping_add(u64::from(level) * u64::from(stride));
        let inum = follow::<PROBED, _>(upid, offset!(upid_ns), offset!(pid_ns_inum));
        (level, read::<PROBED, _>(upid, offset!(upid_nr)), inum)
    }

    #[inline(always)]
    fn comm(self) -> [u8; COMM_BYTES] {
        let offset = offset!(task_comm);
        if offset == UNKNOWN {
            return [0; COMM_BYTES];
        }
        let halves: [u64; 2] = [
            read::<HOW, _>(self.0, offset),
            read::<HOW, _>(self.0, offset.wrapping_add(8)),
        ];
        zerocopy::transmute!(halves)
    }

    /// Everything that a record says of a task.
    #[inline(always)]
    pub(crate) fn describe(self, leader: Self) -> event::Task {
        let (_, ns_pid, pid_ns) = leader.innermost_pid();
        let cgroup = self.cgroup();
        event::Task {
            tid: self.tid(),
            tgid: self.tgid(),
            ppid: leader.real_parent().tgid(),
            uid: follow::<HOW, _>(leader.0, offset!(task_real_cred), offset!(cred_uid)),
            start_boottime_ns: leader.start_boottime_ns(),
            cgroup_id: cgroup.id,
            cgroup_hierarchy: cgroup.hierarchy,
            ns_pid,
            pid_ns,
            reserved: 0,
            comm: leader.comm(),
        }
    }

    /// The v2 cgroup unless that is the root, then the best-ranked v1 cgroup
    /// that is not a root.
    #[inline(always)]
    fn cgroup(self) -> CgroupKey {
        let css_set: u64 = read::<HOW, _>(self.0, offset!(task_cgroups));
        let default = Cgroup::<HOW>(read::<HOW, _>(css_set, offset!(css_set_dfl_cgrp)));
        if default.level() != 0 || css_set == root_css_set() {
            return default.key();
        }
        for index in 0..CONTROLLERS.len() {
            let subsys = controller_offset(index);
            let cgroup = Cgroup::<HOW>(follow::<HOW, _>(css_set, subsys, offset!(css_cgroup)));
            if subsys != UNKNOWN && cgroup.level() != 0 {
                return cgroup.key();
            }
        }
        // Only named and rare hierarchies are left.
        match best_v1(read::<PROBED, _>(self.0, offset!(task_cgroups))) {
            Some(cgroup) => cgroup.key(),
            None => default.key(),
        }
    }

    /// The id of the cgroup in one hierarchy; 0 if there is none.
    #[inline(always)]
    pub(crate) fn cgroup_in(self, hierarchy: u32) -> u64 {
        if hierarchy == UNKNOWN {
            return 0;
        }
        let mut links = Links::of(read::<PROBED, _>(self.0, offset!(task_cgroups)));
        for _ in 0..MAX_LINKS {
            match links.next() {
                Some(cgroup) if cgroup.hierarchy() == hierarchy => return cgroup.key().id,
                Some(_) => {}
                None => break,
            }
        }
        0
    }

    /// Copies the arguments of the current task; 0 if it has none.
    #[inline(always)]
    pub(crate) fn read_args(self, args: &mut [u8; event::ARGS_BYTES]) -> (u32, bool) {
        let mm: u64 = read::<HOW, _>(self.0, offset!(task_mm));
        let start: u64 = read::<HOW, _>(mm, offset!(mm_arg_start));
        let end: u64 = read::<HOW, _>(mm, offset!(mm_arg_end));
        let wanted = end.saturating_sub(start);
        let len = wanted.min(event::ARGS_BYTES as u64) as u32;
        let destination = args.as_mut_ptr().cast();
        // SAFETY: `args` is valid for `len` bytes (at most its size, which the
        // verifier checks again); the helper checks the user address.
        let result =
            unsafe { helpers::generated::bpf_probe_read_user(destination, len, start as *const _) };
        if result == 0 {
            (len, wanted > u64::from(len))
        } else {
            (0, false)
        }
    }
}

/// What the tasks of a thread group share: a `signal_struct`.
#[derive(Clone, Copy)]
pub(crate) struct Group<const HOW: bool>(u64);

impl<const HOW: bool> Group<HOW> {
    /// Tasks that have not begun to exit.
    #[inline(always)]
    pub(crate) fn live(self) -> u32 {
        read::<HOW, _>(self.0, offset!(signal_live))
    }

    /// Raw wait status of the whole group, as `wait_task_zombie` computes it:
    /// <https://elixir.bootlin.com/linux/v6.12/source/kernel/exit.c#L1184>
    #[inline(always)]
    pub(crate) fn status(self, leader: Task<HOW>) -> u32 {
        let flags: u32 = read::<HOW, _>(self.0, offset!(signal_flags));
        if flags & SIGNAL_GROUP_EXIT != 0 {
            read::<HOW, _>(self.0, offset!(signal_group_exit_code))
        } else {
            leader.status()
        }
    }

    /// User, system and exact run time: what released tasks left here, and what
    /// the last task and an unreleased leader still hold.
    #[inline(always)]
    pub(crate) fn times(self, last: Task<HOW>, leader: Task<HOW>) -> [u64; 3] {
        let mut times = [
            read::<HOW, _>(self.0, offset!(signal_utime)),
            read::<HOW, _>(self.0, offset!(signal_stime)),
            read::<HOW, _>(self.0, offset!(signal_sum_sched_runtime)),
        ];
        last.add_own_times(&mut times);
        if leader.tid() != last.tid() {
            leader.add_own_times(&mut times);
        }
        times
    }

    #[inline(always)]
    pub(crate) fn max_rss_pages(self) -> u64 {
        read::<HOW, _>(self.0, offset!(signal_maxrss))
    }
}

/// Follows the parents of the current task up to pid 0, which never leaves
/// `init_css_set`; once.
#[inline(always)]
fn root_css_set() -> u64 {
    let known = ROOT_CSS_SET.get();
    if known != 0 {
        return known;
    }
    let mut task = Task::<PROBED>::current();
    for _ in 0..MAX_DEPTH {
        task = task.real_parent();
        if task.0 == 0 {
            return 0;
        }
        if task.tid() == 0 {
            let root = read::<PROBED, _>(task.0, offset!(task_cgroups));
            ROOT_CSS_SET.set(root);
            return root;
        }
    }
    0
}

/// Where a `css_set` has the state of one of [`CONTROLLERS`].
#[inline(always)]
fn controller_offset(index: usize) -> u32 {
    let offsets = offset!(css_set_subsys);
    match offsets.get(index) {
        Some(&offset) => offset,
        None => UNKNOWN,
    }
}

/// Steps through the links of a `css_set`. The list belongs to the set, which
/// the task's reference keeps alive and unchanged.
struct Links {
    head: u64,
    node: u64,
}

impl Links {
    #[inline(always)]
    fn of(css_set: u64) -> Self {
        Self {
            head: css_set.wrapping_add(u64::from(offset!(css_set_cgrp_links))),
            node: read::<PROBED, _>(css_set, offset!(css_set_cgrp_links)),
        }
    }

    #[inline(always)]
    fn next(&mut self) -> Option<Cgroup<PROBED>> {
        if self.node == self.head || self.node == 0 {
            return None;
        }
        let link = self.node.wrapping_sub(u64::from(offset!(link_cgrp_link)));
        self.node = read::<PROBED, _>(self.node, 0);
        Some(Cgroup(read::<PROBED, _>(link, offset!(link_cgrp))))
    }
}

/// The best-ranked cgroup that is not a root.
#[inline(always)]
fn best_v1(css_set: u64) -> Option<Cgroup<PROBED>> {
    let mut links = Links::of(css_set);
    let mut best = None;
    let mut best_rank = u8::MAX;
    for _ in 0..MAX_LINKS {
        let Some(cgroup) = links.next() else {
            break;
        };
        if cgroup.level() == 0 {
            continue;
        }
        let rank = hierarchy_rank(cgroup.hierarchy());
        if best.is_none() || rank < best_rank {
            best = Some(cgroup);
            best_rank = rank;
        }
    }
    best
}

#[inline(always)]
fn hierarchy_rank(hierarchy: u32) -> u8 {
    let base = (&raw const OFFSETS).cast::<Offsets>();
    // SAFETY: the projection stays inside the static.
    let ranks = unsafe { &raw const (*base).hierarchy_rank }.cast::<u8>();
    let index = hierarchy as usize;
    if index >= HIERARCHIES {
        return u8::MAX - 1;
    }
    // SAFETY: `index` is below the length of the table.
    let rank = unsafe { ranks.add(index) };
    // SAFETY: inside an initialised, read-only static; see `global!`.
    unsafe { rank.read_volatile() }
}

/// A `cgroup`, by its kernel address.
#[derive(Clone, Copy)]
pub(crate) struct Cgroup<const HOW: bool>(u64);

impl Cgroup<PROBED> {
    #[inline(always)]
    pub(crate) const fn at(address: u64) -> Self {
        Self(address)
    }
}

impl<const HOW: bool> Cgroup<HOW> {
    #[inline(always)]
    fn level(self) -> u32 {
        read::<HOW, _>(self.0, offset!(cgroup_level))
    }

    #[inline(always)]
    fn hierarchy(self) -> u32 {
        follow::<HOW, _>(self.0, offset!(cgroup_root), offset!(root_hierarchy_id))
    }

    /// Identity; unknown without offsets.
    #[inline(always)]
    pub(crate) fn key(self) -> CgroupKey {
        if offset!(cgroup_kn) == UNKNOWN {
            return CgroupKey {
                hierarchy: UNKNOWN,
                reserved: 0,
                id: 0,
            };
        }
        CgroupKey {
            hierarchy: self.hierarchy(),
            reserved: 0,
            id: follow::<HOW, _>(self.0, offset!(cgroup_kn), offset!(kn_id)),
        }
    }
}

/// What is known of the current task without a single offset.
#[inline(always)]
pub(crate) fn describe_current() -> event::Task {
    let (tgid, tid) = current_ids();
    event::Task {
        tid,
        tgid,
        ppid: UNKNOWN,
        uid: current_uid(),
        start_boottime_ns: 0,
        cgroup_id: current_v2_cgroup(),
        cgroup_hierarchy: 0,
        ns_pid: 0,
        pid_ns: 0,
        reserved: 0,
        comm: current_comm(),
    }
}

/// Thread group and task.
#[inline(always)]
pub(crate) fn current_ids() -> (u32, u32) {
    let ids = helpers::bpf_get_current_pid_tgid();
    ((ids >> 32) as u32, ids as u32)
}

/// Real uid in the initial user namespace.
#[inline(always)]
pub(crate) fn current_uid() -> u32 {
    helpers::bpf_get_current_uid_gid() as u32
}

#[inline(always)]
pub(crate) fn current_comm() -> [u8; COMM_BYTES] {
    helpers::bpf_get_current_comm().unwrap_or_default()
}

#[inline(always)]
fn current_v2_cgroup() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { helpers::generated::bpf_get_current_cgroup_id() }
}

#[inline(always)]
pub(crate) fn current_cpu() -> u32 {
    // SAFETY: the helper has no precondition.
    unsafe { helpers::generated::bpf_get_smp_processor_id() }
}

#[inline(always)]
pub(crate) fn boottime_ns() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { helpers::generated::bpf_ktime_get_boot_ns() }
}

/// `si_code` of a `kernel_siginfo`.
#[inline(always)]
pub(crate) fn si_code(info: u64) -> i32 {
    read::<PROBED, _>(info, offset!(siginfo_si_code))
}

/// Copies a NUL-terminated path; 0 if it did not fit or could not be read.
#[inline(always)]
pub(crate) fn read_path(address: u64, path: &mut [u8; event::PATH_BYTES]) -> u32 {
    let destination = path.as_mut_ptr().cast();
    // SAFETY: `path` is valid for PATH_BYTES; the helper checks the source.
    let copied = unsafe {
        helpers::generated::bpf_probe_read_kernel_str(
            destination,
            event::PATH_BYTES as u32,
            address as *const _,
        )
    };
    // The count includes the NUL; a full buffer means that it was cut off.
    if copied > 0 && copied < event::PATH_BYTES as i64 {
        copied as u32 - 1
    } else {
        0
    }
}

/// A counter slot of this CPU.
#[inline(always)]
pub(crate) fn add_one(counters: &PerCpuArray<u64>, slot: u32) -> u64 {
    let Some(counter) = counters.get_ptr_mut(slot) else {
        return 0;
    };
    // SAFETY: the verifier checked the pointer against null and the value size;
    // programs do not migrate, so this CPU's slot is ours.
    let value = unsafe { counter.read() } + 1;
    // SAFETY: as above.
    unsafe { counter.write(value) };
    value
}

/// The value of a counter slot on this CPU.
#[inline(always)]
pub(crate) fn counter(counters: &PerCpuArray<u64>, slot: u32) -> u64 {
    counters.get(slot).copied().unwrap_or(0)
}

/// Clears a flag; whether it was set.
#[inline(always)]
pub(crate) fn take_flag(flags: &Array<u32>) -> bool {
    let Some(flag) = flags.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the verifier checked the pointer against null and the value size.
    let was_set = unsafe { flag.read_volatile() } != 0;
    if was_set {
        // SAFETY: as above. Two CPUs that both clear it both wake the reader,
        // which is harmless.
        unsafe { flag.write_volatile(0) };
    }
    was_set
}

/// This CPU's scratch record.
#[inline(always)]
pub(crate) fn scratch<T>(map: &'static PerCpuArray<T>) -> Option<&'static mut T> {
    let record = map.get_ptr_mut(0)?;
    // SAFETY: the verifier checked the pointer; each scratch map serves one
    // hook, which neither migrates nor recurses, so nobody else has it.
    Some(unsafe { &mut *record })
}

/// The value stored under a key.
#[inline(always)]
pub(crate) fn lookup<'a, K, V>(map: &'a LruHashMap<K, V>, key: &K) -> Option<&'a V> {
    // SAFETY: an entry that is deleted meanwhile is not freed before the
    // program ends (preallocated map, RCU); a torn value is caught by the start
    // time that each value carries.
    unsafe { map.get(key) }
}

/// `BPF_RB_NO_WAKEUP`.
pub(crate) const NO_WAKEUP: u64 = bindings::BPF_RB_NO_WAKEUP as u64;
/// `BPF_RB_FORCE_WAKEUP`.
pub(crate) const FORCE_WAKEUP: u64 = bindings::BPF_RB_FORCE_WAKEUP as u64;
