//! What an armed waiter costs while nothing happens.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    pen::Pen,
    programs::{Backend, Programs, Who},
};
use crate::bench::{report::Figure, rounds, stats::Estimate};

/// In a minute.
const LIMIT_MS: f64 = 5.0;
const POLL_LIMIT_MS: f64 = 50.0;
/// The first looks come close after each other.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// All of them at once: each counts its own CPU time only.
pub(super) fn measure(seconds: u64, programs: &Programs) -> Result<Vec<Figure>> {
    let pen = Pen::make()?;
    let mut herd = programs.herd()?;
    herd.tell(&format!("1 keep {}", pen.directory.display()))?;
    herd.hear()?;
    let mut armed = Vec::new();
    for backend in Backend::ALL {
        let mut bell = programs.start(Who::Bell(backend))?;
        bell.tell(&format!("empty {}", pen.directory.display()))?;
        let said = bell.hear()?;
        ensure!(said == "armed", "{} said {said:?}", backend.as_str());
        armed.push((backend, bell));
    }
    rounds::window(SETTLED_AFTER);
    let mut before = Vec::new();
    for (_, bell) in &armed {
        before.push(bell.process().cpu_ns()?);
    }
    eprintln!("quiet: {seconds} s");
    rounds::window(Duration::from_secs(seconds));
    armed
        .iter()
        .zip(before)
        .map(|((backend, bell), before)| {
            let spent_ns = bell.process().cpu_ns()? - before;
            Ok(figure(*backend, spent_ns, seconds))
        })
        .collect()
}

fn figure(backend: Backend, spent_ns: u64, seconds: u64) -> Figure {
    let spent_ms = Duration::from_nanos(spent_ns).as_secs_f64() * 1000.0;
    let a_minute_ms = spent_ms * 60.0 / Duration::from_secs(seconds).as_secs_f64();
    let limit = match backend {
        Backend::Bpf | Backend::Pidfd => LIMIT_MS,
        Backend::Poll => POLL_LIMIT_MS,
    };
    let name = format!("CPU time of a quiet minute, {}", backend.as_str());
    Figure::new(name, "ms", Estimate::exact(a_minute_ms))
        .at_most(limit)
        .note(format!(
            "{spent_ms:.2} ms in {seconds} s, a second after it was armed"
        ))
}
