//! Attached programs, and the cgroups that they watch.

use aya::{
    Ebpf,
    maps::{HashMap, MapData, PerCpuArray},
    programs::{Program, ProgramError, RawTracePoint, TracePoint},
};
use aya_log::EbpfLogger;
use probe_ebpf::{
    config::occupancy,
    event::{CgroupKey, UNKNOWN},
};
use tracing::{debug, warn};

use super::error::{Chain, LoadError, attach_error};
use crate::{
    bpf::hook::{ExitShape, Hook},
    closing::ClosedOnThread,
    kernel::btf,
    model::CgroupId,
};

/// Attached programs and their maps. Dropping this detaches all programs.
pub struct Attached {
    pub(in crate::bpf) ebpf: ClosedOnThread<Ebpf>,
    pub(in crate::bpf) counters: PerCpuArray<MapData, u64>,
    /// `None` if the kernel has no BTF: then records lack the fields that need it.
    pub types: Option<btf::KernelTypes>,
    /// Which exit program runs.
    pub(in crate::bpf) exit: Option<(ExitShape, &'static str)>,
    pub(super) watched: HashMap<MapData, [u64; 2], u32>,
    pub(super) logger: Option<EbpfLogger<&'static dyn log::Log>>,
}

impl Attached {
    pub(super) fn attach_or_degrade(&mut self, hook: Hook) -> Result<(), LoadError> {
        match (self.attach(hook), hook.loss()) {
            (Err(error @ (LoadError::Attach { .. } | LoadError::Refused { .. })), Some(loss)) => {
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

    /// Attaches the exit program that suits this kernel. The BTF says which shape that is;
    /// without BTF the newer shape comes first, which an older kernel refuses to attach.
    /// Where raw programs may be preempted, the classic program is the first choice; it
    /// needs a tracefs.
    fn attach_exit(&mut self) -> Result<(), LoadError> {
        let types = self.types.as_ref();
        let may_be_preempted = types.is_some_and(|types| types.tracepoints_are_preemptible);
        if may_be_preempted {
            let program = ExitShape::Classic.programs()[0];
            match self.attach_exit_program(ExitShape::Classic, program) {
                Ok(()) => return Ok(()),
                Err(error) => debug!(program, "cannot attach the program: {}", Chain(&error)),
            }
        }
        let types = self.types.as_ref();
        let shapes: &[ExitShape] = match types.and_then(|types| types.exit_has_group_dead) {
            Some(true) => &[ExitShape::GroupDead],
            Some(false) => &[ExitShape::Live],
            None => &[ExitShape::GroupDead, ExitShape::Live],
        };
        let mut result = Err(LoadError::Incomplete("exit program"));
        for &shape in shapes {
            for &program in shape.programs() {
                result = self.attach_exit_program(shape, program);
                match &result {
                    Ok(()) | Err(LoadError::NotPermitted { .. }) => return result,
                    Err(error) => debug!(program, "cannot attach the program: {}", Chain(error)),
                }
            }
        }
        result
    }

    /// Attaches one of [`ExitShape::programs`], whatever suits this kernel best. Tests use
    /// it, because the programs of an older shape run on newer kernels too.
    pub fn attach_exit_program(
        &mut self,
        shape: ExitShape,
        program: &'static str,
    ) -> Result<(), LoadError> {
        match shape {
            ExitShape::GroupDead | ExitShape::Live => self.attach_program(Hook::Exit, program)?,
            ExitShape::Classic => self.attach_classic(Hook::Exit, program)?,
        }
        self.exit = Some((shape, program));
        Ok(())
    }

    /// The shape of the attached exit program.
    #[must_use]
    pub fn exit_shape(&self) -> Option<ExitShape> {
        self.exit.map(|(shape, _)| shape)
    }

    fn attach_program(&mut self, hook: Hook, program: &'static str) -> Result<(), LoadError> {
        let program: &mut RawTracePoint = self.program(hook, program)?;
        let loaded = program.load();
        let attached = loaded.and_then(|()| program.attach(hook.tracepoint()));
        attached
            .map(drop)
            .map_err(|source| attach_error(hook, source))
    }

    fn attach_classic(&mut self, hook: Hook, program: &'static str) -> Result<(), LoadError> {
        let program: &mut TracePoint = self.program(hook, program)?;
        let loaded = program.load();
        let attached = loaded.and_then(|()| program.attach("sched", hook.tracepoint()));
        attached
            .map(drop)
            .map_err(|source| attach_error(hook, source))
    }

    fn program<'a, P>(&'a mut self, hook: Hook, name: &'static str) -> Result<&'a mut P, LoadError>
    where
        &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        let program = self.ebpf.program_mut(name);
        program
            .ok_or(LoadError::Incomplete(name))?
            .try_into()
            .map_err(|source| attach_error(hook, source))
    }

    /// Makes the programs report when this cgroup becomes empty or is removed, in the
    /// decisive ring.
    pub fn watch(&mut self, cgroup: CgroupId) -> Result<(), LoadError> {
        self.watched
            .insert(watch_key(cgroup), occupancy::UNCHANGED, 0)
            .map_err(|source| LoadError::Fill {
                map: "WATCHED",
                source,
            })
    }

    /// Whether the programs can identify cgroups, which takes the kernel's types.
    #[must_use]
    pub(crate) fn knows_cgroups(&self) -> bool {
        self.types.as_ref().is_some_and(|types| {
            let of = &types.offsets;
            let needed = [of.cgroup_kn, of.kn_id, of.cgroup_root, of.root_hierarchy_id];
            needed.iter().all(|&it| it != UNKNOWN)
        })
    }

    /// The last value of `populated` of a watched cgroup, one of [`occupancy`]. `None` if
    /// the cgroup is not watched, and for good once the programs may have missed a change.
    #[must_use]
    pub(crate) fn occupancy(&self, cgroup: CgroupId) -> Option<u32> {
        if !self.knows_cgroups() {
            return None;
        }
        let occupancy = self.watched.get(&watch_key(cgroup), 0).ok()?;
        (self.occupancy_lost() == Some(0)).then_some(occupancy)
    }

    /// Undoes [`Attached::watch`], and ignores a cgroup that is not watched.
    pub fn unwatch(&mut self, cgroup: CgroupId) {
        if let Err(error) = self.watched.remove(&watch_key(cgroup)) {
            debug!(%error, ?cgroup, "the cgroup is not watched");
        }
    }

    /// Writes the log messages of the programs to the log of this process.
    pub(crate) fn flush_log(&mut self) {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
    }
}

fn watch_key(cgroup: CgroupId) -> [u64; 2] {
    zerocopy::transmute!(CgroupKey {
        hierarchy: cgroup.hierarchy,
        reserved: 0,
        id: cgroup.id,
    })
}
