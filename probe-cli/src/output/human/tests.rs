//! Tests of the columns: no line is wider than the terminal, and each column begins where its
//! name does.

use std::sync::Arc;

use probe_user::model::{
    Arguments, Cgroup, CgroupId, Comm, Container, KilledBy, Runtime, Sender, Signal, Via,
};

use super::*;

const WIDTHS: [usize; 5] = [80, 100, 120, 160, 200];

fn process(name: &str, pid: u32, uid: u32) -> Process {
    Process {
        tid: pid,
        tgid: pid,
        ppid: Some(1),
        uid: Some(uid),
        comm: Comm::cut(name.as_bytes()),
        start_boottime_ns: Some(1),
        ..Process::default()
    }
}

fn placed<T>(what: T) -> Placed<T> {
    Placed {
        boottime_ns: 3_600_000_000_000,
        what,
        cgroup: Some(Cgroup {
            id: CgroupId {
                hierarchy: 0,
                id: 7,
            },
            path: Some(Arc::from(
                "/kubepods.slice/burstable/a-name-that-does-not-end.service",
            )),
        }),
        v1_cgroup: None,
        task_cgroup: None,
        container: None,
    }
}

fn exit(name: &str, pid: u32, uid: u32) -> Placed<Exit> {
    placed(Exit {
        process: process(name, pid, uid),
        group_dead: true,
        leader: true,
        status: Some(ExitStatus::from_wait_status(9)),
        killed_by: Some(KilledBy {
            signal: Signal::KILL,
            via: Via::CgroupKill,
            sender: Some(Sender {
                tgid: 4_194_303,
                comm: "containerd-shim".to_owned(),
                uid: 0,
            }),
            cause: None,
            forged: false,
        }),
        ..Exit::default()
    })
}

fn line(columns: &Columns, record: &Record) -> String {
    let mut out = Vec::new();
    columns
        .write_record(&mut out, record, &WallClock::now())
        .expect("a Vec takes all");
    String::from_utf8(out).expect("UTF-8")
}

fn exit_line(columns: &Columns, exit: Placed<Exit>) -> String {
    line(columns, &Record::Exit(Arc::new(exit)))
}

fn header(columns: &Columns) -> String {
    let mut out = Vec::new();
    columns.write_header(&mut out).expect("a Vec takes all");
    String::from_utf8(out).expect("UTF-8")
}

/// Returns the number of terminal columns before the first occurrence of a word.
fn column_of(line: &str, word: &str) -> usize {
    let at = line.find(word);
    width(&line[..at.unwrap_or_else(|| panic!("no {word} in {line:?}"))])
}

#[test]
fn lines_fit_the_terminal() {
    for columns in WIDTHS {
        let format = Columns::new(Some(columns), false);
        let lines = [
            header(&format),
            exit_line(&format, exit("x", 1, 0)),
            exit_line(&format, exit("名前が長い", 4_194_303, 4_294_967_294)),
            exit_line(&format, exit("fifteen-letters", 4_194_303, 100_000)),
        ];
        for line in lines {
            assert!(
                width(&line) <= columns,
                "{} > {columns}: {line:?}",
                width(&line)
            );
        }
    }
}

#[test]
fn the_header_names_all_columns_on_a_wide_terminal() {
    const NAMES: [&str; 9] = [
        "TIME",
        "PID",
        "PPID",
        "UID",
        "COMM",
        "AGE",
        "STATUS",
        "KILLED-BY",
        "CONTAINER-OR-CGROUP",
    ];
    for columns in [Some(120), Some(200), None] {
        let header = header(&Columns::new(columns, false));
        assert_eq!(header.split_whitespace().collect::<Vec<_>>(), NAMES);
    }
    let narrow = header(&Columns::new(Some(80), false));
    let names: Vec<_> = narrow.split_whitespace().collect();
    assert_eq!(names[..8], NAMES[..8]);
    assert!(names[8].starts_with("CONTAINER"), "{narrow}");
}

#[test]
fn cells_begin_below_the_name_of_their_column() {
    for columns in WIDTHS.map(Some).into_iter().chain([None]) {
        let format = Columns::new(columns, false);
        let header = header(&format);
        for name in ["x", "名前が長い", "fifteen-letters"] {
            let line = exit_line(&format, exit(name, 42, 0));
            let shown = fit(name, format.widths[4]);
            assert_eq!(
                column_of(&line, &shown),
                column_of(&header, "COMM"),
                "{line:?}"
            );
            assert_eq!(
                column_of(&line, "SIGKILL"),
                column_of(&header, "STATUS"),
                "{line:?}"
            );
            assert_eq!(
                column_of(&line, "container"),
                column_of(&header, "KILLED-BY"),
                "{line:?}"
            );
        }
    }
}

