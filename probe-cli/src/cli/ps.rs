//! `probe ps`: lists containers and their processes.

use std::{collections::HashSet, io};

use probe_daemon::api::{
    container::{Container, Process, State},
    json::listing,
};
use probe_user::{
    model::is_within,
    unstable::{
        clock::boottime_ns,
        container::Resolver,
        proc::{init_tree::InitTree, scan::CgroupPath},
    },
};

use super::{
    ExitCode, Failure,
    format::{FormatArg, unknown_column},
    named::{Missing, ProcessArg, TargetArgs, find, pin_cgroup, unit_cgroups},
    processes,
    socket::{OPTIONAL_PATIENCE, Socket},
    target::{self, CgroupTarget},
    terminal::{self, Messages},
};
use crate::{
    output::{
        Out, StopFlag,
        human::{self, Screen},
        ignore_closed,
    },
    session::log_missing_daemon,
};

/// List containers with live processes, or show the process tree of a target
///
/// Without a target, probe lists every container with the number of its processes,
/// the age of the oldest process, and the number of exits in the history of the
/// daemon. With targets, probe shows their processes, each child below its parent;
/// PID stands for the process and its descendants. A process is listed until it has
/// exited: its exit may hang, and the state is `exiting` then.
///
/// probe asks the daemon if one answers. Otherwise it reads /proc and the state of
/// the container runtimes, and the number of exits is unknown.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    targets: TargetArgs,

    #[command(flatten)]
    socket: Socket,

    #[command(flatten)]
    format: FormatArg,
}

/// The listing to print.
enum Listing {
    /// Containers, and whether the number of their exits is known.
    Containers(Vec<Container>, bool),
    Processes(Vec<Process>),
}

pub(super) fn run(args: &Args, messages: Messages) -> Result<ExitCode, Failure> {
    let of_processes = args.targets.are_any();
    human::check_columns(args.format.names(), of_processes).map_err(unknown_column)?;
    let shown = if of_processes {
        args.processes()?
    } else {
        args.named(None)?
    };
    if matches!(&shown, Listing::Containers(containers, _) if containers.is_empty()) {
        messages.print(
            "no container has live processes\n\
             hint: --pid, --cgroup and --unit list other processes; `probe doctor` lists the \
             engines that probe finds",
        );
    }
    ignore_closed(args.print(shown))?;
    Ok(ExitCode::Done)
}

impl Args {
    /// The processes of all targets, each once.
    fn processes(&self) -> Result<Listing, Failure> {
        let targets = &self.targets;
        let mut listings = Vec::new();
        for process in targets.processes()? {
            listings.push(process_tree(process)?);
        }
        if !targets.cgroup.is_empty() || !targets.unit.is_empty() {
            let mounts = target::mounts()?;
            for name in &targets.cgroup {
                let hierarchy = targets.hierarchy.as_deref();
                listings.push(members(&[target::cgroup(&mounts, name, hierarchy)?])?);
            }
            for name in &targets.unit {
                listings.push(members(&unit_cgroups(name, &mounts)?)?);
            }
        }
        for name in &targets.container {
            listings.push(self.named(Some(name))?);
        }
        let processes = listings.into_iter().flat_map(|listing| match listing {
            Listing::Processes(processes) => processes,
            Listing::Containers(..) => Vec::new(),
        });
        let mut processes: Vec<_> = processes.collect();
        let mut listed = HashSet::new();
        processes.retain(|it| listed.insert(it.pid));
        Ok(Listing::Processes(processes))
    }

    /// The processes of a container, or all containers.
    fn named(&self, container: Option<&str>) -> Result<Listing, Failure> {
        match self.ask_daemon(container)? {
            Some(shown) => Ok(self.complete(shown, container)),
            None => self.read_proc(container),
        }
    }

    /// Asks a daemon. Returns `None` if none answers, or if it refuses the request.
    fn ask_daemon(&self, container: Option<&str>) -> Result<Option<Listing>, Failure> {
        let daemon = self.socket.daemon()?;
        let asked = super::runtime()?.block_on(async {
            let mut client = daemon.connect(OPTIONAL_PATIENCE).await?;
            Ok(match container {
                None => Listing::Containers(client.containers().await?, true),
                Some(name) => {
                    let container = client.container(name).await?;
                    Listing::Processes(container.processes.unwrap_or_default())
                }
            })
        });
        match asked {
            Ok(shown) => {
                print_unnamed(&shown);
                Ok(Some(shown))
            }
            Err(error) => {
                log_missing_daemon(error, daemon.is_named);
                Ok(None)
            }
        }
    }

    /// Adds to the answer of a daemon what it does not know: processes of which the exit has
    /// begun, and those of a container without a cgroup of its own.
    fn complete(&self, shown: Listing, container: Option<&str>) -> Listing {
        match shown {
            Listing::Containers(mut containers, has_history) => {
                if let Ok(found) = processes::found() {
                    let mut resolver = self.resolver();
                    processes::add_exiting(&mut containers, found, &mut resolver);
                }
                Listing::Containers(containers, has_history)
            }
            Listing::Processes(mut known) => {
                if let Ok(Listing::Processes(read)) = self.read_proc(container) {
                    let is_missing = |it: &Process| {
                        let is_wanted = known.is_empty() || it.state == State::Exiting;
                        is_wanted && known.iter().all(|known| known.pid != it.pid)
                    };
                    let missing: Vec<_> = read.into_iter().filter(is_missing).collect();
                    known.extend(missing);
                }
                Listing::Processes(known)
            }
        }
    }

