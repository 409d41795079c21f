//! Which verdicts must be exact: those for which the kernel offers what makes them certain.

use probe_user::model::{Backend, Until};

use crate::plan::{Aim, Plan, Shape};

/// What a verdict depends on, besides its plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub(crate) backend: Backend,
    /// Whether a hierarchy of the target is v1.
    pub(crate) has_v1: bool,
    /// Whether a cgroup may have a task that its lists do not show (from Linux 6.19 on).
    pub(crate) leaves_late: bool,
}

/// Whether a verdict that is not exact is wrong.
pub(crate) fn is_required(plan: &Plan, conditions: Conditions) -> bool {
    let Conditions {
        backend,
        has_v1,
        leaves_late,
    } = conditions;
    if plan.aim == Aim::Process {
        return true;
    }
    if plan.shape == Shape::Limited {
        return false;
    }
    let is_about_cgroup = matches!(plan.until, Until::Empty | Until::Removed);
    match (backend, has_v1) {
        (Backend::Bpf, false) => true,
        // The programs see no change of a cgroup that was empty before the wait began.
        (Backend::Bpf, true) => is_about_cgroup && !plan.is_late,
        (_, false) => is_about_cgroup && !(leaves_late && is_removed(plan)),
        (_, true) => false,
    }
}

/// Whether the cgroup may be removed before the verdict.
fn is_removed(plan: &Plan) -> bool {
    plan.shape == Shape::Removed || plan.until == Until::Removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpf_makes_every_verdict_of_a_v2_cgroup_exact() {
        for index in 0..500 {
            let plan = Plan::of(5, index, None);
            let with = |backend, has_v1| {
                let leaves_late = true;
                is_required(
                    &plan,
                    Conditions {
                        backend,
                        has_v1,
                        leaves_late,
                    },
                )
            };
            assert_eq!(with(Backend::Bpf, false), plan.shape != Shape::Limited);
            assert_eq!(with(Backend::Pidfd, true), plan.aim == Aim::Process);
        }
    }
}
