//! What `cargo xtask test` runs on other kernels: the heart, within minutes.

use std::time::Duration;

use super::row::{Machine, ROWS, Row};

/// Of all machines together.
pub(super) const LIMIT: Duration = Duration::from_mins(12);

/// The oldest, the one where `rmdir` is EBUSY after waitpid, the newest, and one
/// without events.
const NAMES: [&str; 4] = ["5.10", "6.19.6", "7.3", "UML"];

/// The wait on each backend, what is said where one is missing, exits, kills, the
/// doctor.
const FILTERS: [&str; 11] = [
    "backend_selection::",
    "backends::auto_takes",
    "backends::named::a_named",
    "backends::the_lower_backends",
    "doctor::with_every_privilege",
    "doctor::without_btf",
    "exits::",
    "kill::members::a_cgroup_with_children",
    "kill::members::a_kill_with_records",
    "kill::until::a_cgroup_is_killed",
    "wait::",
];

/// The same for a kernel that tells of no exit, and is twice emulated: there the
/// soak alone has crowds.
const UML_FILTERS: [&str; 8] = [
    "backends::auto_takes",
    "doctor::with_every_privilege",
    "kill::until::a_cgroup_is_killed",
    "wait::a_",
    "wait::changes",
    "wait::survivors",
    "wait::the_verdict",
    "wait::an_empty",
];

/// The backends share them.
const TRIALS: u32 = 60;

pub(super) fn rows() -> Vec<Row<'static>> {
    let is_in = |row: &Row| NAMES.contains(&row.name);
    ROWS.into_iter().filter(is_in).collect()
}

/// For pid 1.
pub(super) fn words(row: &Row) -> Vec<String> {
    let filters = match row.machine {
        Machine::Qemu => FILTERS.join(","),
        Machine::Uml => UML_FILTERS.join(","),
    };
    let mut words = vec![format!("probe.tests={filters} probe.soak={TRIALS}")];
    if row.machine == Machine::Qemu && row.name == NAMES[2] {
        words.push("probe.v2 probe.tests=runtimes::limits".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_that_are_named_are_there() {
        let names: Vec<_> = rows().into_iter().map(|row| row.name).collect();
        assert_eq!(names, NAMES);
    }
}
