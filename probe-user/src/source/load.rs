//! A plan becomes attached programs, or an error that says what to do.
//!
//! Everything that can fail at set-up fails here, before a command says that it
//! is ready. What runs afterwards is in `ring.rs` and `counters.rs`.

use std::{
    error::Error,
    fmt, io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    thread,
};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{CgroupArray, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::{ProgramError, RawTracePoint, raw_trace_point::RawTracePointLinkId},
};
use aya_log::EbpfLogger;
use probe_ebpf::{
    config::{FILTER_SYMBOL, Filter, HIERARCHIES, OFFSETS_SYMBOL, OFFSETS_UNKNOWN, Offsets},
    event::CgroupKey,
};
use rustix::io::Errno;
use tracing::{debug, warn};
use zerocopy::IntoBytes;

use super::{
    OBJECT, btf, cgroupfs, heap,
    hook::{ExitShape, Hook},
    ring::Stream,
};
use crate::cgroup::CgroupId;

/// What to load.
#[derive(Debug)]
pub struct Plan {
    /// In the order of attachment: what a record is joined from comes before
    /// the hook that joins it.
    pub hooks: Vec<Hook>,
    /// What the stream reports.
    pub filter: Filter,
    /// Directories of the cgroups that the stream is limited to, at most
    /// [`probe_ebpf::config::CGROUP_SLOTS`], v2 only.
    pub cgroups: Vec<OwnedFd>,
    /// Thread groups that the stream is limited to.
    pub pids: Vec<u32>,
    /// Size of the stream ring in bytes: a power of two, at least a page.
    pub stream_bytes: u32,
}

/// Default of [`Plan::stream_bytes`].
pub const DEFAULT_STREAM_BYTES: u32 = 4 << 20;

