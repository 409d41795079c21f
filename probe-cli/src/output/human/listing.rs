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
    UnknownColumn,
    cells::{age, short_id, unknown},
    indices,
    table::{
        Cell,
        Side::{self, CutBeginning, Left, Right},
        line,
    },
    text::{printable, width},
};
use crate::output::Out;

/// What a table depends on apart from its rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Screen<'a> {
    /// `CLOCK_BOOTTIME` in nanoseconds.
    pub(crate) now_ns: u64,
    /// The width of the terminal.
    pub(crate) terminal: Option<usize>,
    /// The columns that the user chose; none for all.
    pub(crate) chosen: &'a [String],
}

/// The columns of containers.
const CONTAINERS: [&str; 6] = ["CONTAINER", "ID", "LIVE", "AGE", "EXITS", "CGROUP"];
/// The columns of processes.
const PROCESSES: [&str; 7] = ["PID", "PPID", "UID", "AGE", "STATE", "COMM", "CGROUP"];

/// Refuses columns that the table of processes, or of containers, does not have.
pub(crate) fn check_columns(chosen: &[String], of_processes: bool) -> Result<(), UnknownColumn> {
    let known = if of_processes {
        &PROCESSES[..]
    } else {
        &CONTAINERS
    };
    indices(chosen, known).map(drop)
}

/// Writes containers: CONTAINER ID LIVE AGE EXITS CGROUP.
pub(crate) fn write_containers<W: Write>(
    out: &mut Out<W>,
    containers: &[Container],
    has_history: bool,
    Screen {
        now_ns,
        terminal,
        chosen,
    }: Screen<'_>,
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
    let names = CONTAINERS;
    let sides = [Left, Left, Right, Right, Right, CutBeginning];
    write_table(out, names, rows, sides, (terminal, chosen))
}

/// Writes processes, each child below its parent: PID PPID UID AGE STATE COMM CGROUP.
pub(crate) fn write_processes<W: Write>(
    out: &mut Out<W>,
    processes: &[(usize, Process)],
    Screen {
        now_ns,
        terminal,
        chosen,
    }: Screen<'_>,
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
    let names = PROCESSES;
    let sides = [Right, Right, Right, Right, Left, Left, CutBeginning];
    write_table(out, names, rows, sides, (terminal, chosen))
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
    table(names, rows, sides, None, &[])
}

/// Writes rows below the names of their columns.
fn write_table<W: Write, const N: usize>(
    out: &mut Out<W>,
    names: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    sides: [Side; N],
    (terminal, chosen): (Option<usize>, &[String]),
) -> io::Result<()> {
    let columns = indices(chosen, &names).map_err(io::Error::other)?;
    for row in table(names, rows, sides, terminal, &columns) {
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
    chosen: &[usize],
) -> Vec<String> {
    let rows: Vec<_> = iter::once(names.map(str::to_owned)).chain(rows).collect();
    let all: Vec<_> = (0..N).collect();
    let columns = if chosen.is_empty() { &all } else { chosen };
    let width_of = |column: &usize| rows.iter().map(|row| width(&row[*column])).max();
    let widths = columns.iter().map(|column| width_of(column).unwrap_or(0));
    let mut widths: Vec<_> = widths.collect();
    let others: usize = widths.iter().rev().skip(1).map(|width| width + 1).sum();
    // A number stands at the right of its column, not of the line.
    let is_number = |column: &usize| sides[*column] == Right;
    if let Some(last) = widths.last_mut()
        && !columns.last().is_some_and(is_number)
    {
        *last = terminal.map_or(usize::MAX, |it| it.saturating_sub(others).max(12));
    }
    let lines = rows.iter().map(|row| {
        let cells = columns.iter().zip(&widths);
        line(cells.map(|(&column, &width)| Cell::plain(row[column].clone(), width, sides[column])))
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
            let screen = Screen {
                now_ns: 65 * SECOND,
                terminal: Some(70),
                ..Screen::default()
            };
            write_containers(out, &containers, true, screen).expect("a vector takes all");
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
            write_containers(out, &[container("web")], false, Screen::default()).expect("a vector");
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
        let lines = text(|out| {
            write_processes(out, &family, {
                let terminal = Some(80);
                Screen {
                    terminal,
                    ..Screen::default()
                }
            })
            .expect("a vector");
        });
        assert_eq!(
            lines,
            [
                " PID PPID UID AGE STATE   COMM    CGROUP",
                "   7    1   0   - running sh      /x",
                "1234    1   0   - exiting   sleep /x",
            ]
        );
    }

    #[test]
    fn chosen_columns_come_in_the_order_of_the_names() {
        let chosen = ["live", "container"].map(str::to_owned);
        let screen = Screen {
            chosen: &chosen,
            ..Screen::default()
        };
        let lines = text(|out| {
            write_containers(out, &[container("web")], true, screen).expect("a vector takes all");
        });
        assert_eq!(lines, ["LIVE CONTAINER", "  12 runc:web"]);
        let chosen_number = ["container", "live"].map(str::to_owned);
        let lines = text(|out| {
            let screen = Screen {
                chosen: &chosen_number,
                ..Screen::default()
            };
            write_containers(out, &[container("web")], true, screen).expect("a vector takes all");
        });
        assert_eq!(lines, ["CONTAINER LIVE", "runc:web    12"]);
        let error = check_columns(&chosen, true).expect_err("a column of containers");
        assert_eq!(error.to_string(), "there is no column 'live'");
    }
}
