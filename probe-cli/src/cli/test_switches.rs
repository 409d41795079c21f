//! Options with which the tests reach states that no event from outside brings about. They exist
//! with the feature `test-switches` only.

use probe_user::unstable::kill::FREEZE_AFTER;

use crate::session::{BpfFault, Session};

/// Options of `probe wait`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct WaitSwitches {
    /// Break BPF as soon as it has joined
    #[arg(long, hide = true, value_name = "WHAT", value_enum)]
    break_bpf: Option<BpfFault>,

    /// Let only messages of the daemon wake the wait
    #[arg(long = "deaf", hide = true)]
    daemon_only: bool,
}

impl WaitSwitches {
    pub(super) fn apply(self, session: &mut Session) {
        if let Some(fault) = self.break_bpf {
            session.break_bpf(fault);
        }
        if self.daemon_only {
            session.wake_by_daemon_only();
        }
    }
}

/// Options of `probe kill`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct KillSwitches {
    /// Rounds of signals before a cgroup is frozen, because a test cannot fork fast enough
    /// to reach the default
    #[arg(long, value_name = "ROUNDS", default_value_t = FREEZE_AFTER, hide = true)]
    pub(super) freeze_after: u32,
}
