//! Prints containers and live processes in columns that are as wide as their contents.

use std::{
    io::{self, Write},
    iter,
};

use probe_daemon::api::{
    container::{Container, Process},
    json::age_ns,
};
use probe_user::unstable::diagnosis::Survivor;

use super::{
    cells::{age, short_id, unknown},
    table::{
        Cell,
        Side::{self, CutBeginning, Left, Right},
        line,
    },
    text::{printable, width},
};
use crate::output::Out;

/// Writes containers: CONTAINER ID LIVE AGE EXITS CGROUP.
pub(crate) fn write_containers<W: Write>(
    out: &mut Out<W>,
    containers: &[Container],
    has_history: bool,
    (now_ns, terminal): (u64, Option<usize>),
) -> io::Result<()> {
    let rows = containers.iter().map(|container| {
        let name = container.name.as_deref().map_or_else(unknown, printable);
        let exits = has_history.then(|| container.recent_exits.to_string());
        [
            format!("{}:{name}", container.runtime),
            printable(short_id(&container.id)),
            container.live.to_string(),
            age_ns(container.oldest_start_boottime_ns, now_ns).map_or_else(unknown, age),
            exits.unwrap_or_else(unknown),
            printable(&container.cgroup),
        ]
    });
    let names = ["CONTAINER", "ID", "LIVE", "AGE", "EXITS", "CGROUP"];
    let sides = [Left, Left, Right, Right, Right, CutBeginning];
    write_table(out, names, rows, sides, terminal)
}

/// Writes processes, each child below its parent: PID PPID UID AGE STATE COMM CGROUP.
pub(crate) fn write_processes<W: Write>(
    out: &mut Out<W>,
    processes: &[(usize, Process)],
    (now_ns, terminal): (u64, Option<usize>),
) -> io::Result<()> {
    let number = |value: Option<u32>| value.map_or_else(unknown, |value| value.to_string());
    let rows = processes.iter().map(|(depth, process)| {
        let indent = 2 * depth;
        [
            process.pid.to_string(),
            number(process.ppid),
            number(process.uid),
            age_ns(process.start_boottime_ns, now_ns).map_or_else(unknown, age),
            process.state.as_str().to_owned(),
            format!("{:indent$}{}", "", printable(&process.comm)),
            process.cgroup.as_deref().map_or_else(unknown, printable),
        ]
    });
    let names = ["PID", "PPID", "UID", "AGE", "STATE", "COMM", "CGROUP"];
    let sides = [Right, Right, Right, Right, Left, Left, CutBeginning];
    write_table(out, names, rows, sides, terminal)
}

/// Formats the processes that are still there as lines: PID STATE AGE COMM WAITS-IN WHY.
pub(crate) fn survivors(survivors: &[Survivor]) -> Vec<String> {
    let rows = survivors.iter().map(|it| {
        [
            it.pid.to_string(),
            it.state.to_string(),
            it.age_ns.map_or_else(unknown, age),
            printable(&it.comm),
            it.wchan.clone().unwrap_or_else(unknown),
            printable(it.why()),
        ]
    });
    let names = ["PID", "STATE", "AGE", "COMM", "WAITS-IN", "WHY"];
    let sides = [Right, Left, Right, Left, Left, Left];
    table(names, rows, sides, None)
}

/// Writes rows below the names of their columns.
fn write_table<W: Write, const N: usize>(
    out: &mut Out<W>,
    names: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    sides: [Side; N],
    terminal: Option<usize>,
) -> io::Result<()> {
    for row in table(names, rows, sides, terminal) {
        out.line(|out| out.write_all(row.as_bytes()))?;
    }
    Ok(())
}

/// Formats rows below the names of their columns. The columns are as wide as their contents; the
/// last one takes the rest of the line.
fn table<const N: usize>(
    names: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    sides: [Side; N],
    terminal: Option<usize>,
) -> Vec<String> {
    let rows: Vec<_> = iter::once(names.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (column, cell) in widths.iter_mut().zip(row) {
            *column = width(cell).max(*column);
        }
    }
    let others: usize = widths[..N - 1].iter().map(|width| width + 1).sum();
    widths[N - 1] = terminal.map_or(usize::MAX, |it| it.saturating_sub(others).max(12));
    let lines = rows.into_iter().map(|row| {
        let cells = row.into_iter().zip(widths).zip(sides);
        line(cells.map(|((text, width), side)| Cell::plain(text, width, side)))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use probe_daemon::api::container::State;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn text(write: impl FnOnce(&mut Out<Vec<u8>>)) -> Vec<String> {
        let mut out = Out::new(Vec::new());
        write(&mut out);
        let bytes = out.buffered;
        let text = String::from_utf8(bytes).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    fn container(name: &str) -> Container {
        Container {
            runtime: "runc".to_owned(),
            id: "0123456789abcdef".repeat(4),
            name: Some(name.to_owned()),
            pod_uid: None,
            pod: None,
            location: None,
            cgroup: "/a/long/path/of/a/cgroup/that/does/not/end.scope".to_owned(),
            live: 12,
            oldest_start_boottime_ns: Some(5 * SECOND),
            recent_exits: 3,
            processes: None,
        }
    }

    #[test]
    fn containers_have_the_short_id_that_runtimes_show() {
        let containers = [container("web"), container("\u{1b}[31mdb")];
        let lines = text(|out| {
            let now = (65 * SECOND, Some(70));
            write_containers(out, &containers, true, now).expect("a vector takes all");
        });
        assert_eq!(
            lines,
            [
                "CONTAINER    ID           LIVE  AGE EXITS CGROUP",
                "runc:web     0123456789ab   12 1m0s     3 …oup/that/does/not/end.scope",
                "runc:?[31mdb 0123456789ab   12 1m0s     3 …oup/that/does/not/end.scope",
            ]
        );
    }

    #[test]
    fn exits_are_unknown_without_a_history() {
        let lines = text(|out| {
            write_containers(out, &[container("web")], false, (0, None)).expect("a vector");
        });
        assert!(lines[1].contains(" - /a/long"), "{lines:#?}");
    }

    #[test]
    fn child_processes_are_indented() {
        let process = |pid, comm: &str| Process {
            pid,
            ppid: Some(1),
            uid: Some(0),
            comm: comm.to_owned(),
            start_boottime_ns: None,
            cgroup: Some("/x".to_owned()),
            state: State::default(),
        };
        let exiting = Process {
            state: State::Exiting,
            ..process(1234, "sleep")
        };
        let family = [(0, process(7, "sh")), (1, exiting)];
        let lines = text(|out| write_processes(out, &family, (0, Some(80))).expect("a vector"));
        assert_eq!(
            lines,
            [
                " PID PPID UID AGE STATE   COMM    CGROUP",
                "   7    1   0   - running sh      /x",
                "1234    1   0   - exiting   sleep /x",
            ]
        );
    }
}
