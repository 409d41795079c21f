//! Turns a [`Plan`] into attached programs and rings, or an error that names the reason.
//!
//! Everything that can fail at set-up fails here, before a command reports that it is
//! ready. `ring.rs` and `counters.rs` read from the programs afterwards.

mod attached;
mod error;
mod loader;
mod memlock;
mod watched;

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    thread,
};

use aya::{
    Ebpf,
    maps::{CgroupArray, HashMap, Map, MapError},
};
use aya_log::EbpfLogger;
use probe_ebpf::{
    config::{self, FILTER_SYMBOL, HIERARCHIES, OFFSETS_SYMBOL, OFFSETS_UNKNOWN, Offsets},
    event::UNKNOWN,
};
use rustix::time::{ClockId, clock_getres};
use tokio::sync::oneshot;
use tracing::{debug, warn};
use zerocopy::IntoBytes;

pub use self::{attached::Attached, error::LoadError};
use self::{error::map_error, watched::Watched};
use super::{
    OBJECT, decisive_ring::DecisiveRing, hook::Hook, oom_victims::OomVictims, ring::Stream,
};
use crate::{
    cgroup::mounts::{self, Mounts},
    closing::ClosedOnThread,
    kernel::btf,
    model::Filter,
    proc::pid_namespace,
};

/// The programs to load, and their configuration.
#[derive(Debug)]
pub struct Plan {
    /// Hooks in the order of attachment. The exit program joins data of other programs,
    /// so its hook comes after theirs.
    pub hooks: Vec<Hook>,
    /// Conditions that the programs test.
    pub filter: config::Filter,
    /// Directories of the cgroups that the stream is limited to, at most
    /// [`probe_ebpf::config::CGROUP_SLOTS`], v2 only.
    pub cgroups: Vec<OwnedFd>,
    /// Thread groups that the stream is limited to.
    pub pids: Vec<u32>,
    /// Size of the stream ring in bytes: a power of two, at least a page.
    pub stream_bytes: u32,
    /// The most cgroups that are watched at a time. A smaller map is made faster.
    pub watched: u32,
    /// Whether to take the programs that load fastest, without their log, and not those that run
    /// fastest: for programs that live only as long as a wait.
    pub loads_fast: bool,
}

impl Plan {
    /// The hooks that waits need: no exit records, and the least memory.
    #[must_use]
    pub fn decisive() -> Self {
        Self {
            hooks: [&Hook::WAITS[..], &[Hook::MemberForkedV1]].concat(),
            filter: Filter::default().kernel_filter(MIN_STREAM_BYTES),
            cgroups: Vec::new(),
            pids: Vec::new(),
            stream_bytes: MIN_STREAM_BYTES,
            watched: MAX_WATCHED,
            loads_fast: true,
        }
    }

    /// The hooks for the exits that `filter` selects, with a ring of `stream_bytes`.
    /// `cgroups` are the directories of its subtrees if the kernel tests them
    /// ([`Filter::kernel_tests_subtrees`]).
    #[must_use]
    pub fn exits(filter: &Filter, cgroups: Vec<OwnedFd>, stream_bytes: u32) -> Self {
        let mut hooks = vec![
            Hook::CgroupCreated,
            Hook::CgroupRenamed,
            Hook::CgroupRemoved,
        ];
        hooks.extend(Hook::EXITS);
        let pids = if filter.kernel_tests_pids() {
            filter.processes.iter().map(|it| it.pid).collect()
        } else {
            Vec::new()
        };
        Self {
            hooks,
            filter: filter.kernel_filter(stream_bytes),
            cgroups,
            pids,
            stream_bytes,
            watched: 1,
            loads_fast: false,
        }
    }

