//! Joins the exit status of a process with its fatal signal, from the facts in a record:
//! `killed_by`.

use probe_ebpf::event::{Killer, SIGNAL_OF_OOM};

use super::signal_origin::{Origin, origin};
use crate::model::{Comm, ExitStatus, KilledBy, Sender, Signal};

/// Joins a status with the recorded signal of the same number. `oom` says whether the
/// out-of-memory killer chose the process.
pub(super) fn killed_by(
    status: Option<ExitStatus>,
    oom: bool,
    killer: Option<&Killer>,
    tgid: u32,
) -> Option<KilledBy> {
    let Some(ExitStatus::Signaled { signal, .. }) = status else {
        return None;
    };
    let killer = killer.filter(|killer| killer.signal == signal.0);
    let shares_memory = killer.is_some_and(|killer| killer.flags & SIGNAL_OF_OOM != 0);
    let origin = killer.map(|killer| origin(killer, tgid));
    // The out-of-memory killer also marks processes that are dying already. The signal that
    // ended them came first.
    let may_be_oom = origin.is_none_or(|it| it == Some(Origin::KERNEL));
    if signal == Signal::KILL && (shares_memory || oom && may_be_oom) {
        return Some(KilledBy::OOM);
    }
    let origin = origin??;
    let origin = killer.map_or(origin, |killer| origin.with_cause_of(killer));
    Some(KilledBy {
        signal,
        via: origin.via,
        sender: killer.filter(|_| origin.has_sender).map(sender),
        cause: origin.cause,
        forged: origin.forged,
    })
}

fn sender(killer: &Killer) -> Sender {
    Sender {
        tgid: killer.pid,
        comm: Comm::new(killer.comm).to_str().into_owned(),
        uid: killer.uid,
    }
}

#[cfg(test)]
mod tests {
    use probe_ebpf::event::{SIGNAL_TO_GROUP, UNKNOWN};

    use super::*;
    use crate::{
        bpf::signal_origin::{SI_KERNEL, SI_USER},
        model::Via,
    };

    const DEAD: u32 = 42;

    #[test]
    fn an_out_of_memory_mark_does_not_hide_an_earlier_kill() {
        let status = Some(ExitStatus::from_wait_status(9));
        let killed = |oom, killer: Option<&Killer>| {
            let killed = killed_by(status, oom, killer, DEAD).expect("a killer");
            (killed.via, killed.sender.map(|sender| sender.tgid))
        };
        let mut killer = Killer {
            tgid: 5,
            uid: 0,
            signal: 9,
            code: SI_USER,
            flags: SIGNAL_TO_GROUP,
            syscall: UNKNOWN,
            pid: 5,
            reserved: 0,
            comm: [0; 16],
        };
        assert_eq!(killed(true, None), (Via::Oom, None));
        assert_eq!(killed(true, Some(&killer)), (Via::Kill, Some(5)));
        killer.code = SI_KERNEL;
        assert_eq!(killed(true, Some(&killer)), (Via::Oom, None));
        assert_eq!(killed(false, Some(&killer)), (Via::Kernel, None));
        killer.flags |= SIGNAL_OF_OOM;
        assert_eq!(killed(false, Some(&killer)), (Via::Oom, None));
    }

    #[test]
    fn a_normal_exit_has_no_killer() {
        let status = Some(ExitStatus::from_wait_status(0x0900));
        assert_eq!(killed_by(status, true, None, DEAD), None);
    }
}
