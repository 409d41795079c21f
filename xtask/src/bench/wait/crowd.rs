//! The cost of an exit in the kernel while many clients wait for other cgroups.

use std::{io::Read, os::unix::net::UnixStream, process::Command};

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use probe_fixture::Scratch;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use super::{server::Server, target::Target};
use crate::{
    bench::{
        process::{self, KernelCost},
        report::Figure,
        rounds::{self, Sandwich},
        workload::{Ending, Workload},
    },
    command::{self, OwnedChild},
};

const LIMIT: f64 = 1.05;
const EXITS: usize = 10_000;
/// The cgroups that the clients wait for.
const CGROUPS: usize = 200;

pub(super) fn measure(
    waits: usize,
    count: usize,
    server: &Server,
    workload: &Workload,
) -> Result<Figure> {
    let _counted = process::count_run_times()?;
    raise_descriptor_limit(waits)?;
    let target = Target::create(false)?;
    let cgroups = (0..CGROUPS).map(|number| {
        let cgroup = Scratch::create(target.directory().join(number.to_string()))?;
        let member = command::spawn(Command::new("sleep").arg("infinity"))?;
        fs::write(cgroup.file("cgroup.procs"), member.0.id().to_string())?;
        // The process is killed before the cgroup is removed.
        Ok((member, cgroup))
    });
    let cgroups = cgroups.collect::<Result<Vec<_>>>()?;
    let cost = || {
        let load = || workload.run(Ending::Exit, EXITS).map(drop);
        KernelCost::during(server.process(), load)
    };
    let rounds = rounds::run("crowd", count, || {
        Sandwich::measure(cost, || {
            let waiting = wait_for(&cgroups, waits, server)?;
            let cost = cost();
            drop(waiting);
            cost
        })
    })?;
    let bare = rounds::median(&rounds, |it| it.before.us_per_exit()).value;
    let name = format!("in-kernel cost of an exit, {waits} waits armed");
    let figure = Figure::ratio(name, &rounds, KernelCost::us_per_exit);
    Ok(figure
        .at_most(LIMIT)
        .note(format!("{bare:.3} us without waits")))
}

/// Every wait is a connection.
fn raise_descriptor_limit(waits: usize) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    ensure!(
        limit.maximum.is_none_or(|most| most >= waits as u64 + 256),
        "{waits} connections are more than this process may have\nhint: give a smaller --waits"
    );
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).context("raise the limit")
}

/// Connections with armed waits.
fn wait_for(
    cgroups: &[(OwnedChild, Scratch)],
    waits: usize,
    server: &Server,
) -> Result<Vec<UnixStream>> {
    let request = |(_, cgroup): &(_, Scratch)| {
        let body = json!({ "targets": [{ "path": cgroup.directory() }] });
        server.request("POST", "/v1/wait", &body.to_string())
    };
    let streams = cgroups.iter().cycle().take(waits).map(request);
    let mut streams = streams.collect::<Result<Vec<_>>>()?;
    for stream in &mut streams {
        let (mut answer, mut bytes) = (String::new(), [0; 1024]);
        while !answer.contains("\"armed\"") {
            let length = stream.read(&mut bytes)?;
            ensure!(length > 0, "the daemon does not wait: {answer}");
            answer += &String::from_utf8_lossy(&bytes[..length]);
        }
    }
    Ok(streams)
}