    /// Makes every record name a v1 cgroup in addition to the v2 cgroup, in the hierarchy of
    /// the filter or else in the first one by rank. On a hybrid machine the v2 cgroup of a
    /// container may be that of its engine, so that only v1 names the container.
    #[must_use]
    pub fn with_v1(mut self, mounts: &Mounts) -> Self {
        if self.filter.hierarchy == UNKNOWN {
            self.filter.hierarchy = mounts.first_v1().unwrap_or(UNKNOWN);
        }
        self
    }
}

/// Size of a stream ring that no reader uses: a page.
const MIN_STREAM_BYTES: u32 = 4096;

/// The most verbose level that the programs log, in `aya-log-ebpf`.
const LOG_LEVEL_SYMBOL: &str = "AYA_LOG_LEVEL";

/// Default of [`Plan::watched`].
pub const MAX_WATCHED: u32 = 16_384;

/// Default of [`Plan::stream_bytes`].
pub const DEFAULT_STREAM_BYTES: u32 = 4 << 20;

/// The rings from which userspace reads records.
pub struct Rings {
    /// Exits, starts, and the creation, removal and new members of cgroups.
    pub stream: Stream,
    /// Changes of watched cgroups, which decide waits.
    pub decisive: DecisiveRing,
}

/// Loads and attaches the programs of a plan.
pub fn load(plan: &Plan) -> Result<(Attached, Rings), LoadError> {
    let (types, without_types) = match kernel_types() {
        Ok(types) => (Some(types), None),
        Err(error) => (None, Some(error)),
    };
    let mut offsets = types
        .as_ref()
        .map_or(OFFSETS_UNKNOWN, |types| types.offsets);
    rank_hierarchies(&mut offsets);
    offsets.notify_interval_ticks = notify_interval_ticks();
    let mut filter = plan.filter;
    filter.pid_ns = pid_namespace::own().unwrap_or_else(|| {
        warn!("cannot read /proc/self/ns/pid: records have no pids");
        0
    });
    let limit = memlock::raise();
    let log_level = u8::from(!plan.loads_fast) * u8::MAX;
    let mut ebpf = loader::without_btf()
        // Without the log the verifier has 2,300 instructions less to check for each message.
        .override_global(LOG_LEVEL_SYMBOL, &log_level, true)
        .override_global(OFFSETS_SYMBOL, offsets.as_bytes(), true)
        .override_global(FILTER_SYMBOL, filter.as_bytes(), true)
        .map_max_entries("STREAM", plan.stream_bytes)
        .map_max_entries("WATCHED", plan.watched.max(1))
        .map_max_entries(
            "PIDS",
            u32::try_from(plan.pids.len()).unwrap_or(u32::MAX).max(1),
        )
        .load(OBJECT)
        .map_err(|error| limit.explain(map_error(error)))?;
    let logger = EbpfLogger::init(&mut ebpf)
        .inspect_err(|error| debug!(%error, "cannot read the log of the BPF programs"));
    let (mut attached, rings) = take_maps(ebpf, plan, types, logger.ok())?;
    attached.load(&plan.hooks);
    for &hook in &plan.hooks {
        attached.attach_or_degrade(hook)?;
    }
    // The warning comes last, because it only matters if there are records.
    if let Some(error) = without_types {
        warn!(
            "no BTF ({error}): records lack status, parent, start, namespace and usage; \
             hint: a kernel with CONFIG_DEBUG_INFO_BTF provides {}",
            btf::VMLINUX
        );
    }
    Ok((attached, rings))
}

/// [`load`] on a separate thread, because loading takes tens of milliseconds. The
/// receiver resolves with an error if no thread can be started.
pub(crate) fn load_on_thread(
    plan: Plan,
) -> oneshot::Receiver<Result<(Attached, Rings), LoadError>> {
    let (sender, receiver) = oneshot::channel();
    let load = move || {
        // If the receiver is gone, this detaches the programs.
        drop(sender.send(load(&plan)));
    };
    let thread = thread::Builder::new().name("loader".to_owned());
    if let Err(error) = thread.spawn(load) {
        warn!(%error, "cannot start the thread that loads BPF");
    }
    receiver
}

