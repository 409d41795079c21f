//! [`Reason`]: a cause with its thread, its phase and its words.

use serde::Serialize;

use super::{
    cause::{Cause, Thaw},
    words::{hint, predicate},
};

/// How far a task is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It executes its program.
    Living,
    /// SIGKILL is pending, or another thread ends the process.
    Killed,
    /// It is in the exit path of the kernel.
    Exiting,
    /// It has exited.
    Exited,
}

/// Why a process is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What keeps it: the field `code` is stable, the other fields depend on it.
    #[serde(flatten)]
    pub cause: Cause,
    /// Thread id of the task that is kept, if that is not the leader of its thread group.
    pub tid: Option<u32>,
    /// How far this task is on its way to its end.
    pub phase: Phase,
    /// The reason for people: a predicate of which the process is the subject, such as `is
    /// exiting and waits for FUSE at /mnt`.
    pub text: String,
    /// What would free the process; `None` if nothing is known that would.
    pub hint: Option<String>,
}

impl Reason {
    pub(super) fn new(cause: Cause, tid: Option<u32>, phase: Phase) -> Self {
        let phrase = match (phase, &cause) {
            (Phase::Killed, Cause::Kernel { .. }) => format!("is killed and {}", predicate(&cause)),
            (Phase::Killed, _) => format!("is killed, but {}", predicate(&cause)),
            (Phase::Exiting, _) => format!("is exiting and {}", predicate(&cause)),
            (Phase::Living | Phase::Exited, _) => predicate(&cause),
        };
        let text = match tid {
            Some(tid) => format!("has thread {tid}, which {phrase}"),
            None => phrase,
        };
        Self {
            hint: hint(&cause),
            cause,
            tid,
            phase,
            text,
        }
    }
}

impl Thaw {
    /// The shell command that thaws the cgroup.
    #[must_use]
    pub fn command(&self) -> String {
        format!(
            "echo {} > '{}'",
            self.value,
            self.file.replace('\'', "'\\''")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::ProcessName;

    fn named(pid: u32, comm: &str) -> ProcessName {
        ProcessName {
            pid,
            comm: comm.to_owned(),
            state: 'S',
            wchan: Some("do_wait".to_owned()),
        }
    }

    #[test]
    fn a_reason_is_a_predicate_with_the_phase_and_the_thread() {
        let fuse = |tid, phase| {
            let cause = Cause::Fuse {
                connection: Some(46),
                mount: Some("/mnt/x".to_owned()),
                servers: vec![named(77, "hangfs")],
                candidates: vec![46],
            };
            Reason::new(cause, tid, phase).text
        };
        let waits = "waits for FUSE at /mnt/x (server hangfs[77])";
        assert_eq!(fuse(None, Phase::Living), waits);
        assert_eq!(
            fuse(None, Phase::Exiting),
            format!("is exiting and {waits}")
        );
        assert_eq!(
            fuse(Some(9), Phase::Killed),
            format!("has thread 9, which is killed, but {waits}")
        );
    }

    #[test]
    fn the_code_and_the_details_are_in_one_object() {
        let cause = Cause::Zombie {
            parent: Some(named(5, "sh")),
        };
        let reason = Reason::new(cause, None, Phase::Exited);
        let json = serde_json::to_value(&reason).expect("no map with other keys");
        assert_eq!(json["code"], "zombie");
        assert_eq!(json["parent"]["comm"], "sh");
        assert_eq!(json["phase"], "exited");
        assert_eq!(
            json["text"],
            "is a zombie that its parent sh[5] (S in do_wait) does not reap"
        );
    }

    #[test]
    fn a_thaw_command_quotes_the_file() {
        let thaw = Thaw {
            cgroup: "/it's".to_owned(),
            file: "/sys/fs/cgroup/it's/cgroup.freeze".to_owned(),
            value: "0",
        };
        let command = r"echo 0 > '/sys/fs/cgroup/it'\''s/cgroup.freeze'";
        assert_eq!(thaw.command(), command);
    }
}
