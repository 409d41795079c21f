//! The targets of `probe last`, which may be gone.

use probe_daemon::{api::query, client::ClientError};
use probe_user::{
    model::Backend,
    unstable::{cgroup::mounts::Mounts, proc::pinned::PinnedProcess},
};

use crate::cli::{
    ExitCode, Failure,
    named::{ProcessArg, TargetArgs, unit_paths},
    socket::{Daemon, REQUIRED_PATIENCE, request_failed},
    target::{self, CgroupTarget},
    terminal::Messages,
};

/// What the exits are about.
pub(super) enum Subject {
    Machine,
    Cgroup(CgroupTarget),
    Unit(String, CgroupTarget),
    Container(String),
    Process(u32),
}

/// The targets of the command line; the machine if there is none.
pub(super) fn of(targets: &TargetArgs) -> Result<Vec<Subject>, Failure> {
    let mut subjects = Vec::new();
    if !targets.cgroup.is_empty() || !targets.unit.is_empty() {
        let mounts = target::mounts()?;
        for name in &targets.cgroup {
            let cgroup = target::cgroup(&mounts, name, targets.hierarchy.as_deref())?;
            subjects.push(Subject::Cgroup(cgroup));
        }
        for name in &targets.unit {
            subjects.push(unit(name, &mounts)?);
        }
    }
    subjects.extend(targets.container.iter().cloned().map(Subject::Container));
    for process in targets.processes()? {
        subjects.push(of_process(process)?);
    }
    if subjects.is_empty() {
        subjects.push(Subject::Machine);
    }
    Ok(subjects)
}

fn of_process(process: ProcessArg) -> Result<Subject, Failure> {
    if process.has_inode() {
        let message = "the history does not know the inode numbers of pidfds";
        return Err(Failure::message(ExitCode::Usage, message).hint("use the pid alone"));
    }
    Ok(Subject::Process(process.pid))
}

/// The unit with its cgroup. A unit that does not run has none; then it is the cgroup that the
/// systemd of the machine gives a unit without a slice of its own.
fn unit(name: &str, mounts: &Mounts) -> Result<Subject, Failure> {
    let (wanted, mut found) = unit_paths(name, mounts)?;
    if found.len() > 1 {
        let message = format!("unit '{wanted}' has several cgroups");
        let failure = Failure::message(ExitCode::Usage, message);
        return Err(failure.hint("choose one with --cgroup PATH"));
    }
    let usual = || {
        let mount = mounts.of_hierarchy(0).or_else(|| mounts.iter().next())?;
        CgroupTarget::on(mount, &format!("/system.slice/{wanted}"))
    };
    let Some(cgroup) = found.pop().or_else(usual) else {
        let message = format!("unit '{wanted}' has no cgroup");
        return Err(Failure::message(ExitCode::NoSuchTarget, message));
    };
    Ok(Subject::Unit(wanted, cgroup))
}

impl Subject {
    /// The query for the exits of this subject.
    pub(super) fn query(&self, query: &query::Exits) -> query::Exits {
        let mut query = query.clone();
        match self {
            Self::Machine => {}
            Self::Cgroup(target) | Self::Unit(_, target) => {
                query.cgroup = Some(target.directory.to_string_lossy().into_owned());
            }
            Self::Container(name) => query.container = Some(name.clone()),
            Self::Process(pid) => query.pid = Some(pid.to_string()),
        }
        query
    }

    /// Without exits in an answer: a message if nothing is known about the subject, not even an
    /// exit that does not match the conditions. Otherwise says that no exit matches.
    pub(super) async fn absence(
        &self,
        daemon: &Daemon,
        asked: &query::Exits,
    ) -> Result<Option<Absence>, Failure> {
        let (name, missing) = match self {
            Self::Machine | Self::Container(_) => return Ok(None),
            Self::Cgroup(target) => (format!("cgroup {}", target.path), gone(target)),
            Self::Unit(name, target) => {
                let missing = gone(target).map(|_first| "the unit has no cgroup now".to_owned());
                (format!("unit {name}"), missing)
            }
            Self::Process(pid) => {
                let gone = PinnedProcess::open(*pid, Backend::Pidfd).is_err();
                let missing = gone.then(|| format!("no process has the pid {pid} now"));
                (format!("process {pid}"), missing)
            }
        };
        let any = query::Exits {
            cgroup: asked.cgroup.clone(),
            pid: asked.pid.clone(),
            limit: Some(1),
            ..query::Exits::default()
        };
        let has_exits = any_exit(daemon, &any).await.map_err(request_failed)?;
        match (has_exits, missing) {
            (true, _) => Messages::print_always(&format!("note: no exit of {name} matches")),
            (false, None) => {
                Messages::print_always(&format!("note: the history has no exit of {name}"));
            }
            (false, Some(reason)) => return Ok(Some(Absence { name, reason })),
        }
        Ok(None)
    }
}

async fn any_exit(daemon: &Daemon, query: &query::Exits) -> Result<bool, ClientError> {
    let client = daemon.connect(REQUIRED_PATIENCE).await?;
    let (mut records, _) = client.exits(query).await?;
    Ok(records.next().await?.is_some())
}

fn gone(target: &CgroupTarget) -> Option<String> {
    let first = target.first_missing()?;
    Some(format!("{} does not exist", first.display()))
}

/// A target of which nothing is known.
pub(super) struct Absence {
    name: String,
    reason: String,
}

impl Absence {
    fn message(&self) -> String {
        format!("the history has no exit of {}", self.name)
    }
}

/// Reports the targets of which nothing is known. It is a failure if there is no other target.
pub(super) fn report(missing: Vec<Absence>, targets: usize) -> Result<ExitCode, Failure> {
    let are_all = missing.len() == targets;
    let mut missing = missing.into_iter().peekable();
    while let Some(absence) = missing.next() {
        let reason = format!(
            "{}; its exits may be older than the history",
            absence.reason
        );
        if are_all && missing.peek().is_none() {
            let failure = Failure::message(ExitCode::NoSuchTarget, absence.message());
            return Err(failure.hint(reason));
        }
        Messages::print_always(&format!("note: {}: {}", absence.message(), absence.reason));
    }
    Ok(ExitCode::Done)
}
