mod keys;

use ratatui::{Terminal, backend::TestBackend, style::Color};

use super::*;

fn container(name: &str) -> Place {
    Place::container(&probe_user::model::Container {
        runtime: probe_user::model::Runtime::Runc,
        id: format!("id of {name}"),
        name: Some(name.to_owned()),
        pod_uid: None,
        pod: None,
        location: None,
    })
}

pub(super) fn exit_of(pid: u32) -> Event {
    exit(pid, "late", "0", "-", &Place::cgroup("/late"))
}

fn exit(pid: u32, comm: &str, status: &str, killed_by: &str, place: &Place) -> Event {
    Event::Exit(Box::new(ExitRow {
        time: "12:34:56".to_owned(),
        pid,
        comm: comm.to_owned(),
        age: "1.2ms".to_owned(),
        age_ns: Some(1_200_000),
        status: status.to_owned(),
        is_failure: status != "0",
        killed_by: killed_by.to_owned(),
        place: place.clone(),
    }))
}

fn model() -> Model {
    Model::new(Options {
        backend: "bpf",
        time_header: "TIME(UTC)".to_owned(),
        ..Options::default()
    })
}

/// Live processes with pids from 101 on.
fn processes(count: u32) -> Vec<ProcessRow> {
    let process = |pid| ProcessRow {
        pid,
        ppid: 1,
        uid: 1000,
        start_ns: u64::from(pid),
        is_exiting: pid == 102,
        comm: format!("worker{pid}"),
    };
    (101..101 + count).map(process).collect()
}

/// A model after three seconds with live processes and exits.
pub(super) fn busy() -> Model {
    let mut model = model();
    let (web, job) = (container("web"), Place::cgroup("/build/job"));
    model.apply(Event::Live(Live {
        processes: 412,
        places: vec![
            (web.clone(), processes(7)),
            (job.clone(), processes(2)),
            (Place::cgroup("/"), processes(3)),
        ],
    }));
    model.tick();
    model.apply(exit(4711, "sh", "0", "-", &job));
    model.apply(exit(4712, "cc1plus", "SIGKILL", "oom", &job));
    model.apply(exit(4713, "nginx", "SIGTERM", "runc[999]", &web));
    model.tick();
    model.apply(exit(4714, "a-name-of-15-ch", "SIGSEGV+core", "-", &web));
    model.tick();
    model
}

fn screen(columns: u16, rows: u16, model: &Model) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a backend");
    terminal.draw(|frame| draw(frame, model)).expect("drawn");
    let buffer = terminal.backend().buffer();
    let cells: Vec<_> = buffer
        .content()
        .iter()
        .map(ratatui::buffer::Cell::symbol)
        .collect();
    cells
        .chunks(columns.into())
        .map(|line| line.concat().trim_end().to_owned())
        .collect()
}

#[track_caller]
fn shows(model: &Model, columns: u16, rows: u16, expected: &str) {
    let shown = screen(columns, rows, model).join("\n");
    assert_eq!(shown.trim_end(), expected.trim_end(), "\n{shown}");
}

/// Pids of the exits on the screen, from top to bottom.
fn pids(model: &Model) -> Vec<u32> {
    let lines = screen(80, 40, model);
    let exits = lines.iter().skip_while(|line| !line.starts_with("TIME"));
    exits
        .filter_map(|line| line.split_whitespace().nth(1)?.parse().ok())
        .collect()
}

