mod keys;

use ratatui::{Terminal, backend::TestBackend};

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

fn exit(pid: u32, comm: &str, status: &str, killed_by: &str, place: &Place) -> Event {
    Event::Exit(Box::new(ExitRow {
        time: "12:34:56".to_owned(),
        pid,
        comm: comm.to_owned(),
        age: "1.2ms".to_owned(),
        status: status.to_owned(),
        is_failure: status != "0",
        killed_by: killed_by.to_owned(),
        place: place.clone(),
    }))
}

fn model() -> Model {
    Model::new(Options {
        backend: "bpf",
        ..Options::default()
    })
}

/// A model after three seconds with live processes and exits.
fn busy() -> Model {
    let mut model = model();
    let (web, job) = (container("web"), Place::cgroup("/build/job"));
    model.apply(Event::Live(Live {
        processes: 412,
        places: vec![
            (web.clone(), 7),
            (job.clone(), 2),
            (Place::cgroup("/"), 403),
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
        .skip_while(|line| !line.starts_with("CONTAINER"))
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
    let expected = "\
probe top  1 exits/s  lost 0  412 live  1 container  bpf
exits per second, at most 3 in 3 s
                                                                              █
                                                                              █
                                                                              ██
CONTAINER-OR-CGROUP                              LIVE  EXITS/S    EXITS   FAILED
runc:web                                            7      0.6        2        2
/build/job                                          2      0.6        2        1
/                                                 403      0.0        0        0
TIME         PID COMM          AGE STATUS    KILLED-BY         CONTAINER-OR-CGR…
12:34:56    4714 a-name-of…  1.2ms SIGSEGV+… -                 runc:web
12:34:56    4713 nginx       1.2ms SIGTERM   runc[999]         runc:web
12:34:56    4712 cc1plus     1.2ms SIGKILL   oom               /build/job
12:34:56    4711 sh          1.2ms 0         -                 /build/job









q quit  p pause  ? help  s sort: exits  f failed only  / filter";
    shows(&busy(), 80, 24, expected);
}

#[test]
fn a_small_terminal_shows_the_most_important_columns() {
    let expected = "\
probe top  1 exits/s  lost 0  412 live …
CONTAINER-OR-CGROUP         LIVE EXITS/S
runc:web                       7     0.6
TIME     COMM       STATUS   KILLED-BY
12:34:56 a-name-of… SIGSEGV… -
12:34:56 nginx      SIGTERM  runc[999]
12:34:56 cc1plus    SIGKILL  oom
12:34:56 sh         0        -

q quit  p pause  ? help  s sort: exits …";
    shows(&busy(), 40, 10, expected);
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
        places: vec![(container("web"), 1)],
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
        places: vec![(named("roots"), 1), (named("users"), 1)],
    }));
    assert_eq!(places(&model), ["podman:db", "podman:db"]);
    assert!(screen(80, 24, &model)[0].contains("2 containers"));
}