#[test]
fn a_wide_number_narrows_the_next_column() {
    for columns in WIDTHS {
        let format = Columns::new(Some(columns), false);
        let line = exit_line(&format, exit("x", 4_194_303, 4_294_967_294));
        assert_eq!(
            column_of(&line, "SIGKILL"),
            column_of(&header(&format), "STATUS"),
            "{line:?}"
        );
        assert!(
            line.contains("4194303") && line.contains("4294967294"),
            "{line:?}"
        );
    }
}

#[test]
fn cells_are_not_cut_without_a_terminal() {
    let format = Columns::new(None, false);
    let line = exit_line(&format, exit("fifteen-letters", 4_194_303, 4_294_967_294));
    for whole in [
        "fifteen-letters",
        "containerd-shim[4194303] cgroup.kill",
        "/kubepods.slice/burstable/a-name-that-does-not-end.service",
    ] {
        assert!(line.contains(whole), "{line:?}");
    }
}

#[test]
fn exits_of_threads_are_marked_on_a_narrow_terminal_too() {
    for (columns, leader, words) in [
        (80, true, "l SIGKILL"),
        (80, false, "t SIGKILL"),
        (120, true, "leader SIGKILL"),
        (120, false, "thread SIGKILL"),
    ] {
        let mut exit = exit("x", 1, 0);
        exit.what.group_dead = false;
        exit.what.leader = leader;
        let line = exit_line(&Columns::new(Some(columns), false), exit);
        assert!(line.contains(words), "{line:?}");
    }
}

#[test]
fn arguments_take_the_width_that_the_place_leaves() {
    let args: Vec<_> = (0..100).map(|index| index.to_string()).collect();
    let start = |place: &str| {
        let mut start = placed(Start {
            process: process("x", 1, 0),
            exec: Some(Arguments {
                args: Some(args.clone()),
                truncated: false,
            }),
        });
        start.cgroup.as_mut().expect("placed").path = Some(Arc::from(place));
        Record::Start(Box::new(start))
    };
    for columns in WIDTHS {
        let format = Columns::new(Some(columns), false);
        let short = line(&format, &start("/a"));
        assert_eq!(width(&short), columns, "{short:?}");
        assert!(short.ends_with("… /a"), "{short:?}");
        let long = line(&format, &start(&"/long".repeat(50)));
        assert_eq!(width(&long), columns, "{long:?}");
    }
    assert!(line(&Columns::new(None, false), &start("/a")).ends_with("98 99 /a"));
}

#[test]
fn a_container_is_shown_instead_of_its_cgroup() {
    let mut exit = exit("x", 1, 0);
    let container = |id: &str, name: Option<&str>| {
        Some(Arc::new(Container {
            runtime: Runtime::Docker,
            id: id.to_owned(),
            name: name.map(str::to_owned),
            pod_uid: None,
            pod: None,
            location: None,
        }))
    };
    let format = Columns::new(Some(200), false);
    exit.container = container(&"0123456789abcdef".repeat(4), None);
    assert!(exit_line(&format, exit.clone()).ends_with(" docker:0123456789ab"));
    exit.container = container("x", Some("web\u{1b}[2J"));
    assert!(exit_line(&format, exit.clone()).ends_with(" x docker:web?[2J"));
    exit.container = container(&"0123456789abcdef".repeat(4), Some("web"));
    assert!(exit_line(&format, exit.clone()).ends_with(" 0123456789ab docker:web"));
    // The name of a container of LXC is its id.
    exit.container = container("web", Some("web"));
    assert!(exit_line(&format, exit).ends_with(" docker:web"));
}

#[test]
fn only_failures_are_coloured_and_only_if_colours_are_enabled() {
    let mut succeeded = exit("x", 1, 0);
    succeeded.what.status = Some(ExitStatus::from_wait_status(0));
    let coloured = Columns::new(Some(80), true);
    assert!(exit_line(&coloured, exit("x", 1, 0)).contains('\u{1b}'));
    assert!(!exit_line(&coloured, succeeded).contains('\u{1b}'));
    assert!(!exit_line(&Columns::new(Some(80), false), exit("x", 1, 0)).contains('\u{1b}'));
}

#[test]
fn lines_about_tasks_have_the_tid_and_the_name_of_the_task() {
    let mut exit = exit("leader", 42, 0);
    exit.what.process.tid = 43;
    exit.what.task.comm = Comm::cut(b"worker");
    let columns = Columns::new(None, false).of_tasks(true);
    let names = header(&columns);
    assert!(
        names.contains(" TID ") && !names.contains("PPID"),
        "{names}"
    );
    let line = exit_line(&columns, exit);
    assert!(line.contains(" 42 ") && line.contains(" 43 "), "{line}");
    assert!(
        line.contains(" worker ") && !line.contains("leader"),
        "{line}"
    );
}
