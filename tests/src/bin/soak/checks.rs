//! Checks of a verdict against the kernel's state.

use std::{
    fs,
    net::{SocketAddrV4, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
};

use probe_user::model::Until;
use rustix::process::{Pid, test_kill_process};

use crate::{
    cgroups::Cgroups,
    plan::{Check, Plan, Shape},
    spawner::Members,
};

/// Facts that contradict a verdict; empty if it is right. With `exact`, the verdict covers
/// processes too.
pub(crate) fn contradictions(
    plan: &Plan,
    cgroups: &Cgroups,
    members: &Members,
    exact: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    // The first check is drawn, because the state right after the verdict matters most.
    let rest = Check::ALL.into_iter().filter(|&it| it != plan.first);
    for question in [plan.first].into_iter().chain(rest) {
        let on_cgroup = plan.shape != Shape::Process;
        match question {
            Check::Populated if on_cgroup => populated(plan, cgroups, &mut found),
            Check::Procs if on_cgroup => procs(cgroups, &mut found),
            Check::Rmdir if on_cgroup => rmdir(cgroups, &mut found),
            Check::Ports if plan.has_no_survivors() => ports(members, &mut found),
            Check::Lives if exact => lives(plan, members, &mut found),
            _ => {}
        }
    }
    found
}

fn populated(plan: &Plan, cgroups: &Cgroups, found: &mut Vec<String>) {
    if plan.until == Until::Removed && !cgroups.is_removed() {
        found.push(format!("{:?} exists", cgroups.tops));
    }
    for top in &cgroups.tops {
        if let Ok(events) = fs::read_to_string(top.file("cgroup.events"))
            && !events.contains("populated 0")
        {
            found.push(format!("{} has {events:?}", top.directory().display()));
        }
    }
}

fn procs(cgroups: &Cgroups, found: &mut Vec<String>) {
    for top in &cgroups.tops {
        for file in ["cgroup.procs", "tasks"] {
            let listed = top.listed(file);
            if !listed.is_empty() {
                found.push(format!(
                    "{} lists {listed:?} in {file}",
                    top.directory().display()
                ));
            }
        }
    }
}

fn rmdir(cgroups: &Cgroups, found: &mut Vec<String>) {
    if let Err(error) = cgroups.remove() {
        found.push(format!("rmdir of {:?}: {error}", cgroups.tops));
    }
}

fn ports(members: &Members, found: &mut Vec<String>) {
    let tcp = |address: &SocketAddrV4| TcpListener::bind(address).map(drop);
    let unix = |name: &String| {
        let address = SocketAddr::from_abstract_name(name)?;
        UnixListener::bind_addr(&address).map(drop)
    };
    for address in &members.tcp {
        if let Err(error) = tcp(address) {
            found.push(format!("bind {address}: {error}"));
        }
    }
    for name in &members.unix {
        if let Err(error) = unix(name) {
            found.push(format!("bind @{name}: {error}"));
        }
    }
}

fn lives(plan: &Plan, members: &Members, found: &mut Vec<String>) {
    let pids = match plan.shape {
        Shape::Process | Shape::Container => &members.pids[..1],
        _ => &members.pids[..],
    };
    for &pid in pids {
        let contradicts = match plan.until {
            Until::Exited | Until::Stopped => !has_exited(pid),
            Until::Reaped => !is_reaped(pid),
            Until::Empty | Until::Removed => false,
        };
        if contradicts {
            found.push(format!(
                "{pid} is not {}: {}",
                plan.until.as_str(),
                stat(pid)
            ));
        }
    }
}

fn has_exited(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let mut fields = fields.split(' ');
    let is_dead = matches!(fields.next(), Some("Z" | "X"));
    // The state is that of the leader, which may exit before other tasks.
    is_dead
        && fields
            .nth(16)
            .is_none_or(|threads| matches!(threads, "0" | "1"))
}

fn is_reaped(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_none_or(|pid| test_kill_process(pid).is_err())
}

fn stat(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or_else(
        |error| format!("{pid}: {error}"),
        |stat| stat.trim_end().to_owned(),
    )
}

/// The kernel's state of a trial, for the report of a failure.
pub(crate) fn state(cgroups: &Cgroups, members: &Members) -> Vec<String> {
    let places = cgroups.places().into_iter().flatten();
    let files = places.flat_map(|it| [it.join("cgroup.events"), it.join("cgroup.procs")]);
    let mut lines: Vec<_> = files
        .map(|file| format!("{}: {:?}", file.display(), fs::read_to_string(&file)))
        .collect();
    lines.extend(members.pids.iter().take(20).map(|&pid| stat(pid)));
    lines
}
