//! The line that says what is left and why.

use super::survivor::Survivor;

/// One sentence about the processes that are left of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Such as `1 of 12 is left: client[8079] is exiting and waits for FUSE at /mnt/x`.
    pub text: String,
    /// What would free the process that the sentence names.
    pub hint: Option<String>,
}

/// The process with the most serious reason, and that reason; `None` if there is no process.
#[must_use]
pub fn headline(survivors: &[Survivor]) -> Option<Summary> {
    let rank = |it: &&Survivor| it.reason.as_ref().map_or(u8::MAX, |it| it.cause.rank());
    let worst = survivors.iter().min_by_key(rank)?;
    Some(Summary {
        text: format!("{}[{}] {}", worst.comm, worst.pid, worst.why()),
        hint: worst.reason.as_ref().and_then(|it| it.hint.clone()),
    })
}

/// Summarizes the processes that are left; `None` if none is. `all` is the number of processes
/// at the start. The sentence names the process with the most serious reason.
#[must_use]
pub fn summary(survivors: &[Survivor], all: Option<u64>) -> Option<Summary> {
    let headline = headline(survivors)?;
    let count = survivors.len();
    let of_all = all.filter(|&all| all > count as u64);
    let of_all = of_all.map_or_else(String::new, |all| format!(" of {all}"));
    let left = match count {
        1 => "is left:",
        _ => "are left;",
    };
    Some(Summary {
        text: format!("{count}{of_all} {left} {}", headline.text),
        ..headline
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diagnosis::{Cause, Phase, Reason},
        model::TaskState,
    };

    fn survivor(pid: u32, cause: Option<Cause>) -> Survivor {
        Survivor {
            pid,
            comm: "a".to_owned(),
            state: 'S',
            leader: TaskState::Running,
            wchan: None,
            age_ns: None,
            reason: cause.map(|it| Reason::new(it, None, Phase::Living)),
            threads: Vec::new(),
        }
    }

    #[test]
    fn the_most_serious_reason_is_told_first() {
        let left = [survivor(7, None), survivor(8, Some(Cause::Stopped))];
        let text = |left, all| summary(left, all).map(|it| it.text);
        assert_eq!(text(&[], Some(3)), None);
        let alive = text(&left[..1], Some(1));
        assert_eq!(alive.as_deref(), Some("1 is left: a[7] is alive"));
        let stopped = text(&left, Some(12));
        let expected = "2 of 12 are left; a[8] is stopped by a signal";
        assert_eq!(stopped.as_deref(), Some(expected));
    }
}