/// Places on the screen, from top to bottom.
fn places(model: &Model) -> Vec<String> {
    let lines = screen(80, 40, model);
    lines
        .iter()
        .skip_while(|line| !line.starts_with("WHERE"))
        .skip(1)
        .take_while(|line| !line.starts_with("TIME"))
        .map(|line| {
            line.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

#[test]
fn the_screen_shows_every_part_at_80_by_24() {
    shows(&busy(), 80, 24, include_str!("80x24.txt"));
}

#[test]
fn a_wide_terminal_has_room_for_whole_words_at_120_by_40_and_200_by_50() {
    shows(&busy(), 120, 40, include_str!("120x40.txt"));
    shows(&busy(), 200, 50, include_str!("200x50.txt"));
}

#[test]
fn a_small_terminal_shows_the_most_important_columns() {
    shows(&busy(), 40, 10, include_str!("40x10.txt"));
}

#[test]
fn a_tiny_terminal_shows_the_list_of_the_keys() {
    let mut model = busy();
    shows(&model, 20, 5, include_str!("20x5.txt"));
    model.press(crossterm::event::KeyCode::Tab.into());
    assert!(screen(20, 5, &model)[1].starts_with("COMM"));
}

#[test]
fn colours_mark_failures_killers_and_losses() {
    let mut model = busy();
    model.options.colour = true;
    let colours = |model: &Model, text: &str| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a backend");
        terminal.draw(|frame| draw(frame, model)).expect("drawn");
        let buffer = terminal.backend().buffer().clone();
        let lines = screen(80, 24, model);
        let mut rows = lines.iter().enumerate();
        let place = rows.find_map(|(row, line)| Some((row, line.split_once(text)?.0)));
        let (row, before) = place.expect("on the screen");
        let column = u16::try_from(before.chars().count()).expect("a column");
        buffer[(column, u16::try_from(row).expect("a row"))].fg
    };
    assert_eq!(colours(&model, "SIGTERM"), Color::Red);
    assert_eq!(colours(&model, "runc[999]"), Color::Yellow);
    assert_eq!(colours(&model, "nginx"), Color::Reset);
    assert_eq!(colours(&model, "probe top"), Color::Reset);
    model.apply(Event::Lost {
        count: Some(1),
        reason: LossReason::RingFull,
    });
    assert_eq!(colours(&model, "probe top"), Color::Red);
    model.options.colour = false;
    assert_eq!(colours(&model, "SIGTERM"), Color::Reset);
}

#[test]
fn the_screen_can_have_any_size() {
    for model in [model(), busy()] {
        for (columns, rows) in [
            (1, 1),
            (2, 1),
            (1, 2),
            (1, 100),
            (500, 1),
            (3, 3),
            (400, 200),
        ] {
            let lines = screen(columns, rows, &model);
            assert_eq!(lines.len(), usize::from(rows));
        }
    }
}

#[test]
fn a_place_without_live_processes_and_exits_disappears() {
    let mut model = busy();
    model.apply(Event::Live(Live {
        processes: 1,
        places: vec![(container("web"), processes(1))],
    }));
    for _ in 0..60 {
        model.tick();
    }
    assert_eq!(places(&model), ["runc:web"]);
}

#[test]
fn memory_is_bounded_with_many_cgroups() {
    let mut model = model();
    for pid in 1..20_000 {
        let place = Place::cgroup(&format!("/storm/{pid}"));
        model.apply(exit(pid, "x", "0", "-", &place));
    }
    assert_eq!(model.shown().places.len(), 4096);
    assert_eq!(model.shown().exits.len(), 1024);
    model.tick();
    assert_eq!(model.shown().per_second(), 19_999);
}

#[test]
fn containers_with_the_same_name_are_distinct() {
    let mut model = model();
    let named = |id: &str| {
        Place::container(&probe_user::model::Container {
            runtime: probe_user::model::Runtime::Podman,
            id: id.to_owned(),
            name: Some("db".to_owned()),
            pod_uid: None,
            pod: None,
            location: None,
        })
    };
    model.apply(Event::Live(Live {
        processes: 2,
        places: vec![
            (named("roots"), processes(1)),
            (named("users"), processes(1)),
        ],
    }));
    assert_eq!(places(&model), ["podman:db", "podman:db"]);
    assert!(screen(80, 24, &model)[0].contains("2 containers"));
}
