//! Tests of the columns: no line is wider than the terminal, and each column begins where its
//! name does.

use std::sync::Arc;

use probe_user::model::{
    Arguments, Cgroup, CgroupId, Comm, Container, KilledBy, Runtime, Sender, Signal, Via,
};

use super::{text::width, *};

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

fn names(columns: &Columns) -> Vec<String> {
    let header = header(columns);
    header.split_whitespace().map(str::to_owned).collect()
}

fn utc(width: Option<usize>) -> Columns {
    Columns::new(width, false).in_zone(TimeZone::UTC)
}

#[test]
fn the_uid_and_then_the_parent_make_room_on_a_narrow_terminal() {
    let all = "TIME(UTC) PID PPID UID COMM AGE STATUS KILLED-BY WHERE";
    for width in [Some(120), Some(200), None] {
        assert_eq!(names(&utc(width)).join(" "), all);
    }
    let medium = "TIME(UTC) PID PPID COMM AGE STATUS KILLED-BY WHERE";
    assert_eq!(names(&utc(Some(100))).join(" "), medium);
    let narrow = "TIME(UTC) PID COMM AGE STATUS KILLED-BY WHERE";
    assert_eq!(names(&utc(Some(80))).join(" "), narrow);
}

#[test]
fn starts_have_a_column_for_arguments_and_tasks_one_for_the_tid() {
    let narrow = utc(Some(80)).with_starts(true).of_tasks(true);
    let all = "TIME(UTC) PID TID COMM AGE STATUS KILLED-BY WHERE ARGS";
    assert_eq!(names(&narrow).join(" "), all);
}

#[test]
fn records_and_their_header_have_this_text_at_80_and_200_columns() {
    let lines = |width| {
        let columns = utc(Some(width)).with_starts(true);
        let mut start = placed(Start {
            process: process("sh", 4711, 1000),
            exec: Some(Arguments {
                args: Some(["sh", "-c", "make all"].map(str::to_owned).into()),
                truncated: false,
            }),
        });
        start.cgroup.as_mut().expect("placed").path = Some(Arc::from("/build/job"));
        let time = |text: String| {
            // The clock of the test decides on the time.
            let (_, rest) = text.split_at(if width < 120 { 8 } else { 12 });
            format!(
                "{}{rest}",
                if width < 120 {
                    "03:04:05"
                } else {
                    "03:04:05.678"
                }
            )
        };
        let exit = exit("worker", 4712, 1000);
        [
            header(&columns),
            time(line(&columns, &Record::Start(Box::new(start)))),
            time(exit_line(&columns, exit)),
        ]
    };
    assert_eq!(
        lines(80),
        [
            "TIME(UTC)    PID COMM        AGE STATUS    KILLED-BY   WHERE        ARGS",
            "03:04:05    4711 sh            - exec      -           /build/job   sh -c make …",
            "03:04:05    4712 worker   59m59s SIGKILL   containerd… …end.service -",
        ]
    );
    assert_eq!(
        lines(200),
        [
            "TIME(UTC)        PID    PPID    UID COMM               AGE STATUS         KILLED-BY                            WHERE                                        ARGS",
            "03:04:05.678    4711       1   1000 sh                   - exec           -                                    /build/job                                   sh -c make all",
            "03:04:05.678    4712       1   1000 worker          59m59s SIGKILL        containerd-shim[4194303] cgroup.kill …/burstable/a-name-that-does-not-end.service -",
        ]
    );
}

#[test]
fn times_are_in_the_zone_of_the_columns() {
    let tokyo = TimeZone::posix("JST-9").expect("a zone");
    let here = utc(None).in_zone(tokyo);
    let clock = WallClock::now();
    let record = Record::Exit(Arc::new(exit("x", 1, 0)));
    let hour = |columns: &Columns| -> u32 {
        let mut out = Vec::new();
        columns
            .write_record(&mut out, &record, &clock)
            .expect("a Vec");
        let text = String::from_utf8(out).expect("UTF-8");
        text[..2].parse().expect("an hour")
    };
    assert!(header(&here).starts_with("TIME(JST)"));
    assert_eq!(hour(&here), (hour(&utc(None)) + 9) % 24);
}

#[test]
fn cells_begin_below_the_name_of_their_column() {
    for columns in WIDTHS.map(Some).into_iter().chain([None]) {
        let format = Columns::new(columns, false);
        let header = header(&format);
        for name in ["x", "名前が長い", "fifteen-letters"] {
            let line = exit_line(&format, exit(name, 42, 0));
            let comm = format.layout.iter().find(|(name, _)| *name == Name::Comm);
            let shown = fit(name, comm.expect("always there").1);
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
            line.contains("4194303") && (columns < 120 || line.contains("4294967294")),
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
fn arguments_take_the_rest_of_the_line() {
    let args: Vec<_> = (0..100).map(|index| index.to_string()).collect();
    let start = placed(Start {
        process: process("x", 1, 0),
        exec: Some(Arguments {
            args: Some(args),
            truncated: false,
        }),
    });
    let start = Record::Start(Box::new(start));
    for columns in WIDTHS {
        let format = Columns::new(Some(columns), false).with_starts(true);
        let short = line(&format, &start);
        assert_eq!(width(&short), columns, "{short:?}");
        assert!(short.ends_with('…'), "{short:?}");
    }
    let whole = Columns::new(None, false).with_starts(true);
    assert!(line(&whole, &start).ends_with(" 98 99"));
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
fn only_the_status_of_a_failure_and_its_killer_are_coloured() {
    let mut succeeded = exit("x", 1, 0);
    succeeded.what.status = Some(ExitStatus::from_wait_status(0));
    succeeded.what.killed_by = None;
    let coloured = Columns::new(Some(200), true);
    let failed = exit_line(&coloured, exit("x", 1, 0));
    assert!(failed.contains("\u{1b}[31mSIGKILL\u{1b}[0m"), "{failed:?}");
    let killer = "\u{1b}[33mcontainerd-shim[4194303] cgroup.kill\u{1b}[0m";
    assert!(failed.contains(killer), "{failed:?}");
    assert_eq!(failed.matches('\u{1b}').count(), 4, "{failed:?}");
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
    assert!(names.contains(" TID "), "{names}");
    let line = exit_line(&columns, exit);
    assert!(line.contains(" 42 ") && line.contains(" 43 "), "{line}");
    assert!(
        line.contains(" worker ") && !line.contains("leader"),
        "{line}"
    );
}
