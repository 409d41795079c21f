//! Finds the victims of the out-of-memory killer that died before they were marked.
//!
//! The kernel sends SIGKILL first and reports the victim afterwards (`mark_victim`).
//! Since Linux 6.16 the exit tracepoint comes before the victim releases its memory, so
//! the exit record may be written between the two. But the out-of-memory killer holds the
//! lock of the victim's task for all of that time, and a reader of the task's `stat` takes
//! the same lock: after the read the mark exists, or there will be none.
//! <https://elixir.bootlin.com/linux/v6.16/source/mm/oom_kill.c#L945>,
//! <https://elixir.bootlin.com/linux/v6.16/source/kernel/exit.c#L937>,
//! <https://elixir.bootlin.com/linux/v6.16/source/kernel/fork.c#L1492>

use aya::maps::{HashMap, MapData};
use probe_ebpf::event::OomMark;
use std::io;

use tracing::debug;

use crate::{
    model::Exit,
    proc::directory::{ProcessDirectory, is_gone},
};

/// The map in which the BPF programs mark victims.
pub(super) struct OomVictims {
    marks: HashMap<MapData, u32, [u64; 2]>,
}

impl OomVictims {
    pub(super) fn new(marks: HashMap<MapData, u32, [u64; 2]>) -> Self {
        Self { marks }
    }

    /// Marks the exit as an out-of-memory kill if it is one. Only processes that the
    /// kernel seems to have killed without a known cause are looked up; hardly any other
    /// process dies so.
    pub(super) fn complete(&self, exit: &mut Exit) {
        if !exit.may_be_oom_victim() {
            return;
        }
        let mut is_marked = self.is_marked(exit);
        if !is_marked {
            if let Err(error) = take_locks(exit.process.tgid) {
                debug!(%error, "cannot read the tasks of a process");
            }
            is_marked = self.is_marked(exit);
        }
        if is_marked {
            exit.mark_oom_victim();
        }
    }

    fn is_marked(&self, exit: &Exit) -> bool {
        let process = &exit.process;
        let Some(start_boottime_ns) = process.start_boottime_ns else {
            return false;
        };
        // The marks have numbers of the initial pid namespace. A mark by tid is only found in it.
        let tid = (process.tgid == process.initial_tgid).then_some(process.tid);
        let mut ids = [Some(process.initial_tgid), tid].into_iter().flatten();
        ids.any(|id| {
            self.marks.get(&id, 0).is_ok_and(|words| {
                let mark: OomMark = zerocopy::transmute!(words);
                mark.is_of(start_boottime_ns)
            })
        })
    }
}

/// Takes the lock of every task of a process, one after the other.
fn take_locks(tgid: u32) -> io::Result<()> {
    let directory = ProcessDirectory::open(tgid)?;
    let mut buffer = Vec::new();
    for tid in directory.tids()? {
        match directory.read(format!("task/{tid}/stat"), &mut buffer) {
            Err(error) if !is_gone(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mark(start_boottime_ns: u64) -> OomMark {
        OomMark {
            start_boottime_ns,
            marked_boottime_ns: 50,
        }
    }

    #[test]
    fn a_mark_belongs_to_the_process_with_the_start_time_of_the_victim() {
        assert!(mark(7).is_of(7));
        assert!(!mark(7).is_of(8));
    }

    #[test]
    fn a_mark_without_a_start_time_belongs_to_no_later_process() {
        assert!(mark(0).is_of(50));
        assert!(!mark(0).is_of(51));
    }
}
