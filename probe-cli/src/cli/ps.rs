//! `probe ps`: containers and their processes.

use std::{collections::HashSet, io, path::PathBuf, time::Duration};

use probe_daemon::{
    api::{
        container::{Container, Process},
        json::listing,
    },
    client::ClientError,
};
use probe_user::unstable::{
    cgroup::pinned::PinnedCgroup,
    clock::boottime_ns,
    container::{Resolver, StateRoots},
};

use super::{
    ExitCode, Failure, census,
    named::{find, unit_paths},
    socket::Socket,
    target::{self, CgroupTarget},
    terminal,
};
use crate::{
    output::{Out, StopFlag, human, is_closed},
    session::log_without_daemon,
};

/// Show containers with their live processes, or the process tree of a target
///
/// Without a target: every container with how many processes live in it, how old
/// the oldest is, and how many exits of it the daemon remembers. With one: its
/// processes, children below their parents. Asks the probe daemon if one answers,
/// else it looks itself; then nobody knows of exits.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArg,

    /// Which hierarchy --cgroup means: v2, or the name of a v1 controller
    #[arg(long, value_name = "NAME")]
    hierarchy: Option<String>,

    /// State directory of a runtime started with --root
    #[arg(long, value_name = "DIR")]
    runtime_root: Vec<PathBuf>,

    #[command(flatten)]
    socket: Socket,

    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// At most one target.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct TargetArg {
    /// This process and all who descend from it
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,

    /// A cgroup and all below it: a path on a cgroup mount, or below the root of a
    /// hierarchy
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,

    /// A container: id, unique beginning of an id, or name
    #[arg(long, value_name = "ID|NAME")]
    container: Option<String>,

    /// A systemd unit, by its cgroup
    #[arg(long, value_name = "NAME")]
    unit: Option<String>,
}

/// How long a daemon may take to answer, since `/proc` has the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// The listing to print.
enum Shown {
    /// Containers, and whether a daemon remembers their exits.
    Containers(Vec<Container>, bool),
    Processes(Vec<Process>),
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let shown = match &args.target {
        TargetArg { pid: Some(pid), .. } => family(*pid)?,
        TargetArg {
            cgroup: Some(name), ..
        } => {
            let mounts = target::mounts()?;
            members(&[target::cgroup(&mounts, name, args.hierarchy.as_deref())?])?
        }
        TargetArg {
            unit: Some(name), ..
        } => members(&unit(name)?)?,
        TargetArg { container, .. } => match args.ask_daemon(container.as_deref())? {
            Some(shown) => shown,
            None => args.read_proc(container.as_deref())?,
        },
    };
    match args.print(shown) {
        Err(error) if !is_closed(&error) => Err(error.into()),
        _ => Ok(ExitCode::Done),
    }
}

impl Args {
    /// From a daemon; `None` if no daemon answers or it does not show this to us.
    fn ask_daemon(&self, container: Option<&str>) -> Result<Option<Shown>, Failure> {
        let daemon = self.socket.daemon()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let asked = runtime.block_on(async {
            let mut client = daemon.connect(PATIENCE).await?;
            Ok(match container {
                None => Shown::Containers(client.containers().await?, true),
                Some(name) => {
                    let container = client.container(name).await?;
                    Shown::Processes(container.processes.unwrap_or_default())
                }
            })
        });
        match asked {
            Ok(shown) => Ok(Some(shown)),
            // The daemon may not know the container, or may not show it to this user.
            Err(error @ ClientError::Refused(_)) => {
                tracing::info!("the daemon does not tell: {error}");
                Ok(None)
            }
            Err(error) => {
                log_without_daemon(error, daemon.is_named);
                Ok(None)
            }
        }
    }

    /// From `/proc` and the state files of runtimes.
    fn read_proc(&self, container: Option<&str>) -> Result<Shown, Failure> {
        let roots = StateRoots::system(terminal::runtime_dir(), self.runtime_root.clone());
        let mut resolver = Resolver::unwatched(roots);
        let Some(name) = container else {
            let containers = census::containers(&mut resolver)?;
            return Ok(Shown::Containers(containers, false));
        };
        let mounts = target::mounts()?;
        let found = find(name, &mounts, &mut resolver)?;
        let mut cgroups = Vec::new();
        for (hierarchy, path) in &found.cgroups {
            cgroups.push(CgroupTarget::at(&mounts, *hierarchy, path)?);
        }
        // The runtime may be removing them one by one.
        cgroups.retain(CgroupTarget::exists);
        members(&cgroups)
    }

    fn print(&self, shown: Shown) -> io::Result<()> {
        let mut out = Out::stdout(StopFlag::default())?;
        let now_ns = boottime_ns();
        let screen = (now_ns, terminal::width());
        match shown {
            Shown::Containers(containers, has_history) if self.json => {
                for it in &containers {
                    out.line(|line| listing::write_container(line, it, has_history, now_ns))?;
                }
            }
            Shown::Containers(containers, has_history) => {
                human::write_containers(&mut out, &containers, has_history, screen)?;
            }
            Shown::Processes(processes) => {
                let tree = census::tree(processes);
                if self.json {
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

fn members(cgroups: &[CgroupTarget]) -> Result<Shown, Failure> {
    let mut pids = HashSet::new();
    for cgroup in cgroups {
        if !cgroup.exists() {
            return Err(cgroup.missing());
        }
        let pinned = PinnedCgroup::open(cgroup.mount.hierarchy, &cgroup.directory)?;
        pids.extend(pinned.members()?);
    }
    let mut processes = census::live()?;
    processes.retain(|process| pids.contains(&process.pid));
    Ok(Shown::Processes(processes))
}

fn family(pid: u32) -> Result<Shown, Failure> {
    target::check_pid(pid)?;
    let processes = census::descendants(census::live()?, pid);
    Ok(Shown::Processes(processes))
}

fn unit(name: &str) -> Result<Vec<CgroupTarget>, Failure> {
    let (wanted, found) = unit_paths(name, &target::mounts()?)?;
    if found.is_empty() {
        let message = format!("no unit '{wanted}' has a cgroup");
        return Err(Failure::message(ExitCode::NoSuchTarget, message));
    }
    Ok(found)
}
