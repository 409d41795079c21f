use ratatui::{Terminal, backend::TestBackend};

use super::*;

fn container(name: &str) -> Place {
    Place::container(&crate::container::Container {
        runtime: crate::container::Runtime::Runc,
        id: format!("id of {name}"),
        name: Some(name.to_owned()),
        pod_uid: None,
    })
}

fn death(pid: u32, comm: &str, status: &str, killed_by: &str, place: &Place) -> Event {
    Event::Death(Box::new(Death {
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

/// After three seconds of life and death.
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
    model.apply(death(4711, "sh", "0", "-", &job));
    model.apply(death(4712, "cc1plus", "SIGKILL", "oom", &job));
    model.apply(death(4713, "nginx", "SIGTERM", "runc[999]", &web));
    model.tick();
    model.apply(death(4714, "a-name-of-15-ch", "SIGSEGV+core", "-", &web));
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

fn press(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        assert_eq!(model.press(Key::Char(key)), Flow::GoOn);
    }
}

/// Pids of the deaths on the screen, from top to bottom.
fn pids(model: &Model) -> Vec<u32> {
    let lines = screen(80, 40, model);
    let deaths = lines.iter().skip_while(|line| !line.starts_with("TIME"));
    deaths
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
fn the_whole_picture_at_80_by_24() {
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
fn a_small_terminal_shows_what_says_most() {
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
fn no_size_is_too_small_or_too_large() {
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
fn only_failures_are_shown_if_only_they_are_asked_for() {
    let mut model = busy();
    assert_eq!(pids(&model), [4714, 4713, 4712, 4711]);
    press(&mut model, "f");
    assert_eq!(pids(&model), [4714, 4713, 4712]);
    press(&mut model, "f");
    assert_eq!(pids(&model).len(), 4);
}

#[test]
fn a_filter_looks_at_names_and_places() {
    let mut model = busy();
    press(&mut model, "/web");
    assert_eq!(pids(&model), [4714, 4713]);
    assert_eq!(places(&model), ["runc:web"]);
    assert_eq!(model.press(Key::Escape), Flow::GoOn);
    press(&mut model, "/cc1");
    assert_eq!(model.press(Key::Enter), Flow::GoOn);
    assert_eq!(pids(&model), [4712]);
    assert_eq!(model.press(Key::Escape), Flow::GoOn);
    assert_eq!(pids(&model).len(), 4);
}

#[test]
fn what_is_typed_into_the_filter_is_no_command() {
    let mut model = busy();
    press(&mut model, "/qpsf");
    assert!(!model.is_paused());
    assert_eq!(model.press(Key::Ctrl('c')), Flow::Quit);
}

#[test]
fn places_stand_in_the_order_that_is_asked_for() {
    let mut model = busy();
    let order = |model: &Model| places(model).concat();
    assert_eq!(order(&model), "runc:web/build/job/");
    press(&mut model, "s");
    assert_eq!(order(&model), "/runc:web/build/job");
    press(&mut model, "s");
    assert_eq!(order(&model), "runc:web/build/job/");
    press(&mut model, "s");
    assert_eq!(
        order(&model),
        "//build/jobruncweb".replace("runcweb", "runc:web")
    );
}

#[test]
fn a_paused_screen_stands_still_and_nothing_is_missed() {
    let mut model = busy();
    press(&mut model, "p");
    let before = screen(80, 24, &model);
    model.apply(death(9, "late", "1", "-", &Place::cgroup("/late")));
    model.apply(Event::Lost {
        count: 3,
        reason: LossReason::RingFull,
    });
    model.tick();
    assert_eq!(screen(80, 24, &model), before);
    press(&mut model, "p");
    assert_eq!(pids(&model)[0], 9);
    assert!(screen(80, 24, &model)[0].contains("lost 3 (ring_full)"));
}

#[test]
fn scrolling_ends_where_the_deaths_do() {
    let mut model = busy();
    press(&mut model, "jj");
    assert_eq!(pids(&model), [4712, 4711]);
    for _ in 0..9 {
        assert_eq!(model.press(Key::PageDown), Flow::GoOn);
    }
    assert_eq!(pids(&model), [4711]);
    assert_eq!(model.press(Key::Home), Flow::GoOn);
    assert_eq!(pids(&model).len(), 4);
    assert_eq!(model.press(Key::Up), Flow::GoOn);
    assert_eq!(pids(&model).len(), 4);
}

#[test]
fn a_place_is_forgotten_when_nobody_lives_or_dies_there_any_more() {
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
fn a_storm_of_cgroups_does_not_grow_memory() {
    let mut model = model();
    for pid in 1..20_000 {
        let place = Place::cgroup(&format!("/storm/{pid}"));
        model.apply(death(pid, "x", "0", "-", &place));
    }
    assert_eq!(model.shown().places.len(), 4096);
    assert_eq!(model.shown().deaths.len(), 1024);
    model.tick();
    assert_eq!(model.shown().per_second(), 19_999);
}

#[test]
fn containers_of_one_name_are_two() {
    let mut model = model();
    let named = |id: &str| {
        Place::container(&crate::container::Container {
            runtime: crate::container::Runtime::Podman,
            id: id.to_owned(),
            name: Some("db".to_owned()),
            pod_uid: None,
        })
    };
    model.apply(Event::Live(Live {
        processes: 2,
        places: vec![(named("roots"), 1), (named("users"), 1)],
    }));
    assert_eq!(places(&model), ["podman:db", "podman:db"]);
    assert!(screen(80, 24, &model)[0].contains("2 containers"));
}

#[test]
fn the_keys_that_end_or_leave_it_say_so() {
    let mut model = model();
    assert_eq!(model.press(Key::Char('q')), Flow::Quit);
    assert_eq!(model.press(Key::Ctrl('c')), Flow::Quit);
    assert_eq!(model.press(Key::Ctrl('z')), Flow::Suspend);
    press(&mut model, "?");
    let help = screen(80, 24, &model).join("\n");
    for key in ["quit", "pause", "sort", "exit(0)", "scroll", "Ctrl-Z"] {
        assert!(help.contains(key), "{key}: {help}");
    }
}
