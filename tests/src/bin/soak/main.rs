//! Random trials of the wait, each judged by the kernel at once:
//! `soak --backend bpf --trials 500 --seed 7`.
//!
//! A trial makes cgroups with processes in them (`nursery.rs`, `ground.rs`),
//! waits through the library as a runtime would, kills them while all kinds of
//! things happen (`hand.rs`), and asks the kernel in the moment of the verdict
//! whether it is true (`judge.rs`). What it is like is drawn from the seed and
//! its number (`plan.rs`).
//!
//! Exit code 1: a verdict was wrong, a wait hangs, or a trial failed.

mod ground;
mod hand;
mod judge;
mod lie;
mod nursery;
mod plan;
mod table;
mod trial;

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use probe_user::{source::load, wait::Hub, waiter};
use tokio::runtime::{self, Runtime};

use crate::{
    ground::Mounts,
    lie::{Liar, Lie},
    nursery::Nursery,
    table::Table,
    trial::{Course, Outcome, Trial},
};

/// Random trials of the wait
#[derive(Debug, Parser)]
struct Args {
    /// How many
    #[arg(long, default_value_t = 500)]
    trials: u64,
    /// Of the first trial and all others
    #[arg(long)]
    seed: Option<u64>,
    /// The best that may be used
    #[arg(long, value_enum, default_value_t = Backend::Bpf)]
    backend: Backend,
    /// This trial alone
    #[arg(long, value_name = "INDEX")]
    only: Option<u64>,
    /// Trials at a time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=100))]
    jobs: u8,
    /// Seconds after which a wait hangs
    #[arg(long, default_value_t = 20)]
    patience: u64,
    /// Tell of verdicts that came later than this after the kill
    #[arg(long, value_name = "MILLISECONDS")]
    slow: Option<u64>,
    /// Wait in a way that is known to be wrong: the soak's own test
    #[arg(long, value_enum)]
    lie: Option<Lie>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Backend {
    Bpf,
    Pidfd,
    Poll,
}

impl From<Backend> for waiter::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Bpf => Self::Bpf,
            Backend::Pidfd => Self::Pidfd,
            Backend::Poll => Self::Poll,
        }
    }
}

/// Failures that are told of in full; the rest is counted.
const TOLD: usize = 20;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("soak: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Whether all is well.
fn run(args: &Args) -> Result<bool> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let backend = waiter::Backend::from(args.backend).as_str();
    say(&format!(
        "soak: {} trials, --backend {backend} --seed {seed}",
        args.only.map_or(args.trials, |_| 1)
    ));
    let course = Arc::new(prepare(args, seed)?);
    let begun = Instant::now();
    let mut table = Table::default();
    let finished = collect(args, &course, &mut table);
    let took = begun.elapsed();
    table.sort();
    write!(io::stdout(), "{table}").context("write to stdout")?;
    say(&format!(
        "soak: {} trials in {:.1} s",
        table.trials(),
        took.as_secs_f64()
    ));
    if !finished? {
        return Ok(false);
    }
    if !course.mounts.remove() {
        bail!("something is left in {:?}", course.mounts);
    }
    Ok(table.is_clean())
}

fn prepare(args: &Args, seed: u64) -> Result<Course> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    let tier = args.backend.into();
    let mut hub = Hub::start(tier);
    if tier == waiter::Backend::Bpf {
        runtime.block_on(async {
            hub.load(load::Plan::decisive());
            hub.bpf().await.context("load BPF")?.context("load BPF")
        })?;
    }
    let mounts = Mounts::prepare()?;
    let handle = runtime.handle().clone();
    thread::spawn(move || drive(&runtime));
    Ok(Course {
        seed,
        backend: tier,
        hub,
        runtime: handle,
        mounts,
        patience: Duration::from_secs(args.patience),
        liar: args.lie.map(Liar::prepare).transpose()?,
    })
}

/// The tasks of the hub run here, the waits on the threads of their trials.
fn drive(runtime: &Runtime) {
    runtime.block_on(std::future::pending::<()>());
}

enum News {
    Begun(u64),
    Ended(Box<Trial>),
    Broken(anyhow::Error),
    AllDone,
    Stuck,
}

