//! What an exit costs in the kernel while many wait for something else.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{super::pen::Pen, Serving};
use crate::bench::{
    process,
    report::{Figure, RATIO},
    rounds::{self, Sandwich},
    turn::Turn,
    workload::{Ending, Workload},
};

const LIMIT: f64 = 1.05;
const EXITS: usize = 10_000;
/// Cgroups that they wait for.
const CGROUPS: usize = 200;

pub(super) fn measure(
    waits: usize,
    count: usize,
    serving: &Serving,
    workload: &Workload,
) -> Result<Figure> {
    let _kept = process::keep_run_times()?;
    raise_descriptors(waits)?;
    let town = Town::build()?;
    let turn = || {
        Turn::of(serving.process(), || {
            workload.run(Ending::Exit, EXITS).map(drop)
        })
    };
    let rounds = rounds::run("crowd", count, |_| {
        let before = turn()?;
        let crowd = town.wait_for(waits, serving)?;
        let subject = turn()?;
        drop(crowd);
        let after = turn()?;
        Ok(Sandwich {
            before,
            subject,
            after,
        })
    })?;
    let cost = |turn: &Turn| turn.cost_us();
    let bare = rounds::median(&rounds, |it| it.before.cost_us()).value;
    let name = format!("in-kernel cost of an exit, {waits} waits armed");
    Ok(
        Figure::new(name, RATIO, rounds::median(&rounds, |it| it.ratio(cost)))
            .at_most(LIMIT)
            .noise(rounds::median(&rounds, |it| it.noise(cost)))
            .note(format!("{bare:.3} us with none")),
    )
}

/// Each wait is a connection.
fn raise_descriptors(waits: usize) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let needed = waits as u64 + 256;
    ensure!(
        limit.maximum.is_none_or(|most| most >= needed),
        "{waits} connections are more than this process may have: give --waits a smaller number"
    );
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )
    .context("raise the limit of descriptors")
}

/// Cgroups with somebody in each.
struct Town {
    /// Killed and removed after the directories in it.
    pen: Pen,
    houses: Vec<PathBuf>,
    inhabitants: Vec<Child>,
}

impl Town {
    fn build() -> Result<Self> {
        let mut town = Self {
            pen: Pen::make()?,
            houses: Vec::new(),
            inhabitants: Vec::new(),
        };
        for number in 0..CGROUPS {
            let house = town.pen.directory.join(number.to_string());
            fs::create_dir(&house).context("mkdir")?;
            town.houses.push(house.clone());
            let inhabitant = Command::new("sleep")
                .arg("infinity")
                .stdin(Stdio::null())
                .spawn();
            let inhabitant = inhabitant.context("start sleep")?;
            let pid = inhabitant.id().to_string();
            town.inhabitants.push(inhabitant);
            fs::write(house.join("cgroup.procs"), pid).context("move it in")?;
        }
        Ok(town)
    }

    /// So many connections, each with a wait that is armed.
    fn wait_for(&self, waits: usize, serving: &Serving) -> Result<Vec<UnixStream>> {
        let houses = self.houses.iter().cycle().take(waits);
        let asked: Result<Vec<_>> = houses.map(|house| ask(house, serving)).collect();
        let mut asked = asked?;
        for stream in &mut asked {
            await_armed(stream)?;
        }
        Ok(asked)
    }
}

fn ask(house: &Path, serving: &Serving) -> Result<UnixStream> {
    let house = house.to_str().context("a path without UTF-8")?;
    serving.ask(
        "POST",
        "/v1/wait",
        &format!("{{\"targets\":[{{\"path\":\"{house}\"}}]}}"),
    )
}

fn await_armed(stream: &mut UnixStream) -> Result<()> {
    use std::io::Read;

    let mut said = Vec::new();
    let mut bytes = [0; 1024];
    while !said.windows(7).any(|it| it == b"\"armed\"") {
        let length = stream.read(&mut bytes).context("read")?;
        let text = String::from_utf8_lossy(&said);
        ensure!(length > 0, "the daemon does not wait: {text}");
        said.extend_from_slice(&bytes[..length]);
    }
    Ok(())
}

impl Drop for Town {
    fn drop(&mut self) {
        for inhabitant in &mut self.inhabitants {
            // Both fail only if it is gone already.
            let _killed = inhabitant.kill();
            let _reaped = inhabitant.wait();
        }
        for house in &self.houses {
            if let Err(error) = fs::remove_dir(house) {
                eprintln!("left behind: {}: {error}", house.display());
            }
        }
    }
}
