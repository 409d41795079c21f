//! Recognizes jobs of Slurm and their steps.
//!
//! `system.slice/[NODE_]slurmstepd.scope/job_ID/step_ID/[user|slurm]/task_ID` on v2,
//! `/slurm[_NODE]/uid_UID/job_ID/step_ID/task_ID` on v1.
//! <https://slurm.schedmd.com/cgroup_v2.html>

use crate::{
    container::layout::{PathComponent, Recognized},
    model::Runtime,
};

/// The id is `JOB` for a job and `JOB.STEP` for a step, as `squeue` and `sacct` show them.
pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    if let Some(step) = component.name.strip_prefix("step_") {
        let (parent, above) = component.above.split_last()?;
        let job = job(parent, above)?;
        return (!step.is_empty())
            .then(|| Recognized::certain(Runtime::Slurm, format!("{job}.{step}")));
    }
    let job = job(component.name, component.above)?;
    Some(Recognized::certain(Runtime::Slurm, job))
}

/// The id of the job that has this cgroup.
fn job<'a>(name: &'a str, above: &[&str]) -> Option<&'a str> {
    let id = name.strip_prefix("job_")?;
    let is_number = !id.is_empty() && id.bytes().all(|it| it.is_ascii_digit());
    let is_slurms = match above {
        [.., scope] if scope.ends_with("slurmstepd.scope") => true,
        [.., slurm, user] => {
            user.starts_with("uid_") && (*slurm == "slurm" || slurm.starts_with("slurm_"))
        }
        _ => false,
    };
    (is_number && is_slurms).then_some(id)
}
