//! CPU quotas of cgroups: whether one keeps a task from running.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{cause::Cause, memory::with_controller, observer::Observer, task::Task};

/// How long the periods are counted: most periods last 100 ms.
const MEASURED: Duration = Duration::from_millis(120);

/// The measured quotas.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    pub(super) may_measure: bool,
    /// Share of the periods in which each cgroup was throttled, in percent.
    measured: RefCell<HashMap<PathBuf, Option<u64>>>,
}

/// The quota of a cgroup.
struct Quota {
    cgroup: String,
    directory: PathBuf,
    file: PathBuf,
    /// CPU time in each period, in microseconds.
    runtime_us: u64,
    period_us: u64,
}

/// The cause of a task that could run, but that a quota keeps from running.
pub(super) fn cause(task: &Task<'_>, observer: &Observer) -> Option<Cause> {
    let quotas = with_controller(task, observer, "cpu").into_iter();
    let quotas = quotas.filter_map(|(cgroup, directory)| Quota::read(cgroup, &directory));
    // The smallest share limits the task.
    let quota =
        quotas.min_by_key(|it| it.runtime_us.saturating_mul(1_000_000) / it.period_us.max(1))?;
    let (_, throttled) = periods(&quota.directory)?;
    if throttled == 0 {
        return None;
    }
    let percent = observer.quotas.measure(&quota.directory);
    // A quota that stopped nothing lately is not the cause.
    if percent == Some(0) {
        return None;
    }
    Some(Cause::Throttled {
        cgroup: quota.cgroup,
        quota_us: quota.runtime_us,
        period_us: quota.period_us,
        file: quota.file.display().to_string(),
        throttled_percent: percent,
    })
}

impl Quota {
    fn read(cgroup: String, directory: &Path) -> Option<Self> {
        let number = |file| read_number(&directory.join(file));
        let v2 = directory.join("cpu.max");
        let (file, runtime_us, period_us) = match fs::read_to_string(&v2) {
            Ok(text) => {
                let (quota, period) = text.trim().split_once(' ')?;
                (v2, quota.parse().ok()?, period.parse().ok()?)
            }
            Err(_v1) => {
                let quota = number("cpu.cfs_quota_us")?;
                let period = number("cpu.cfs_period_us")?;
                (directory.join("cpu.cfs_quota_us"), quota, period)
            }
        };
        Some(Self {
            cgroup,
            directory: directory.to_owned(),
            file,
            runtime_us,
            period_us,
        })
    }
}

/// A number that is not negative: -1 means that there is no limit.
fn read_number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Numbers of all periods, and of those in which the cgroup was throttled.
fn periods(directory: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(directory.join("cpu.stat")).ok()?;
    let field = |name: &str| {
        let value = text.lines().find_map(|it| it.strip_prefix(name))?;
        value.trim().parse().ok()
    };
    Some((field("nr_periods ")?, field("nr_throttled ")?))
}

impl Quotas {
    /// The share of the last periods in which a cgroup was throttled, in percent.
    #[expect(
        clippy::disallowed_methods,
        reason = "periods are counted during a time, and no event ends it"
    )]
    fn measure(&self, directory: &Path) -> Option<u64> {
        if !self.may_measure {
            return None;
        }
        if let Some(known) = self.measured.borrow().get(directory) {
            return *known;
        }
        let before = periods(directory)?;
        thread::sleep(MEASURED);
        let after = periods(directory)?;
        let all = after.0.saturating_sub(before.0);
        let throttled = after.1.saturating_sub(before.1);
        let percent = (throttled * 100).checked_div(all);
        let mut measured = self.measured.borrow_mut();
        measured.insert(directory.to_owned(), percent);
        percent
    }
}
