//! Attached programs, and the cgroups that they watch.

use std::{collections::HashMap, thread};

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

/// Loads a program that is not loaded yet.
fn load(program: &mut Program) -> Result<(), ProgramError> {
    let loaded = match program {
        Program::RawTracePoint(program) => program.load(),
        Program::TracePoint(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    };
    match loaded {
        Err(ProgramError::AlreadyLoaded) => Ok(()),
        loaded => loaded,
    }
}

impl Attached {
    /// Loads the programs of these hooks, the exit program on a thread of its own, because the
    /// verifier takes as long for it as for the others together. A program that is refused is
    /// loaded again when it is attached, which reports the error.
    pub(super) fn load(&mut self, hooks: &[Hook]) {
        let exit = self.exit_programs().first().map(|&(_, name)| name);
        let exit = exit.filter(|_| hooks.contains(&Hook::Exit));
        let mut programs: HashMap<_, _> = self.ebpf.programs_mut().collect();
        thread::scope(|scope| {
            if let Some(program) = exit.and_then(|name| programs.remove(name)) {
                let loader = thread::Builder::new().name("loader".to_owned());
                let _thread = loader.spawn_scoped(scope, || load(program));
            }
            for hook in hooks.iter().filter(|&&hook| hook != Hook::Exit) {
                if let Some(program) = programs.remove(hook.as_str()) {
                    let _retried = load(program);
                }
            }
        });
    }

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

    /// Attaches the exit program that suits this kernel.
    fn attach_exit(&mut self) -> Result<(), LoadError> {
        let mut result = Err(LoadError::Incomplete("exit program"));
        for (shape, program) in self.exit_programs() {
            result = self.attach_exit_program(shape, program);
            match &result {
                Ok(()) => return result,
                Err(LoadError::NotPermitted { .. }) if shape != ExitShape::Classic => {
                    return result;
                }
                Err(error) => debug!(program, "cannot attach the program: {}", Chain(error)),
            }
        }
        result
    }

    /// The exit programs that may suit this kernel, the best first. The BTF says which shape that
    /// is; without BTF the newer shape comes first, which an older kernel refuses to attach.
    /// Where raw programs may be preempted, the classic program is the first choice; it
    /// needs a tracefs.
    fn exit_programs(&self) -> Vec<(ExitShape, &'static str)> {
        use ExitShape::{Classic, GroupDead, Live};

        let types = self.types.as_ref();
        let may_be_preempted = types.is_some_and(|types| types.tracepoints_are_preemptible);
        let raw: &[_] = match types.and_then(|types| types.exit_has_group_dead) {
            Some(true) => &[GroupDead],
            Some(false) => &[Live],
            None => &[GroupDead, Live],
        };
        let classic: &[_] = if may_be_preempted { &[Classic] } else { &[] };
        let mut programs = Vec::new();
        for &shape in classic.iter().chain(raw) {
            let mut names = shape.programs().to_vec();
            if self.loads_fast {
                names.reverse();
            }
            programs.extend(names.into_iter().map(|name| (shape, name)));
        }
        programs
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
        let program = program.ok_or(LoadError::Incomplete(name))?;
        let attached = load(program).and_then(|()| match program {
            Program::RawTracePoint(program) => program.attach(tracepoint).map(drop),
            Program::TracePoint(program) => program.attach("sched", tracepoint).map(drop),
            _ => Err(ProgramError::UnexpectedProgramType),
        });
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