    fn resolver(&self) -> Resolver {
        self.targets.resolver()
    }

    /// Reads `/proc` and the state files of runtimes.
    fn read_proc(&self, container: Option<&str>) -> Result<Listing, Failure> {
        let mut resolver = self.resolver();
        let Some(name) = container else {
            let containers = processes::containers(&processes::found()?, &mut resolver);
            return Ok(Listing::Containers(containers, false));
        };
        let mounts = target::mounts()?;
        let found = find(name, &mounts, &mut resolver)?;
        let mut cgroups = Vec::new();
        for (hierarchy, path) in &found.cgroups {
            cgroups.push(CgroupTarget::at(&mounts, *hierarchy, path)?);
        }
        // The runtime may be removing the cgroups one by one.
        cgroups.retain(CgroupTarget::exists);
        let mut pids = pids_in(&cgroups)?;
        if cgroups.is_empty() {
            for init in &found.inits {
                let tree = InitTree::of(init.pid, init.start_ticks, found.owner);
                pids.extend(tree.members()?.processes.iter().map(|&(pid, _)| pid));
            }
        }
        let processes = listed(&cgroups, &pids)?;
        if processes.is_empty() {
            let reason = if found.may_have_others {
                "its init process has exited, and it has no cgroup by which probe could find others"
            } else {
                "it is stopped"
            };
            Messages::print_always(&format!(
                "probe: container '{name}' has no known processes: {reason}"
            ));
        }
        Ok(Listing::Processes(processes))
    }

    fn print(&self, shown: Listing) -> io::Result<()> {
        let mut out = Out::stdout(StopFlag::default())?;
        let now_ns = boottime_ns();
        let screen = Screen {
            now_ns,
            terminal: terminal::width(),
            chosen: self.format.names(),
        };
        match shown {
            Listing::Containers(containers, has_history) if self.format.is_json() => {
                for it in &containers {
                    out.line(|line| listing::write_container(line, it, has_history, now_ns))?;
                }
            }
            Listing::Containers(containers, has_history) => {
                human::write_containers(&mut out, &containers, has_history, screen)?;
            }
            Listing::Processes(processes) => {
                let tree = processes::tree(processes);
                if self.format.is_json() {
                    for it in &tree {
                        out.line(|line| listing::write_process(line, it, now_ns))?;
                    }
                } else {
                    human::write_processes(&mut out, &tree, screen)?;
                }
            }
        }
        out.flush()
    }
}

/// Tells why a container of an engine that names its containers has no name.
fn print_unnamed(shown: &Listing) {
    let Listing::Containers(containers, _) = shown else {
        return;
    };
    let is_unnamed = |it: &&Container| {
        let has_names = ["docker", "podman", "cri-o", "unknown"].contains(&it.runtime.as_str());
        has_names && it.name.is_none()
    };
    let unnamed = containers.iter().filter(is_unnamed).count();
    if unnamed > 0 {
        Messages::print_always(&format!(
            "probe: the daemon may not read the names of {unnamed} container(s)\n\
             hint: start the daemon with --runtime-names and CAP_DAC_READ_SEARCH"
        ));
    }
}

fn members(cgroups: &[CgroupTarget]) -> Result<Listing, Failure> {
    Ok(Listing::Processes(listed(cgroups, &pids_in(cgroups)?)?))
}

fn pids_in(cgroups: &[CgroupTarget]) -> Result<HashSet<u32>, Failure> {
    let mut pids = HashSet::new();
    for cgroup in cgroups {
        if let Ok(pinned) = pin_cgroup(cgroup, Missing::Error)? {
            pids.extend(pinned.members()?);
        }
    }
    Ok(pids)
}

/// The processes of the cgroups: those with one of the pids, and those that are exiting. A list
/// of members lacks the latter from Linux 7.0 on, but `/proc` shows their v2 cgroup.
fn listed(cgroups: &[CgroupTarget], pids: &HashSet<u32>) -> Result<Vec<Process>, Failure> {
    let is_in = |place: &CgroupPath| {
        let mut cgroups = cgroups.iter();
        place.hierarchy == 0
            && cgroups.any(|it| it.mount.hierarchy == 0 && is_within(&place.path, &it.path))
    };
    let mut found = processes::found()?;
    found.retain(|it| {
        let is_exiting = it.process.state.has_begun_exit();
        pids.contains(&it.process.tgid) || is_exiting && it.place.iter().any(is_in)
    });
    Ok(found.iter().map(processes::process).collect())
}

fn process_tree(process: ProcessArg) -> Result<Listing, Failure> {
    // A thread has a directory in `/proc` too.
    let pid = process.pin()?.tgid;
    let all = processes::found()?;
    let all = all.iter().map(processes::process).collect();
    Ok(Listing::Processes(processes::descendants(all, pid)))
}
