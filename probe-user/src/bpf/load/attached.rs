//! Attached programs, and the cgroups that they watch.

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
    programs::{Program, ProgramError},
};
use aya_log::EbpfLogger;
use probe_ebpf::event::UNKNOWN;
use tracing::{debug, warn};

use super::{
    error::{Chain, LoadError, attach_error},
    watched::Watched,
};
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
    /// See [`Plan::loads_fast`](super::Plan::loads_fast).
    pub(super) loads_fast: bool,
    /// The shape of the exit program that runs.
    pub(super) exit: Option<ExitShape>,
    pub(super) watched: Watched,
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
            self.attach_program(hook, hook.as_str())
        }
    }

    /// Attaches the exit program that suits this kernel. The BTF says which shape that is;
    /// without BTF the newer shape comes first, which an older kernel refuses to attach.
    /// Where raw programs may be preempted, the classic program is the first choice; it
    /// needs a tracefs.
    fn attach_exit(&mut self) -> Result<(), LoadError> {
        use ExitShape::{Classic, GroupDead, Live};

        let types = self.types.as_ref();
        let may_be_preempted = types.is_some_and(|types| types.tracepoints_are_preemptible);
        let raw: &[_] = match types.and_then(|types| types.exit_has_group_dead) {
            Some(true) => &[GroupDead],
            Some(false) => &[Live],
            None => &[GroupDead, Live],
        };
        let classic: &[_] = if may_be_preempted { &[Classic] } else { &[] };
        let mut result = Err(LoadError::Incomplete("exit program"));
        for &shape in classic.iter().chain(raw) {
            let mut programs = shape.programs().to_vec();
            if self.loads_fast {
                programs.reverse();
            }
            for program in programs {
                result = self.attach_exit_program(shape, program);
                match &result {
                    Ok(()) => return result,
                    Err(LoadError::NotPermitted { .. }) if shape != Classic => return result,
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
        self.attach_program(Hook::Exit, program)?;
        self.exit = Some(shape);
        Ok(())
    }

    /// The shape of the attached exit program.
    #[must_use]
    pub const fn exit_shape(&self) -> Option<ExitShape> {
        self.exit
    }

    fn attach_program(&mut self, hook: Hook, name: &'static str) -> Result<(), LoadError> {
        let tracepoint = hook.tracepoint();
        let program = self.ebpf.program_mut(name);
        let attached = match program.ok_or(LoadError::Incomplete(name))? {
            Program::RawTracePoint(program) => program
                .load()
                .and_then(|()| program.attach(tracepoint).map(drop)),
            Program::TracePoint(program) => program
                .load()
                .and_then(|()| program.attach("sched", tracepoint).map(drop)),
            _ => Err(ProgramError::UnexpectedProgramType),
        };
        attached.map_err(|source| attach_error(hook, source))
    }

    /// Makes the programs report when this cgroup becomes empty or is removed, in the
    /// decisive ring.
    pub fn watch(&mut self, cgroup: CgroupId) -> Result<(), LoadError> {
        self.watched
            .insert(cgroup)
            .map_err(LoadError::fill("WATCHED"))
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

    /// The last value of `populated` of a watched cgroup, one of
    /// [`occupancy`](probe_ebpf::config::occupancy). `None` if
    /// the cgroup is not watched, and for good once the programs may have missed a change.
    #[must_use]
    pub(crate) fn occupancy(&self, cgroup: CgroupId) -> Option<u32> {
        if !self.knows_cgroups() {
            return None;
        }
        let occupancy = self.watched.occupancy(cgroup)?;
        (self.occupancy_lost() == Some(0)).then_some(occupancy)
    }

    /// Undoes [`Attached::watch`], and ignores a cgroup that is not watched.
    pub fn unwatch(&mut self, cgroup: CgroupId) {
        if let Err(error) = self.watched.remove(cgroup) {
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
