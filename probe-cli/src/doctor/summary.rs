//! The last sentence of the report: what works for this user, and what to do for more.

use probe_daemon::api::json::DoctorLine;

/// Formats the sentence. `user` is the name of the user, or `uid N`.
pub(super) fn sentence(report: &DoctorLine, user: &str) -> String {
    let works = |name: &str| report.backends.iter().any(|it| it.name == name && it.ok);
    let hint = |name: &str| {
        let backend = report.backends.iter().find(|it| it.name == name);
        let hint = backend.and_then(|it| it.hint).unwrap_or("see above");
        // The rest of a hint is for special cases.
        hint.split(';').next().unwrap_or(hint)
    };
    if !works("poll") {
        return format!("Nothing works for {user}: {}.", hint("poll"));
    }
    match (works("bpf"), works("daemon"), works("pidfd")) {
        (true, true, _) => format!("Everything works for {user}."),
        (true, false, _) => format!(
            "Everything works for {user} but `probe last`; for that, and to serve users without \
             privileges, start `probe daemon`."
        ),
        (false, true, _) => format!(
            "Everything works for {user} by the daemon, which shows a user only what the user may \
             see; to see everything, run probe as root."
        ),
        (false, false, true) => format!(
            "wait, kill, run and ps work for {user}, without a list of exits; for trace, top and \
             last, ask an administrator to start `probe daemon`, or {}.",
            hint("bpf")
        ),
        (false, false, false) => format!(
            "wait, kill, run and ps work for {user}, but only a timer wakes them; for more, {}.",
            hint("pidfd")
        ),
    }
}

#[cfg(test)]
mod tests {
    use probe_daemon::api::json::SCHEMA;

    use super::*;
    use crate::doctor::{no, yes};

    fn report(working: &[&str]) -> DoctorLine {
        let backend = |name: &str| {
            if working.contains(&name) {
                yes(name, "available")
            } else {
                no(name, "a reason", "run probe as root")
            }
        };
        DoctorLine {
            schema: SCHEMA,
            r#type: "doctor",
            kernel: String::new(),
            event_driven: true,
            backends: ["daemon", "bpf", "pidfd", "poll"].map(backend).into(),
            checks: Vec::new(),
            engines: Vec::new(),
        }
    }

    #[test]
    fn the_sentence_says_what_works_and_what_to_do_for_more() {
        for (working, words) in [
            (
                &["daemon", "bpf", "pidfd", "poll"][..],
                "Everything works for root.",
            ),
            (&["bpf", "pidfd", "poll"], "but `probe last`"),
            (&["daemon", "pidfd", "poll"], "by the daemon"),
            (&["pidfd", "poll"], "or run probe as root."),
            (
                &["poll"],
                "only a timer wakes them; for more, run probe as root.",
            ),
            (&[], "Nothing works for root"),
        ] {
            let sentence = sentence(&report(working), "root");
            assert!(sentence.contains(words), "{working:?}: {sentence}");
        }
    }
}