/// Why BPF is not available.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel refused a map or a program for lack of privilege.
    #[error("not permitted to {operation}")]
    NotPermitted {
        /// What was tried.
        operation: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Ring buffers need Linux 5.8.
    #[error("this kernel has no BPF ring buffer")]
    NoRingBuffer,
    /// A map could not be made.
    #[error("cannot create the BPF maps")]
    Maps(#[source] Box<EbpfError>),
    /// A map did not take a value.
    #[error("cannot fill BPF map {map}")]
    Fill {
        /// Which map.
        map: &'static str,
        /// Why.
        #[source]
        source: MapError,
    },
    /// The verifier refused a program, or the tracepoint is not there.
    #[error("cannot attach to tracepoint {}", hook.tracepoint())]
    Attach {
        /// Which hook.
        hook: Hook,
        /// Why.
        #[source]
        source: Box<ProgramError>,
    },
    /// The object lacks a part that the loader names: a build error.
    #[error("the BPF object has no {0}")]
    Incomplete(&'static str),
}

/// Programs that run, and the ends of their maps. Dropping it detaches all.
pub struct Attached {
    pub(super) ebpf: Ebpf,
    pub(super) counters: PerCpuArray<MapData, u64>,
    /// `None` if the kernel has no BTF: records then lack what needs it.
    pub types: Option<btf::KernelTypes>,
    /// Which exit program runs.
    pub(super) exit: Option<(ExitShape, &'static str)>,
    watched: HashMap<MapData, [u64; 2], u32>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
}

/// Where the records come out.
pub struct Rings {
    /// Exits, starts, cgroups made, removed and joined.
    pub stream: Stream,
    /// What decides a wait.
    pub decisive: RingBuf<MapData>,
}

/// Loads and attaches.
pub fn load(plan: &Plan) -> Result<(Attached, Rings), LoadError> {
    let (mut loader, types) = thread::scope(|scope| {
        let loader = scope.spawn(loader);
        let types = kernel_types();
        let loader = loader.join();
        (loader.unwrap_or_else(|_panicked| EbpfLoader::new()), types)
    });
    heap::trim();
    let mut offsets = types
        .as_ref()
        .map_or(OFFSETS_UNKNOWN, |types| types.offsets);
    rank_hierarchies(&mut offsets);
    let mut ebpf = create_maps(
        loader
            .override_global(OFFSETS_SYMBOL, offsets.as_bytes(), true)
            .override_global(FILTER_SYMBOL, plan.filter.as_bytes(), true)
            .map_max_entries("STREAM", plan.stream_bytes),
    )?;
    let logger = match EbpfLogger::init(&mut ebpf) {
        Ok(logger) => Some(logger),
        Err(error) => {
            debug!(%error, "the programs' log is not readable");
            None
        }
    };
    let (mut attached, rings) = take_maps(ebpf, plan, types, logger)?;
    for &hook in &plan.hooks {
        attached.attach_or_degrade(hook)?;
    }
    Ok((attached, rings))
}

/// Aya parses the kernel's whole BTF here, for relocations that Rust programs
/// do not have: 20 ms, hence on a thread of its own, and 14 MB that nobody needs
/// afterwards.
fn loader() -> EbpfLoader<'static> {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    loader
}

fn kernel_types() -> Option<btf::KernelTypes> {
    match btf::read(Path::new(btf::VMLINUX)) {
        Ok(types) => {
            let missing = types.missing();
            if !missing.is_empty() {
                debug!(?missing, "members that this kernel does not have");
            }
            Some(types)
        }
        Err(error) => {
            warn!(
                "no BTF ({error}): records lack status, parent, start, namespace and usage; \
                 hint: a kernel with CONFIG_DEBUG_INFO_BTF shows {}",
                btf::VMLINUX
            );
            None
        }
    }
}

fn rank_hierarchies(offsets: &mut Offsets) {
    for mount in cgroupfs::mounts().unwrap_or_default() {
        let index = mount.hierarchy as usize;
        if index < HIERARCHIES {
            offsets.hierarchy_rank[index] = cgroupfs::rank(&mount);
        }
    }
}

fn create_maps(loader: &mut EbpfLoader<'_>) -> Result<Ebpf, LoadError> {
    match loader.load(OBJECT).map_err(map_error) {
        // Before 5.11 maps and programs count against RLIMIT_MEMLOCK.
        Err(LoadError::NotPermitted { .. }) if raise_memlock() => {
            loader.load(OBJECT).map_err(map_error)
        }
        result => result,
    }
}

/// The maps that are ring buffers; which of them is made first is not ours to
/// say.
const RINGS: [&str; 3] = ["STREAM", "DECISIVE", "AYA_LOGS"];

fn map_error(error: EbpfError) -> LoadError {
    let EbpfError::MapError(MapError::CreateError { name, io_error }) = error else {
        return LoadError::Maps(Box::new(error));
    };
    match Errno::from_io_error(&io_error) {
        Some(Errno::PERM | Errno::NOSYS) => LoadError::NotPermitted {
            operation: format!("create BPF map {name}"),
            source: io_error,
        },
        // The first thing that a kernel without ring buffers refuses.
        Some(Errno::INVAL) if RINGS.contains(&name.as_str()) => LoadError::NoRingBuffer,
        _ => LoadError::Maps(Box::new(EbpfError::MapError(MapError::CreateError {
            name,
            io_error,
        }))),
    }
}

fn raise_memlock() -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    getrlimit(Resource::Memlock) != unlimited && setrlimit(Resource::Memlock, unlimited).is_ok()
}

fn take_maps(
    mut ebpf: Ebpf,
    plan: &Plan,
    types: Option<btf::KernelTypes>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
) -> Result<(Attached, Rings), LoadError> {
    limit_stream(&mut ebpf, plan)?;
    let rings = Rings {
        stream: Stream::new(take(&mut ebpf, "STREAM")?, take(&mut ebpf, "PARKED")?),
        decisive: take(&mut ebpf, "DECISIVE")?,
    };
    let attached = Attached {
        counters: take(&mut ebpf, "COUNTERS")?,
        watched: take(&mut ebpf, "WATCHED")?,
        exit: None,
        types,
        logger,
        ebpf,
    };
    Ok((attached, rings))
}

fn limit_stream(ebpf: &mut Ebpf, plan: &Plan) -> Result<(), LoadError> {
    let fill = |map| move |source| LoadError::Fill { map, source };
    let map = ebpf
        .map_mut("CGROUPS")
        .ok_or(LoadError::Incomplete("CGROUPS"))?;
    let mut slots = CgroupArray::try_from(map).map_err(fill("CGROUPS"))?;
    for (slot, directory) in (0..).zip(&plan.cgroups) {
        slots
            .set(slot, directory.as_raw_fd(), 0)
            .map_err(fill("CGROUPS"))?;
    }
    let map = ebpf.map_mut("PIDS").ok_or(LoadError::Incomplete("PIDS"))?;
    let mut pids = HashMap::<_, u32, u32>::try_from(map).map_err(fill("PIDS"))?;
    for pid in &plan.pids {
        pids.insert(pid, 1, 0).map_err(fill("PIDS"))?;
    }
    Ok(())
}

fn take<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    map: &'static str,
) -> Result<M, LoadError> {
    let found = ebpf.take_map(map).ok_or(LoadError::Incomplete(map))?;
    M::try_from(found).map_err(|source| LoadError::Fill { map, source })
}

impl Attached {
    fn attach_or_degrade(&mut self, hook: Hook) -> Result<(), LoadError> {
        match (self.attach(hook), hook.loss()) {
            (Err(error @ LoadError::Attach { .. }), Some(loss)) => {
                warn!("{}: {loss}", Chain(&error));
                Ok(())
            }
            (result, _) => result,
        }
    }

    /// Loads and attaches one more program.
    pub fn attach(&mut self, hook: Hook) -> Result<(), LoadError> {
        if hook == Hook::Exit {
            self.attach_exit()
        } else {
            self.attach_program(hook, hook.tracepoint())
        }
    }

