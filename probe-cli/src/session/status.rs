//! How the process ended that `--status` is about.

use probe_user::{
    model::{ExitStatus, Until},
    unstable::{
        proc::pinned::PinnedProcess,
        wait::{Target, condition::Answer},
    },
};

use super::{Session, WaitError};

impl Session {
    /// The wait is not done before the status of this process is known, or it
    /// is reaped without that.
    pub fn want_status(&mut self, process: PinnedProcess) -> Result<(), WaitError> {
        self.teller.status_of = Some((process.tgid, process.start_ticks()));
        let target = Target {
            cgroups: Vec::new(),
            processes: vec![process.try_clone().map_err(WaitError::Look)?],
        };
        let reaped = self.set.arm_beside(&self.hub, target, Until::Reaped);
        self.status_of = Some((process, reaped.map_err(WaitError::Look)?));
        Ok(())
    }

    pub(super) fn lacks_status(&mut self) -> Result<bool, WaitError> {
        let mut moved = Vec::new();
        self.exits
            .tell(&mut self.teller, &mut moved)
            .map_err(WaitError::Write)?;
        self.follow(&moved);
        if self.status().is_some() {
            return Ok(false);
        }
        let Some((_, reaped)) = &mut self.status_of else {
            return Ok(false);
        };
        Ok(reaped.look().map_err(WaitError::Look)? == Answer::No)
    }

    /// How the process of [`Session::want_status`] ended, as far as anybody says.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.teller.status.or_else(|| {
            let (process, _) = self.status_of.as_ref()?;
            let status = process.wait_status()?;
            Some(ExitStatus::from_wait_status(status))
        })
    }
}
