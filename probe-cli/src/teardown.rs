//! Follows exits until the processes are gone, and reports those that take long.
//!
//! The record of an exit is written when the exit begins. A pidfd tells the rest: it is readable
//! once the process is a zombie, and hangs up once the process is reaped (Linux 6.9).

use std::{os::fd::AsFd, sync::Arc, time::Duration};

use probe_daemon::api::json::Steps;
use probe_user::{
    Reason,
    model::{Backend, Exit, Placed, ProcessState, Record},
    unstable::{
        clock::boottime_ns,
        diagnosis::{self, Observer},
        proc::pinned::PinnedProcess,
        readiness::register,
    },
};
use tokio::{io::Interest, sync::mpsc, time::interval};

/// Time between two looks at an exit that lasts.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most exits that are followed at once: bounds the descriptors. Further ones are not followed.
const MAX_FOLLOWED: usize = 4096;

/// What happened to an exit that takes long.
#[derive(Debug)]
pub(crate) struct Teardown {
    pub(crate) exit: Arc<Placed<Exit>>,
    pub(crate) steps: Steps,
    pub(crate) elapsed_ns: u64,
    pub(crate) is_gone: bool,
    /// What a process that is still there waits for.
    pub(crate) reason: Option<Reason>,
}

/// Follows exits. Dropping it ends the tasks that do.
#[derive(Debug)]
pub(crate) struct Teardowns {
    /// Exits that take less time are not reported.
    slow: Duration,
    sender: mpsc::Sender<Teardown>,
    receiver: mpsc::Receiver<Teardown>,
    tasks: tokio::task::JoinSet<()>,
}

impl Teardowns {
    pub(crate) fn new(slow: Duration) -> Self {
        let (sender, receiver) = mpsc::channel(64);
        Self {
            slow,
            sender,
            receiver,
            tasks: tokio::task::JoinSet::new(),
        }
    }

    /// Follows the process of a record, unless it is gone already.
    pub(crate) fn follow(&mut self, record: &Record) {
        while self.tasks.try_join_next().is_some() {}
        let Record::Exit(exit) = record else {
            return;
        };
        if !exit.what.group_dead || self.tasks.len() >= MAX_FOLLOWED {
            return;
        }
        // An error means that the process is gone, as most are.
        let Ok(process) = PinnedProcess::open(exit.what.process.tgid, Backend::Pidfd) else {
            return;
        };
        if process.as_target().is(&exit.what.process) {
            let follower = Follower {
                exit: Arc::clone(exit),
                slow: self.slow,
                sender: self.sender.clone(),
            };
            self.tasks.spawn(follower.run(process));
        }
    }

    /// The next report. Never resolves if no exit takes long. Cancel safe.
    pub(crate) async fn next(&mut self) -> Teardown {
        // This value holds a sender, so the channel stays open.
        match self.receiver.recv().await {
            Some(teardown) => teardown,
            None => std::future::pending().await,
        }
    }
}

struct Follower {
    exit: Arc<Placed<Exit>>,
    slow: Duration,
    sender: mpsc::Sender<Teardown>,
}

impl Follower {
    async fn run(self, process: PinnedProcess) {
        let pidfd = process.pidfd().map(|it| it.as_fd().try_clone_to_owned());
        let Some(Ok(pidfd)) = pidfd else {
            return;
        };
        let Ok(pidfd) = register(pidfd, Interest::READABLE) else {
            return;
        };
        let mut steps = Steps::default();
        let mut looks = interval(LOOK_EVERY);
        // The first tick is immediate.
        looks.tick().await;
        let mut told = None;
        loop {
            tokio::select! {
                ready = pidfd.readable() => {
                    let Ok(mut ready) = ready else {
                        return;
                    };
                    let now = self.elapsed_ns();
                    steps.zombie_ns.get_or_insert(now);
                    if ready.ready().is_read_closed() {
                        steps.reaped_ns = Some(now);
                        break;
                    }
                    ready.clear_ready();
                }
                _ = looks.tick() => {
                    // Before Linux 6.9 a pidfd does not tell, and another process may have the
                    // pid by now.
                    if process.state().is_ok_and(|it| it == ProcessState::Reaped) {
                        break;
                    }
                    let survivors = diagnosis::describe(&[process.tgid], &Observer::new());
                    let Some(reason) = survivors.into_iter().next().map(|it| it.reason) else {
                        break;
                    };
                    // A reason is told once.
                    let text = reason.as_ref().map(|it| it.text.clone());
                    if told.as_ref() != Some(&text) {
                        told = Some(text);
                        self.send(steps, false, reason).await;
                    }
                }
            }
        }
        if u128::from(self.elapsed_ns()) >= self.slow.as_nanos() {
            self.send(steps, true, None).await;
        }
    }

    fn elapsed_ns(&self) -> u64 {
        boottime_ns().saturating_sub(self.exit.boottime_ns)
    }

    async fn send(&self, steps: Steps, is_gone: bool, reason: Option<Reason>) {
        let teardown = Teardown {
            exit: Arc::clone(&self.exit),
            steps,
            elapsed_ns: self.elapsed_ns(),
            is_gone,
            reason,
        };
        // The trace has ended.
        let _ended = self.sender.send(teardown).await;
    }
}