/// Whether all came to an end.
fn collect(args: &Args, course: &Arc<Course>, table: &mut Table) -> Result<bool> {
    let (tell, news) = channel();
    let (from, to) = args.only.map_or((0, args.trials), |only| (only, only + 1));
    let next = Arc::new(AtomicU64::new(from));
    // Exits of others would be taken for those of the trial.
    let jobs = if args.lie.is_some() { 1 } else { args.jobs };
    for slot in 0..jobs {
        let (course, tell, next) = (Arc::clone(course), tell.clone(), Arc::clone(&next));
        let claim = move || {
            let index = next.fetch_add(1, Ordering::Relaxed);
            Some(index).filter(|&index| index < to)
        };
        thread::spawn(move || work(slot, &course, &tell, claim));
    }
    drop(tell);
    let mut told = 0;
    let mut running = BTreeSet::new();
    loop {
        match hear(&news, course) {
            News::AllDone => break,
            News::Stuck => {
                // Nothing ends by itself any more: the runtime stands still.
                let replays = running.iter().map(|&index| course.replay(index));
                let replays: Vec<_> = replays.collect();
                say(&format!("HUNG, one of:\n    {}", replays.join("\n    ")));
                return Ok(false);
            }
            News::Begun(index) => drop(running.insert(index)),
            News::Broken(error) => return Err(error),
            News::Ended(trial) => {
                running.remove(&trial.index);
                table.add(&trial);
                let slow = args.slow.map(Duration::from_millis);
                let news = trial
                    .failure(course)
                    .or_else(|| trial.slowness(course, slow?));
                if let Some(news) = news.filter(|_| told < TOLD) {
                    told += 1;
                    say(&news);
                }
                tell_progress(table.trials());
            }
        }
    }
    // Whoever ran it has panicked.
    ensure!(running.is_empty(), "trials without an end: {running:?}");
    Ok(true)
}

fn hear(news: &Receiver<News>, course: &Course) -> News {
    // A wait, and all that has to be cleared away afterwards.
    match news.recv_timeout(course.patience * 4) {
        Ok(news) => news,
        Err(RecvTimeoutError::Disconnected) => News::AllDone,
        Err(RecvTimeoutError::Timeout) => News::Stuck,
    }
}

fn work(slot: u8, course: &Course, tell: &Sender<News>, next: impl Fn() -> Option<u64>) {
    let mut nursery = match Nursery::start(slot) {
        Ok(nursery) => nursery,
        Err(error) => return drop(tell.send(News::Broken(error))),
    };
    while let Some(index) = next() {
        // Whoever listened has left: then so do we.
        if tell.send(News::Begun(index)).is_err() {
            return;
        }
        let trial = course.run(index, &mut nursery);
        if trial.result.is_err() {
            match Nursery::start(slot) {
                Ok(other) => nursery = other,
                Err(error) => return drop(tell.send(News::Broken(error))),
            }
        }
        if tell.send(News::Ended(Box::new(trial))).is_err() {
            return;
        }
    }
}

impl Trial {
    /// All that is needed to have it again, if it went wrong.
    fn failure(&self, course: &Course) -> Option<String> {
        let (what, lines) = match &self.result {
            Err(error) => ("FAILED", vec![format!("{error:#}")]),
            Ok(outcome) if outcome.met.is_none() => ("HUNG", outcome.state.clone()),
            Ok(outcome) if !outcome.contradictions.is_empty() => {
                let but = outcome.contradictions.iter().map(|it| format!("but {it}"));
                let said = format!("said {:?} after {:?}", outcome.met, outcome.took);
                let state = outcome.state.iter().cloned();
                (
                    "WRONG",
                    [said].into_iter().chain(but).chain(state).collect(),
                )
            }
            Ok(_) => return None,
        };
        let replay = course.replay(self.index);
        let lines = lines.join("\n    ");
        Some(format!(
            "{what}: {replay}\n    {:?}\n    {lines}",
            self.plan
        ))
    }
}

impl Trial {
    fn slowness(&self, course: &Course, limit: Duration) -> Option<String> {
        let outcome = self.result.as_ref().ok()?;
        (outcome.took > limit).then(|| {
            let replay = course.replay(self.index);
            let Outcome { met, took, .. } = outcome;
            format!(
                "slow: {replay}\n    {:?}\n    {met:?} after {took:?}",
                self.plan
            )
        })
    }
}

fn tell_progress(trials: usize) {
    if trials.is_multiple_of(1000) && io::stderr().is_terminal() {
        say(&format!("soak: {trials} done"));
    }
}

/// Nothing is left to do if stderr takes nothing either.
fn say(what: &str) {
    let _unsaid = writeln!(io::stderr(), "{what}");
}
