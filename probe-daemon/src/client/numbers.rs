//! The pids in the answers of a daemon in another pid namespace.

use probe_user::{
    model::{Exit, Placed},
    unstable::proc::pid_namespace,
};

use crate::api::info::Info;

/// Converts pids of the daemon to those of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Numbers {
    /// The daemon is in the same pid namespace.
    Same,
    /// The daemon is in another pid namespace than this process; the number is the inode number
    /// of the namespace of this process.
    Other(Option<u32>),
}

impl Numbers {
    pub(super) fn of(daemon: &Info) -> Self {
        let own = pid_namespace::own();
        match daemon.pid_ns {
            None => Self::Same,
            daemon if daemon == own => Self::Same,
            _ => Self::Other(own),
        }
    }

    /// Replaces the pids in a record. A record has the number of its process in the namespace of
    /// the process itself; the other numbers are not known in this namespace.
    pub(super) fn convert(self, exit: &mut Placed<Exit>) {
        let Self::Other(own) = self else {
            return;
        };
        let Exit {
            process,
            leader,
            killed_by,
            ..
        } = &mut exit.what;
        let is_here = own.is_some() && process.pid_ns == own;
        process.tgid = process.ns_pid.filter(|_| is_here).unwrap_or_default();
        process.tid = if *leader { process.tgid } else { 0 };
        process.ppid = None;
        if let Some(sender) = killed_by.as_mut().and_then(|it| it.sender.as_mut()) {
            sender.tgid = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use probe_user::model::{KilledBy, Sender, Signal, Via};

    use super::*;

    #[test]
    fn only_the_number_of_a_process_in_this_namespace_is_known() {
        let mut exit = Placed::<Exit>::default();
        exit.what.leader = true;
        exit.what.process.tgid = 4711;
        exit.what.process.tid = 4711;
        exit.what.process.ppid = Some(4700);
        exit.what.process.ns_pid = Some(7);
        exit.what.process.pid_ns = Some(42);
        exit.what.killed_by = Some(KilledBy {
            signal: Signal::KILL,
            via: Via::Kill,
            sender: Some(Sender {
                tgid: 1,
                comm: "init".to_owned(),
                uid: 0,
            }),
            cause: None,
            forged: false,
        });
        let converted = |numbers: Numbers| {
            let mut exit = exit.clone();
            numbers.convert(&mut exit);
            let Exit {
                process, killed_by, ..
            } = exit.what;
            let sender = killed_by.and_then(|it| it.sender).map(|it| it.tgid);
            (process.tgid, process.tid, process.ppid, sender)
        };
        assert_eq!(converted(Numbers::Same), (4711, 4711, Some(4700), Some(1)));
        assert_eq!(converted(Numbers::Other(Some(42))), (7, 7, None, Some(0)));
        assert_eq!(converted(Numbers::Other(Some(43))), (0, 0, None, Some(0)));
        assert_eq!(converted(Numbers::Other(None)), (0, 0, None, Some(0)));
    }
}
