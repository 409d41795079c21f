//! A running container of any runtime, and its cgroups.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use probe_tests::{Deadline, conditions};
use rustix::io::Errno;

/// Number of processes in each container: an init and its children.
pub(super) const PROCESSES: usize = 10;

/// The script of the containers: starts children that sleep until they are killed.
pub(super) fn script() -> String {
    let children = PROCESSES - 1;
    format!("i=0; while [ $i -lt {children} ]; do sleep 1000 & i=$((i+1)); done; wait")
}

/// The mount namespace in which commands run.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) holder: Option<u32>,
}

impl Place {
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let Some(holder) = self.holder else {
            return Command::new(program.as_ref());
        };
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &holder.to_string(), "--"]);
        command.arg(program.as_ref());
        command
    }

    /// `probe` with these arguments in the namespace.
    pub(super) fn probe(&self, args: &[&str]) -> Command {
        let here = conditions::unrestricted(args);
        let mut command = self.command(here.get_program());
        command.args(args);
        command
    }

    /// The root directory of the namespace, as a path outside of it.
    pub(super) fn root(&self) -> PathBuf {
        match self.holder {
            None => PathBuf::from("/"),
            Some(holder) => PathBuf::from(format!("/proc/{holder}/root")),
        }
    }
}

/// A container that runs, with its cgroup in every hierarchy.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) init: u32,
    /// The cgroups, as paths in the namespace.
    pub(super) cgroups: Vec<PathBuf>,
    place: Place,
}

impl Container {
    /// The container of this init. Returns when all its processes run.
    pub(super) fn of(init: u32, place: &Place) -> Self {
        let container = Self {
            init,
            cgroups: cgroups(init, place),
            place: place.clone(),
        };
        assert!(!container.cgroups.is_empty(), "no cgroup of {init}");
        let all = || (0..container.cgroups.len()).all(|it| container.procs(it).len() == PROCESSES);
        Deadline::start().until("all processes run in every hierarchy", all);
        container
    }

    /// The processes in one of the cgroups; empty if it has been removed.
    pub(super) fn procs(&self, cgroup: usize) -> Vec<u32> {
        let path = &self.cgroups[cgroup];
        let below = path.strip_prefix("/").expect("absolute");
        let file = self.place.root().join(below).join("cgroup.procs");
        let procs = match fs::read_to_string(&file) {
            Err(error) if is_gone(&error) => return Vec::new(),
            procs => procs.unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        };
        procs.lines().map(|it| it.parse().expect("a pid")).collect()
    }
}

fn is_gone(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::NODEV];
    Errno::from_io_error(error).is_some_and(|it| gone.contains(&it))
}

/// Directories of the cgroups of a process, without the roots.
fn cgroups(pid: u32, place: &Place) -> Vec<PathBuf> {
    let listed = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("init runs");
    let paths: Vec<_> = listed
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .filter(|path| *path != "/")
        .collect();
    let mounts = place.root().join("sys/fs/cgroup");
    let entries = fs::read_dir(&mounts).expect("cgroups are mounted");
    let names = entries.flatten().filter(|it| it.path().is_dir());
    let mut tops: Vec<_> = names.map(|it| it.file_name()).collect();
    tops.push(std::ffi::OsString::new());
    let mut found = Vec::new();
    for top in tops {
        // The names of controllers that share a hierarchy are links.
        if mounts.join(&top).is_symlink() {
            continue;
        }
        for path in &paths {
            let below = Path::new(&top).join(path.trim_start_matches('/'));
            let procs = fs::read_to_string(mounts.join(&below).join("cgroup.procs"));
            let is_in = procs.is_ok_and(|it| it.lines().any(|it| it == pid.to_string()));
            let directory = Path::new("/sys/fs/cgroup").join(below);
            if is_in && !found.contains(&directory) {
                found.push(directory);
            }
        }
    }
    found
}

/// Runs a command that must succeed; returns its output.
pub(super) fn succeed(command: &mut Command) -> String {
    run(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command; returns its output, or an error message.
pub(super) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, stderr.trim()))
}
