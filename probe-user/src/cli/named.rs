//! What the user named, pinned: cgroups, containers, units and processes.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{
    ExitCode, Failure,
    target::{self, CgroupTarget},
    terminal,
};
use crate::{
    container::{FindError, Found, Resolver, StateRoots},
    output::subject::{CgroupName, ProcessName, Subject},
    source::{
        cgroup_events::{PinError, PinnedCgroup},
        cgroupfs::{self, Mount},
        pidfd_info,
        pinned_process::{PinProcessError, PinnedProcess},
    },
    wait,
    waiter::{Backend, Until},
};

/// The targets of `wait` and `kill`.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group(
    clap::ArgGroup::new("target")
        .args(["processes", "pid", "cgroup", "container", "unit"])
        .required(true)
        .multiple(true)
))]
pub(super) struct Targets {
    /// A process: its pid, or PID:INODE with the inode number of its pidfd
    #[arg(value_name = "PID", value_parser = process)]
    processes: Vec<ProcessArg>,

    /// The same
    #[arg(long, value_name = "PID", value_parser = process)]
    pid: Vec<ProcessArg>,

    /// A cgroup and all below it: a path on a cgroup mount, or below the root of
    /// a hierarchy
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<PathBuf>,

    /// A container: id, unique beginning of an id, or name
    #[arg(long, value_name = "ID|NAME")]
    container: Vec<String>,

    /// A systemd unit, by its cgroup
    #[arg(long, value_name = "NAME")]
    unit: Vec<String>,

    /// Which hierarchy --cgroup means: v2, or the name of a v1 controller
    #[arg(long, value_name = "NAME")]
    hierarchy: Option<String>,

    /// State directory of a runtime started with --root
    #[arg(long, value_name = "DIR")]
    runtime_root: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
struct ProcessArg {
    pid: u32,
    /// Of the pidfd: tells it from another that has the pid later (Linux 6.9).
    inode: Option<u64>,
}

fn process(text: &str) -> Result<ProcessArg, String> {
    let (pid, inode) = text
        .split_once(':')
        .map_or((text, None), |(pid, inode)| (pid, Some(inode)));
    let number = pid.parse::<i32>().ok().filter(|&pid| pid > 0);
    let pid = number.ok_or_else(|| format!("'{pid}' is no pid: a number from 1 on"))?;
    let inode = inode
        .map(|inode| {
            inode
                .parse()
                .map_err(|_no_number| format!("'{inode}' is no inode number"))
        })
        .transpose()?;
    Ok(ProcessArg {
        pid: pid.cast_unsigned(),
        inode,
    })
}

/// A target, pinned, or gone before we looked.
pub(super) struct Named {
    /// How messages and the verdict call it.
    pub(super) subject: Subject,
    /// `None`: it is gone already, and that is what is waited for.
    pub(super) pinned: Option<wait::Target>,
    /// Its cgroups: where its exits happen.
    pub(super) cgroups: Vec<CgroupTarget>,
    /// What is waited for unless the user says otherwise.
    pub(super) default_until: Until,
}

impl Named {
    /// Whether this can be waited for of such a target.
    pub(super) fn check(&self, until: Option<Until>) -> Result<(), Failure> {
        let Some(until) = until else { return Ok(()) };
        let is_process = self.subject.process.is_some();
        let is_container =
            self.subject.container.is_some() || self.subject.unknown_container.is_some();
        let hint = match until {
            Until::Empty | Until::Removed if is_process => {
                "a process can be waited for until exited or reaped"
            }
            Until::Stopped if !is_container => {
                "stopped is for containers; wait for a cgroup until empty, for a process until exited"
            }
            _ => return Ok(()),
        };
        let message = format!("--until {} does not fit a target", until.as_str());
        Err(Failure::message(ExitCode::Usage, message).hint(hint))
    }
}

/// How to take targets that are not there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Absent {
    /// Whatever is not there is an error.
    pub(super) is_error: bool,
    /// Also an unknown container or unit is taken for one that is gone.
    pub(super) unknown_is_gone: bool,
}

impl Targets {
    /// Pins everything, or says what is wrong with the first that is wrong.
    pub(super) fn pin(
        &self,
        mounts: &[Mount],
        tier: Backend,
        absent: Absent,
    ) -> Result<Vec<Named>, Failure> {
        let mut named = Vec::new();
        for name in &self.cgroup {
            let target = target::cgroup(mounts, name, self.hierarchy.as_deref())?;
            named.push(cgroup(&target, absent, Some(name))?);
        }
        for name in &self.unit {
            named.push(unit(name, mounts, absent)?);
        }
        if !self.container.is_empty() {
            let mut resolver = self.resolver();
            for name in &self.container {
                named.push(container(name, mounts, &mut resolver, tier, absent)?);
            }
        }
        for name in self.processes.iter().chain(&self.pid) {
            named.push(one_process(*name, tier, absent)?);
        }
        Ok(named)
    }

