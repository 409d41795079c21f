//! Whom the out-of-memory killer chose, where a record was made too early to tell.
//!
//! It sends SIGKILL, and then says whom it chose. Since Linux 6.16 the exit
//! tracepoint comes before the victim gives its memory back, and so its record may
//! be made in between. But the killer holds the lock of the victim's task all the
//! while, and who reads `stat` of a task takes that lock: after that the mark is
//! there, or there will be none.
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

/// See the module.
pub(super) struct OomVictims {
    marks: HashMap<MapData, u32, [u64; 2]>,
}

impl OomVictims {
    pub(super) fn new(marks: HashMap<MapData, u32, [u64; 2]>) -> Self {
        Self { marks }
    }

    /// Fills in that it was chosen, if it was. Only who seems killed by the kernel
    /// for no known reason is looked for: next to nobody else is.
    pub(super) fn complete(&self, exit: &mut Exit) {
        if !exit.may_be_oom_victim() {
            return;
        }
        if !self.is_marked(exit) {
            if let Err(error) = take_locks(exit.process.tgid) {
                debug!(%error, "its tasks cannot be read");
            }
            if !self.is_marked(exit) {
                return;
            }
        }
        exit.became_oom_victim();
    }

    fn is_marked(&self, exit: &Exit) -> bool {
        let process = &exit.process;
        let Some(start_boottime_ns) = process.start_boottime_ns else {
            return false;
        };
        [process.tgid, process.tid].iter().any(|id| {
            let mark: Option<OomMark> = self
                .marks
                .get(id, 0)
                .ok()
                .map(|words| zerocopy::transmute!(words));
            mark.is_some_and(|mark| mark.is_of(start_boottime_ns))
        })
    }
}

/// Of every task of a process, one after the other.
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
    fn a_mark_is_of_the_process_that_began_when_its_victim_did() {
        assert!(mark(7).is_of(7));
        assert!(!mark(7).is_of(8));
    }

    #[test]
    fn a_mark_without_a_start_is_of_nobody_who_began_after_it() {
        assert!(mark(0).is_of(50));
        assert!(!mark(0).is_of(51));
    }
}