fn kernel_types() -> Result<btf::KernelTypes, btf::BtfError> {
    let types = btf::read(Path::new(btf::VMLINUX))?;
    let missing = types.missing();
    if !missing.is_empty() {
        debug!(?missing, "this kernel lacks members of structs");
    }
    Ok(types)
}

fn rank_hierarchies(offsets: &mut Offsets) {
    let mounts = Mounts::read().unwrap_or_default();
    let mut ranked: Vec<_> = mounts.iter().collect();
    ranked.sort_by_key(|mount| mounts::rank(mount));
    // Two hierarchies never have the same rank, so that every record names the same one.
    for (rank, mount) in (0..u8::MAX - 1).zip(ranked) {
        let index = mount.hierarchy as usize;
        if index < HIERARCHIES {
            offsets.hierarchy_rank[index] = rank;
        }
    }
}

/// `CGROUP_FILE_NOTIFY_MIN_INTV` in ticks of the kernel, which the coarse clock counts.
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/cgroup/cgroup.c#L79>
fn notify_interval_ticks() -> u32 {
    const INTERVAL_NS: i64 = 10_000_000;
    let tick = clock_getres(ClockId::MonotonicCoarse);
    let ticks = (INTERVAL_NS + tick.tv_nsec - 1) / tick.tv_nsec.max(1);
    u32::try_from(ticks).unwrap_or(UNKNOWN)
}

fn take_maps(
    mut ebpf: Ebpf,
    plan: &Plan,
    types: Option<btf::KernelTypes>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
) -> Result<(Attached, Rings), LoadError> {
    limit_stream(&mut ebpf, plan)?;
    let rings = Rings {
        stream: Stream::new(
            take(&mut ebpf, "STREAM")?,
            take(&mut ebpf, "PARKED")?,
            OomVictims::new(take(&mut ebpf, "OOM_VICTIMS")?),
            Some(plan.filter.hierarchy).filter(|&it| it != UNKNOWN && types.is_some()),
        ),
        decisive: DecisiveRing::new(take(&mut ebpf, "DECISIVE")?),
    };
    let attached = Attached {
        counters: take(&mut ebpf, "COUNTERS")?,
        watched: Watched::new(take(&mut ebpf, "WATCHED")?, take(&mut ebpf, "FOLLOWED")?),
        exit: None,
        types,
        logger,
        loads_fast: plan.loads_fast,
        ebpf: ClosedOnThread::new(ebpf),
    };
    Ok((attached, rings))
}

fn limit_stream(ebpf: &mut Ebpf, plan: &Plan) -> Result<(), LoadError> {
    let mut slots: CgroupArray<_> = map_mut(ebpf, "CGROUPS")?;
    for (slot, directory) in (0..).zip(&plan.cgroups) {
        match slots.set(slot, directory.as_raw_fd(), 0) {
            // The cgroup was removed meanwhile, so no process exits in it any more.
            Err(MapError::SyscallError(error))
                if error.io_error.kind() == io::ErrorKind::NotFound => {}
            set => set.map_err(LoadError::fill("CGROUPS"))?,
        }
    }
    let mut pids: HashMap<_, u32, u32> = map_mut(ebpf, "PIDS")?;
    for pid in &plan.pids {
        pids.insert(pid, 1, 0).map_err(LoadError::fill("PIDS"))?;
    }
    Ok(())
}

fn map_mut<'a, M: TryFrom<&'a mut Map, Error = MapError>>(
    ebpf: &'a mut Ebpf,
    map: &'static str,
) -> Result<M, LoadError> {
    let found = ebpf.map_mut(map).ok_or(LoadError::Incomplete(map))?;
    M::try_from(found).map_err(LoadError::fill(map))
}

fn take<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    map: &'static str,
) -> Result<M, LoadError> {
    let found = ebpf.take_map(map).ok_or(LoadError::Incomplete(map))?;
    M::try_from(found).map_err(LoadError::fill(map))
}