    pub(super) fn resolver(&self) -> Resolver {
        let roots = StateRoots::system(terminal::runtime_dir(), self.runtime_root.clone());
        Resolver::unwatched(roots)
    }
}

fn cgroup(target: &CgroupTarget, absent: Absent, name: Option<&Path>) -> Result<Named, Failure> {
    let pinned = pin_cgroup(target, absent, name)?;
    Ok(Named {
        subject: Subject {
            cgroup: Some(cgroup_name(target, pinned.as_ref())),
            ..Subject::default()
        },
        pinned: pinned.map(|pinned| wait::Target {
            cgroups: vec![(pinned, target.path.clone())],
            processes: Vec::new(),
        }),
        cgroups: vec![target.clone()],
        default_until: Until::Empty,
    })
}

fn cgroup_name(target: &CgroupTarget, pinned: Option<&PinnedCgroup>) -> CgroupName {
    CgroupName {
        id: pinned.map(|pinned| pinned.id),
        path: target.path.clone(),
    }
}

/// `None`: it is gone already.
fn pin_cgroup(
    target: &CgroupTarget,
    absent: Absent,
    name: Option<&Path>,
) -> Result<Option<PinnedCgroup>, Failure> {
    let error = match PinnedCgroup::open(target.mount.hierarchy, &target.directory) {
        Ok(pinned) => return Ok(Some(pinned)),
        Err(error) => error,
    };
    let errno = match &error {
        PinError::Open { source, .. } => Errno::from_io_error(source),
        PinError::Root { .. } => None,
    };
    match errno {
        Some(Errno::NOENT | Errno::NODEV) if !target.parent_exists() => Err(target
            .missing()
            .hint("its parent is not there either: a typo?")),
        // A path of something else that exists is no cgroup that was removed.
        Some(Errno::NOENT | Errno::NODEV)
            if name.is_some_and(|it| it.is_absolute() && it.exists()) =>
        {
            Err(target.missing().hint("that path is on no cgroup mount"))
        }
        Some(Errno::NOENT | Errno::NODEV) if absent.is_error => Err(target.missing()),
        Some(Errno::NOENT | Errno::NODEV) => Ok(None),
        Some(Errno::NOTDIR) => Err(Failure::new(ExitCode::NoSuchTarget, error)),
        Some(Errno::ACCESS | Errno::PERM) => Err(Failure::new(ExitCode::NotAvailable, error)
            .hint("run it as a user who may open that directory")),
        Some(Errno::NAMETOOLONG | Errno::INVAL | Errno::LOOP) => {
            Err(Failure::new(ExitCode::NoSuchTarget, error))
        }
        _ => Err(Failure::new(ExitCode::Usage, error).hint("name a cgroup below it")),
    }
}

fn unit(name: &str, mounts: &[Mount], absent: Absent) -> Result<Named, Failure> {
    let wanted = if name.contains('.') {
        name.to_owned()
    } else {
        format!("{name}.service")
    };
    let by_systemd = |mount: &&Mount| {
        mount.hierarchy == 0 || mount.controllers.iter().any(|it| it == "name=systemd")
    };
    let mut found: Vec<(Mount, String)> = Vec::new();
    for mount in mounts.iter().filter(by_systemd) {
        if !found.is_empty() {
            break;
        }
        cgroupfs::walk(mount, &mut |_, path| {
            if Path::new(&path)
                .file_name()
                .is_some_and(|it| it == wanted.as_str())
            {
                found.push((mount.clone(), path));
            }
        })?;
    }
    match found.as_slice() {
        [] if absent.unknown_is_gone => Ok(gone(of_unit(wanted), Until::Empty)),
        [] => Err(Failure::message(
            ExitCode::NoSuchTarget,
            format_args!("no unit '{wanted}' has a cgroup"),
        )
        .hint("a unit without processes has none; -e takes that for done")),
        [(mount, path)] => {
            let target = target::cgroup(std::slice::from_ref(mount), path.as_ref(), None)?;
            let mut named = cgroup(&target, absent, None)?;
            named.subject.unit = Some(wanted);
            Ok(named)
        }
        several => {
            let paths: Vec<_> = several.iter().map(|(_, path)| path.as_str()).collect();
            let message = format!("unit '{wanted}' may be any of {}", paths.join(" "));
            Err(Failure::message(ExitCode::NoSuchTarget, message).hint("say which: --cgroup PATH"))
        }
    }
}

