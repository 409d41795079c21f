//! Checks of a verdict against the kernel's state.

use std::{
    fs,
    net::{SocketAddrV4, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
};

use anyhow::Result;
use probe_fixture::Scratch;
use probe_user::model::Until;

use crate::{
    actor::Actor,
    cgroups::Cgroups,
    plan::{Aim, Check, Plan},
    spawner::{Child, Members},
};

/// What a verdict claims, as far as the checks depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// It covers all processes that were members.
    pub(crate) is_exact: bool,
    /// It covers the members that were listed when the wait began.
    pub(crate) covers_listed: bool,
}

/// Facts that contradict a verdict; empty if it is right.
pub(crate) fn contradictions(actor: &Actor<'_>, claim: Claim) -> Result<Vec<String>> {
    let (plan, cgroups, members) = (actor.plan, actor.cgroups, actor.members);
    let mut found = Vec::new();
    let on_cgroup = plan.aim != Aim::Process;
    // Without the kernel's `populated`, a walk through v1 cgroups misses a process that moves.
    let is_walk = |top: &&Scratch| !top.is_v2() && plan.shape.moves_inside() && !claim.is_exact;
    let tops: Vec<_> = cgroups.tops.iter().filter(|top| !is_walk(top)).collect();
    // The first check is drawn, because the state right after the verdict matters most.
    let rest = Check::ALL.into_iter().filter(|&it| it != plan.first);
    for question in [plan.first].into_iter().chain(rest) {
        match question {
            Check::Populated if on_cgroup => populated(plan, cgroups, &tops, &mut found),
            Check::Procs if on_cgroup => procs(&tops, &mut found),
            Check::Rmdir if on_cgroup => rmdir(&tops, &mut found),
            Check::Ports if plan.has_no_survivors() => ports(members, &mut found),
            Check::Lives => {
                // On v1 nothing shows the cgroup of a process that had exited when the wait began.
                let is_v1 = cgroups.tops.iter().any(|top| !top.is_v2());
                let hides_zombies = plan.is_late && is_v1 && plan.until == Until::Reaped;
                if claim.covers_listed && !hides_zombies {
                    lives(plan, members, &mut found);
                }
                if claim.is_exact && !hides_zombies && plan.aim != Aim::Process {
                    children(plan, &actor.spawner().children()?, &mut found);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn populated(plan: &Plan, cgroups: &Cgroups, tops: &[&Scratch], found: &mut Vec<String>) {
    if plan.until == Until::Removed && !cgroups.is_removed() {
        found.push(format!("{:?} exists", cgroups.tops));
    }
    for top in tops {
        if plan.until == Until::Stopped && top.is_paused() {
            found.push(format!("{} is frozen", top.directory().display()));
        }
        if let Ok(events) = fs::read_to_string(top.file("cgroup.events"))
            && !events.contains("populated 0")
        {
            found.push(format!("{} has {events:?}", top.directory().display()));
        }
    }
}

fn procs(tops: &[&Scratch], found: &mut Vec<String>) {
    for top in tops {
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

fn rmdir(tops: &[&Scratch], found: &mut Vec<String>) {
    for top in tops {
        if let Err(error) = top.try_remove() {
            found.push(format!("rmdir of {}: {error}", top.directory().display()));
        }
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

/// The members that the trial holds open.
fn lives(plan: &Plan, members: &Members, found: &mut Vec<String>) {
    let pinned = match plan.aim {
        Aim::Process | Aim::Container => members.pinned.get(..1).unwrap_or_default(),
        Aim::Cgroup => &members.pinned[..],
    };
    for member in pinned {
        let contradicts = match plan.until {
            Until::Exited | Until::Stopped => !member.has_exited(),
            Until::Reaped => !member.is_reaped(),
            Until::Empty | Until::Removed => false,
        };
        if contradicts {
            found.push(not_yet(plan, member.pid));
        }
    }
}

/// The processes of the trial, as their parent sees them.
fn children(plan: &Plan, children: &[Child], found: &mut Vec<String>) {
    let contradict = children.iter().filter(|child| match plan.until {
        Until::Exited | Until::Stopped => !child.has_exited,
        Until::Reaped => true,
        Until::Empty | Until::Removed => false,
    });
    found.extend(contradict.map(|child| not_yet(plan, child.pid)));
}

fn not_yet(plan: &Plan, pid: u32) -> String {
    format!("{pid} is not {}: {}", plan.until.as_str(), stat(pid))
}

fn stat(pid: u32) -> String {
    let stat = fs::read(format!("/proc/{pid}/stat"));
    stat.map_or_else(
        |error| format!("{pid}: {error}"),
        |stat| stat.escape_ascii().to_string(),
    )
}

/// The kernel's state of a trial, for the report of a failure.
pub(crate) fn state(cgroups: &Cgroups, members: &Members) -> Vec<String> {
    let places = cgroups.places.iter().chain(&cgroups.children).flatten();
    let files = places.flat_map(|it| [it.join("cgroup.events"), it.join("cgroup.procs")]);
    let mut lines: Vec<_> = files
        .map(|file| format!("{}: {:?}", file.display(), fs::read_to_string(&file)))
        .collect();
    lines.extend(members.pids.iter().take(20).map(|&pid| stat(pid)));
    lines
}
