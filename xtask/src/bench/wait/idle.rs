//! The CPU time of an armed waiter while nothing happens: in its first second, in which it looks
//! for late notifications and BPF may load, and later.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    programs::{Kind, Programs},
    target::Target,
};
use crate::bench::{report::Figure, rounds, stats::Estimate};

/// Backends, and their limits in milliseconds for a minute.
const LIMITS_MS: [(&str, f64); 3] = [("bpf", 5.0), ("pidfd", 5.0), ("poll", 50.0)];
/// The first looks follow each other quickly.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Arms all backends at once: each counts only its own CPU time.
pub(super) fn measure(seconds: u64, programs: &Programs) -> Result<Vec<Figure>> {
    let target = Target::create(false)?;
    let directory = target.directory().display();
    let mut spawner = programs.spawner()?;
    spawner.ask(&format!("1 keep {directory}"))?;
    let mut waiters = Vec::new();
    for (backend, _) in LIMITS_MS {
        let mut waiter = programs.start(Kind::Library(backend))?;
        let reply = waiter.ask(&format!("empty {directory}"))?;
        ensure!(reply == "armed", "{backend} replied {reply:?}");
        waiters.push(waiter);
    }
    let cpu_ns = || {
        waiters
            .iter()
            .map(|it| it.process().cpu_ns())
            .collect::<Result<Vec<_>>>()
    };
    let armed = cpu_ns()?;
    rounds::pause(SETTLED_AFTER);
    let before = cpu_ns()?;
    let mut figures = Vec::new();
    for ((after, before), (backend, _)) in before.iter().zip(armed).zip(LIMITS_MS) {
        let ms = Duration::from_nanos(after - before).as_secs_f64() * 1000.0;
        let name = format!("CPU time of the first second, {backend}");
        figures.push(Figure::new(name, "ms", Estimate::exact(ms)));
    }
    eprintln!("quiet: {seconds} s");
    rounds::pause(Duration::from_secs(seconds));
    let times = cpu_ns()?.into_iter().zip(before);
    let figure = |((after, before), (backend, limit)): ((u64, u64), (&str, f64))| {
        let ms = Duration::from_nanos(after - before).as_secs_f64() * 1000.0;
        let per_minute = ms * 60.0 / Duration::from_secs(seconds).as_secs_f64();
        let name = format!("CPU time of a quiet minute, {backend}");
        let note = format!("{ms:.2} ms in {seconds} s, a second after it was armed");
        Figure::new(name, "ms", Estimate::exact(per_minute))
            .at_most(limit)
            .note(note)
    };
    figures.extend(times.zip(LIMITS_MS).map(figure));
    Ok(figures)
}