fn of_unit(name: String) -> Subject {
    Subject {
        unit: Some(name),
        ..Subject::default()
    }
}

fn gone(subject: Subject, default_until: Until) -> Named {
    Named {
        subject,
        pinned: None,
        cgroups: Vec::new(),
        default_until,
    }
}

/// A container by id or name, or why there is none.
pub(super) fn find(
    name: &str,
    mounts: &[Mount],
    resolver: &mut Resolver,
) -> Result<Found, Failure> {
    let mut cgroups = Vec::new();
    for mount in mounts {
        cgroupfs::walk(mount, &mut |id, path| cgroups.push((id.hierarchy, path)))?;
    }
    resolver.find(name, &cgroups).map_err(|error| {
        let hint = match &error {
            FindError::Unknown { .. } => {
                "give an id, the beginning of one, or a name; a runtime started with \
                 --root needs --runtime-root DIR"
            }
            FindError::Ambiguous { .. } => "say which: give the whole id",
        };
        Failure::new(ExitCode::NoSuchTarget, error).hint(hint)
    })
}

fn container(
    name: &str,
    mounts: &[Mount],
    resolver: &mut Resolver,
    tier: Backend,
    absent: Absent,
) -> Result<Named, Failure> {
    let found = match find(name, mounts, resolver) {
        Ok(found) => found,
        Err(failure) if absent.unknown_is_gone && failure.is_unknown_container() => {
            let subject = Subject {
                unknown_container: Some(name.to_owned()),
                ..Subject::default()
            };
            return Ok(gone(subject, Until::Stopped));
        }
        Err(failure) => return Err(failure),
    };
    let mut target = wait::Target::default();
    let mut cgroups = Vec::new();
    let mut subject = Subject::default();
    for (hierarchy, path) in &found.cgroups {
        let mount = mounts.iter().filter(|it| it.hierarchy == *hierarchy);
        let mount: Vec<_> = mount.cloned().collect();
        let cgroup = target::cgroup(&mount, path.as_ref(), None)?;
        // The runtime may be removing them one by one.
        if let Some(pinned) = pin_cgroup(&cgroup, Absent::default(), None)? {
            subject
                .cgroup
                .get_or_insert(cgroup_name(&cgroup, Some(&pinned)));
            target.cgroups.push((pinned, cgroup.path.clone()));
            cgroups.push(cgroup);
        }
    }
    for init in found.inits {
        match PinnedProcess::open(init.pid, tier) {
            Ok(process) if process.start_ticks() == init.start_ticks => {
                target.processes.push(process);
            }
            Ok(_another) => {}
            Err(PinProcessError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    subject.container = Some(found.container);
    Ok(Named {
        subject,
        pinned: Some(target),
        cgroups,
        default_until: Until::Stopped,
    })
}

fn one_process(name: ProcessArg, tier: Backend, absent: Absent) -> Result<Named, Failure> {
    let subject = |comm| Subject {
        process: Some(ProcessName {
            pid: name.pid,
            comm,
        }),
        ..Subject::default()
    };
    let process = match PinnedProcess::open(name.pid, tier) {
        Ok(process) => process,
        Err(error @ PinProcessError::NotFound { .. }) if absent.is_error => {
            return Err(Failure::new(ExitCode::NoSuchTarget, error));
        }
        Err(PinProcessError::NotFound { .. }) => return Ok(gone(subject(None), Until::Exited)),
        Err(error @ PinProcessError::Thread { tgid, .. }) => {
            let hint = format!("wait for the process: {tgid}");
            return Err(Failure::new(ExitCode::NoSuchTarget, error).hint(hint));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(inode) = name.inode {
        match process.pidfd().and_then(pidfd_info::inode) {
            Some(actual) if actual == inode => {}
            // The pid is another's now: the one that was meant is gone.
            Some(_) if absent.is_error => {
                let message = format!("process {}:{inode} is gone", name.pid);
                return Err(Failure::message(ExitCode::NoSuchTarget, message));
            }
            Some(_) => return Ok(gone(subject(None), Until::Exited)),
            None => {
                let message = "this kernel has no inode numbers for pidfds";
                let failure = Failure::message(ExitCode::NotAvailable, message);
                return Err(failure.hint("needs Linux 6.9; give the pid alone"));
            }
        }
    }
    Ok(Named {
        subject: subject(Some(process.comm.clone())),
        pinned: Some(wait::Target {
            cgroups: Vec::new(),
            processes: vec![process],
        }),
        cgroups: Vec::new(),
        default_until: Until::Exited,
    })
}