    /// The BTF tells the shape; without it the newer one is tried first, which
    /// an older kernel refuses to attach.
    fn attach_exit(&mut self) -> Result<(), LoadError> {
        let known = self
            .types
            .as_ref()
            .and_then(|types| types.exit_has_group_dead);
        let shapes: &[ExitShape] = match known {
            Some(true) => &[ExitShape::GroupDead],
            Some(false) => &[ExitShape::Live],
            None => &[ExitShape::GroupDead, ExitShape::Live],
        };
        let mut result = Err(LoadError::Incomplete("exit program"));
        for &shape in shapes {
            for program in shape.programs() {
                result = self.attach_program(Hook::Exit, program);
                match &result {
                    Ok(()) => {
                        self.exit = Some((shape, program));
                        return Ok(());
                    }
                    Err(LoadError::NotPermitted { .. }) => return result,
                    Err(error) => debug!(program, "refused: {}", Chain(error)),
                }
            }
        }
        result
    }

    /// Which arguments the exit tracepoint has here.
    #[must_use]
    pub fn exit_shape(&self) -> Option<ExitShape> {
        self.exit.map(|(shape, _)| shape)
    }

    fn attach_program(&mut self, hook: Hook, program: &'static str) -> Result<(), LoadError> {
        let program: &mut RawTracePoint = self
            .ebpf
            .program_mut(program)
            .ok_or(LoadError::Incomplete(program))?
            .try_into()
            .map_err(|source| attach_error(hook, source))?;
        program
            .load()
            .map_err(|source| attach_error(hook, source))?;
        let _link: RawTracePointLinkId = program
            .attach(hook.tracepoint())
            .map_err(|source| attach_error(hook, source))?;
        Ok(())
    }

    /// From now on the decisive ring tells when this cgroup becomes empty or is
    /// removed.
    pub fn watch(&mut self, cgroup: CgroupId) -> Result<(), LoadError> {
        self.watched
            .insert(watch_key(cgroup), 1, 0)
            .map_err(|source| LoadError::Fill {
                map: "WATCHED",
                source,
            })
    }

    /// Hands what the programs logged to the log.
    pub fn flush_log(&mut self) {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
    }
}

/// An error and its causes, in a line.
struct Chain<'a>(&'a LoadError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

fn attach_error(hook: Hook, source: ProgramError) -> LoadError {
    let io_error = match &source {
        ProgramError::LoadError { io_error, .. } => Some(io_error),
        ProgramError::SyscallError(error) => Some(&error.io_error),
        _ => None,
    };
    let denied = io_error.filter(|error| {
        matches!(
            Errno::from_io_error(error),
            Some(Errno::PERM | Errno::ACCESS)
        )
    });
    // A verifier that refuses the program answers EACCES as well, with a log.
    let verifier_spoke = matches!(
        &source,
        ProgramError::LoadError { verifier_log, .. } if !verifier_log.to_string().is_empty()
    );
    match denied {
        Some(error) if !verifier_spoke => LoadError::NotPermitted {
            operation: format!("load the program for {}", hook.tracepoint()),
            source: io::Error::from(error.kind()),
        },
        _ => LoadError::Attach {
            hook,
            source: Box::new(source),
        },
    }
}

fn watch_key(cgroup: CgroupId) -> [u64; 2] {
    zerocopy::transmute!(CgroupKey {
        hierarchy: cgroup.hierarchy,
        reserved: 0,
        id: cgroup.id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(map: &str, errno: Errno) -> LoadError {
        map_error(EbpfError::MapError(MapError::CreateError {
            name: map.to_owned(),
            io_error: errno.into(),
        }))
    }

    /// Stands for a kernel before 5.8: there is none to run this on, so the
    /// answer that one gives is put in.
    #[test]
    fn a_kernel_without_ring_buffers_is_told_from_one_that_forbids_them() {
        for map in RINGS {
            assert!(
                matches!(refused(map, Errno::INVAL), LoadError::NoRingBuffer),
                "{map}"
            );
            for errno in [Errno::PERM, Errno::NOSYS] {
                let error = refused(map, errno);
                assert!(
                    matches!(error, LoadError::NotPermitted { .. }),
                    "{map}: {error}"
                );
            }
            assert!(
                matches!(refused(map, Errno::NOMEM), LoadError::Maps(_)),
                "{map}"
            );
        }
        assert!(matches!(
            refused("WATCHED", Errno::INVAL),
            LoadError::Maps(_)
        ));
    }

    #[test]
    fn every_ring_buffer_of_the_object_is_known_as_one() {
        const BPF_MAP_TYPE_RINGBUF: u32 = 27;
        let object = aya_obj::Object::parse(OBJECT).expect("the object that we ship");
        let mut rings: Vec<_> = object
            .maps
            .iter()
            .filter(|(_, map)| map.map_type() == BPF_MAP_TYPE_RINGBUF)
            .map(|(name, _)| name.as_str())
            .collect();
        let mut known = RINGS;
        rings.sort_unstable();
        known.sort_unstable();
        assert_eq!(rings, known);
    }
}
