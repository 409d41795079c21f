//! What a kernel says of itself on its console.

/// Something that no kernel says when all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// A defect, ours or the kernel's.
    Broken(String),
    /// It did not get on, as happens to a guest whose host is busy.
    Stalled(String),
}

const BROKEN: [&str; 7] = [
    "BUG:",
    "kernel BUG at",
    "Oops",
    "WARNING: CPU",
    "Kernel panic",
    "blocked for more than",
    "general protection fault",
];

const STALLED: [&str; 3] = ["soft lockup", "detected stalls on", "self-detected stall"];

/// The lines of a console that tell of trouble.
pub(super) fn findings(console: &str) -> Vec<Finding> {
    let has = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    console
        .lines()
        .filter_map(|line| {
            let text = line.trim().to_owned();
            // A soft lockup begins with `BUG:` too.
            if has(line, &STALLED) {
                Some(Finding::Stalled(text))
            } else {
                has(line, &BROKEN).then_some(Finding::Broken(text))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_found_and_a_lockup_is_no_bug() {
        let console = "\
[    1.0] Linux version 6.12
[    2.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!
[    3.0] BUG: kernel NULL pointer dereference, address: 0
[    4.0] WARNING: CPU: 1 PID: 5 at kernel/exit.c:1
[    5.0] INFO: task probe:7 blocked for more than 120 seconds.
[    6.0] Debugging enabled
";
        let found = findings(console);
        assert!(matches!(&found[0], Finding::Stalled(line) if line.contains("lockup")));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[1..].iter().all(|it| matches!(it, Finding::Broken(_))));
    }
}
