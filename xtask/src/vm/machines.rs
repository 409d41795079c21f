//! The machines of one run of the command, as many at once as it is told.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use super::{
    guest::{Guest, Run},
    initramfs::Initramfs,
    kernel::Kernel,
    qemu::Qemu,
    row::{Machine, Row},
};

/// What runs on a kernel: the words that its pid 1 is told, once for each start
/// of the machine.
pub(super) type Plan<'a> = dyn Fn(&Row) -> Vec<String> + Sync + 'a;

/// A row with the kernel that it got.
pub(super) type Kernels<'a> = [(&'a Row<'a>, Kernel)];

/// See the module.
pub(super) struct Machines<'a> {
    pub(super) kernels: &'a Kernels<'a>,
    pub(super) plan: &'a Plan<'a>,
    pub(super) qemu: Option<Qemu>,
    pub(super) initramfs: &'a Initramfs,
    /// A machine may take so long.
    pub(super) limit: Duration,
    /// Nothing is begun after that, and what runs then is ended.
    pub(super) end: Option<Instant>,
    /// Machines at once. Tests run one by one, so each takes one CPU of this
    /// machine, though it has two of its own.
    pub(super) jobs: usize,
}

/// What happened to a row.
pub(super) struct Ended<'a> {
    pub(super) row: &'a Row<'a>,
    pub(super) kernel: &'a Kernel,
    /// One for each start that there was time for, with what its pid 1 was told.
    pub(super) runs: Vec<(String, Run)>,
    /// There was none for all.
    pub(super) is_cut_short: bool,
    pub(super) took: Duration,
}

/// Rows of which nobody has taken charge, the next one last.
type Queue<'a> = Mutex<Vec<&'a (&'a Row<'a>, Kernel)>>;

impl<'a> Machines<'a> {
    /// Runs all of them to their ends; tells of each row as it ends.
    pub(super) fn run(&self, mut tell: impl FnMut(Ended<'a>) -> Result<()>) -> Result<()> {
        let mut queue: Vec<_> = self.kernels.iter().rev().collect();
        // What takes longest comes first: nothing else is left to run beside the last.
        queue.sort_by_key(|(row, _)| row.machine == Machine::Uml);
        let queue = Mutex::new(queue);
        thread::scope(|scope| {
            let (sender, ended) = mpsc::channel();
            for _ in 0..self.jobs.clamp(1, self.kernels.len().max(1)) {
                let (queue, sender) = (&queue, sender.clone());
                scope.spawn(move || self.one_by_one(queue, &sender));
            }
            drop(sender);
            ended.iter().try_for_each(|row| tell(row?))
        })
    }

    /// Until no row is left, one of them fails to start, or nobody is told.
    fn one_by_one(&self, queue: &Queue<'a>, sender: &Sender<Result<Ended<'a>>>) {
        loop {
            let mut rows = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((row, kernel)) = rows.pop() else {
                return;
            };
            let (number, all) = (self.kernels.len() - rows.len(), self.kernels.len());
            drop(rows);
            let (name, package) = (row.name, &kernel.package);
            println!("── {name}: {number} of {all}: {package} ({})", row.purpose);
            let ended = self.row(row, kernel);
            let is_over = ended.is_err();
            let ended = ended.map_err(|error| anyhow!("{name}: {error:#}"));
            if sender.send(ended).is_err() || is_over {
                return;
            }
        }
    }

    fn row(&self, row: &'a Row<'a>, kernel: &'a Kernel) -> Result<Ended<'a>> {
        let begun = Instant::now();
        let starts = (self.plan)(row);
        let all = starts.len();
        let mut runs = Vec::new();
        for (start, words) in starts.into_iter().enumerate() {
            let Some(seconds) = self.seconds() else {
                break;
            };
            let guest = Guest {
                row,
                kernel,
                qemu: self.qemu.as_ref(),
                initramfs: self.initramfs,
                start,
                words: &words,
                seconds,
            };
            let run = self.start(&guest)?;
            runs.push((words, run));
        }
        Ok(Ended {
            row,
            kernel,
            is_cut_short: runs.len() < all,
            runs,
            took: begun.elapsed(),
        })
    }

    /// What the next machine may take.
    fn seconds(&self) -> Option<u64> {
        let left = self
            .end
            .map(|end| end.saturating_duration_since(Instant::now()));
        let seconds = left.map_or(self.limit, |left| left.min(self.limit));
        Some(seconds.as_secs()).filter(|seconds| *seconds > 0)
    }

    /// Once more only if the machine itself did not come so far or did not get on: a
    /// test that failed has failed.
    fn start(&self, guest: &Guest) -> Result<Run> {
        let run = guest.run()?;
        if run.transcript.release.is_some() && !run.has_stalled() {
            return Ok(run);
        }
        let Some(seconds) = self.seconds() else {
            return Ok(run);
        };
        let trouble = run.trouble().join("; ");
        println!("── {}: {trouble}: once more", guest.row.name);
        Guest { seconds, ..*guest }.run()
    }
}
