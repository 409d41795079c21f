//! The texts in the cells of a line. The columns decide on their widths.

use probe_user::model::{Arguments, Cause, Container, Exit, ExitStatus, KilledBy, Placed, Via};

use super::text::printable;

pub(super) fn unknown() -> String {
    "-".to_owned()
}

/// Formats an age with at most three digits or two units: `1.2ms`, `34s`, `5m12s`, `2d3h`.
#[must_use]
pub(crate) fn age(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0 if ns < 1_000_000 => format!("{}µs", ns / 1000),
        0 if ns < 10_000_000 => format!("{}.{}ms", ns / 1_000_000, ns / 100_000 % 10),
        0 => format!("{}ms", ns / 1_000_000),
        1..10 => format!("{}.{}s", seconds, ns / 100_000_000 % 10),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Formats an exit code or signal. For the exit of a thread, the word `thread` or `leader`
/// comes first, which is reduced to its first letter in a narrow column.
pub(crate) fn status(exit: &Exit, is_narrow: bool) -> String {
    let text = match exit.status {
        None => "?".to_owned(),
        Some(ExitStatus::Exited { code }) => code.to_string(),
        Some(ExitStatus::Signaled {
            signal,
            core_dumped,
        }) => format!(
            "{}{}",
            signal.name(),
            if core_dumped { "+core" } else { "" }
        ),
    };
    let what = match (exit.group_dead, exit.leader) {
        (true, _) => return text,
        (false, true) => "leader",
        (false, false) => "thread",
    };
    let what = if is_narrow { &what[..1] } else { what };
    format!("{what} {text}")
}

/// A pid, which is unknown if the process has none in the namespace of probe.
pub(crate) fn pid(pid: u32) -> String {
    match pid {
        0 => unknown(),
        pid => pid.to_string(),
    }
}

pub(crate) fn killed_by(killed_by: &KilledBy) -> String {
    let why = killed_by
        .cause
        .map_or(killed_by.via.as_str(), Cause::as_str);
    match &killed_by.sender {
        None => why.to_owned(),
        Some(sender) => {
            let name = format!("{}[{}]", printable(&sender.comm), pid(sender.tgid));
            match killed_by.via {
                _ if killed_by.forged => format!("{name} forged"),
                Via::Kill => name,
                _ => format!("{name} {why}"),
            }
        }
    }
}

pub(super) fn args(arguments: &Arguments) -> String {
    match &arguments.args {
        None => unknown(),
        Some(args) => printable(&args.join(" ")),
    }
}

pub(super) fn place<T>(placed: &Placed<T>) -> String {
    if let Some(container) = &placed.container {
        return container_with_id(container);
    }
    placed
        .cgroup
        .as_ref()
        .and_then(|cgroup| cgroup.path.as_deref())
        .map_or_else(unknown, printable)
}

/// Formats runtime and name, or the short id of a container without a name.
pub(crate) fn container_name(container: &Container) -> String {
    let runtime = container.runtime.as_str();
    if let Some(name) = &container.name {
        return format!("{runtime}:{}", printable(name));
    }
    format!("{runtime}:{}", printable(short_id(&container.id)))
}

/// Formats the short id before runtime and name, so that the name stays if the beginning is cut.
/// A later container may have the same name.
fn container_with_id(container: &Container) -> String {
    let name = container_name(container);
    if container.name.as_ref().is_none_or(|it| *it == container.id) {
        return name;
    }
    format!("{} {name}", printable(short_id(&container.id)))
}

/// Returns the first twelve digits of a hash, which is what runtimes show.
pub(crate) fn short_id(id: &str) -> &str {
    let is_hash = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { &id[..12] } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_at_most_three_digits_of_a_unit() {
        assert_eq!(age(850_000), "850µs");
        assert_eq!(age(1_250_000), "1.2ms");
        assert_eq!(age(182_000_000), "182ms");
        assert_eq!(age(9_900_000_000), "9.9s");
        assert_eq!(age(312_000_000_000), "5m12s");
        assert_eq!(age(90_000_000_000_000), "1d1h");
    }

    #[test]
    fn arguments_contain_no_escape_sequences() {
        let arguments = Arguments {
            args: Some(vec!["echo".to_owned(), "\u{1b}]0;title\u{7}".to_owned()]),
            truncated: false,
        };
        assert_eq!(args(&arguments), "echo ?]0;title?");
    }
}
