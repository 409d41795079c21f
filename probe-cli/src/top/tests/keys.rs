//! Tests of the keys.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;

fn ctrl(key: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL)
}

fn press(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        assert_eq!(model.press(KeyCode::Char(key).into()), Flow::Continue);
    }
}

#[test]
fn the_key_f_shows_only_failures() {
    let mut model = busy();
    assert_eq!(pids(&model), [4714, 4713, 4712, 4711]);
    press(&mut model, "f");
    assert_eq!(pids(&model), [4714, 4713, 4712]);
    press(&mut model, "f");
    assert_eq!(pids(&model).len(), 4);
}

#[test]
fn the_filter_matches_names_and_places() {
    let mut model = busy();
    press(&mut model, "/web");
    assert_eq!(pids(&model), [4714, 4713]);
    assert_eq!(places(&model), ["runc:web"]);
    assert_eq!(model.press(KeyCode::Esc.into()), Flow::Continue);
    press(&mut model, "/cc1");
    assert_eq!(model.press(KeyCode::Enter.into()), Flow::Continue);
    assert_eq!(pids(&model), [4712]);
    assert_eq!(model.press(KeyCode::Esc.into()), Flow::Continue);
    assert_eq!(pids(&model).len(), 4);
}

#[test]
fn keys_in_the_filter_are_not_commands() {
    let mut model = busy();
    press(&mut model, "/qpsf");
    assert!(!model.is_paused());
    assert_eq!(model.press(ctrl('c')), Flow::Quit);
}

#[test]
fn the_key_s_sorts_by_the_next_column_and_r_reverses_the_order() {
    let mut model = busy();
    let order = |model: &Model| places(model).concat();
    assert_eq!(order(&model), "runc:web/build/job/");
    press(&mut model, "s");
    assert_eq!(order(&model), "runc:web//build/job");
    press(&mut model, "r");
    assert_eq!(order(&model), "/build/job/runc:web");
    press(&mut model, "SSs");
    assert_eq!(order(&model), "runc:web/build/job/");
    press(&mut model, "S");
    assert_eq!(order(&model), "//build/jobrunc:web");
}

#[test]
fn exits_and_processes_can_be_sorted_by_any_column() {
    let mut model = busy();
    tap(&mut model, KeyCode::Tab);
    press(&mut model, "s");
    assert_eq!(pids(&model), [4711, 4712, 4713, 4714]);
    press(&mut model, "s");
    assert_eq!(pids(&model), [4714, 4712, 4713, 4711]);
    for _ in 2..order::EXITS.len() {
        press(&mut model, "s");
    }
    assert_eq!(pids(&model), [4714, 4713, 4712, 4711]);
    tap(&mut model, KeyCode::Tab);
    tap(&mut model, KeyCode::Enter);
    let first = |model: &Model| {
        let lines = screen(80, 40, model);
        let header = lines.iter().position(|line| line.contains("PPID"));
        lines[header.expect("a header") + 1].clone()
    };
    assert!(first(&model).contains(" worker101"), "{}", first(&model));
    press(&mut model, "r");
    assert!(first(&model).contains(" worker107"), "{}", first(&model));
    press(&mut model, "ssss");
    assert!(first(&model).contains(" exiting "), "{}", first(&model));
}

fn tap(model: &mut Model, key: KeyCode) {
    assert_eq!(model.press(key.into()), Flow::Continue);
}

#[test]
fn enter_opens_the_selected_place_and_esc_closes_it() {
    let mut model = busy();
    press(&mut model, "j");
    tap(&mut model, KeyCode::Enter);
    let lines = screen(80, 24, &model);
    let opened = lines
        .iter()
        .any(|line| line.starts_with("/build/job  (Esc"));
    assert!(opened, "{lines:#?}");
    assert!(lines.concat().contains("worker101"), "{lines:#?}");
    assert_eq!(pids(&model), [4712, 4711]);
    tap(&mut model, KeyCode::Esc);
    assert_eq!(places(&model).len(), 3);
    assert_eq!(pids(&model).len(), 4);
}

/// The order of the places changes every second.
#[test]
fn the_selection_stays_on_its_place() {
    let mut model = busy();
    press(&mut model, "j");
    let place = Place::cgroup("/build/job");
    for pid in 1..100 {
        model.apply(exit(pid, "sh", "0", "-", &place));
    }
    model.tick();
    assert_eq!(places(&model)[0], "/build/job");
    tap(&mut model, KeyCode::Enter);
    assert!(screen(80, 24, &model).concat().contains("/build/job  (Esc"));
}

#[test]
fn the_selection_is_visible_in_a_list_that_is_longer_than_the_screen() {
    let mut model = model();
    for pid in 1..100 {
        let place = Place::cgroup(&format!("/storm/{pid:02}"));
        model.apply(exit(pid, "x", "0", "-", &place));
    }
    tap(&mut model, KeyCode::End);
    assert_eq!(places(&model).last().map(String::as_str), Some("/storm/99"));
    tap(&mut model, KeyCode::Home);
    assert_eq!(places(&model)[0], "/storm/01");
}

#[test]
fn typing_behind_the_help_changes_nothing() {
    let mut model = busy();
    let before = screen(80, 24, &model);
    press(&mut model, "?");
    press(&mut model, "sSrfp/jkG x");
    tap(&mut model, KeyCode::Enter);
    tap(&mut model, KeyCode::Tab);
    tap(&mut model, KeyCode::Esc);
    assert_eq!(screen(80, 24, &model), before);
}

#[test]
fn a_paused_screen_does_not_change_and_continues_to_count() {
    let mut model = busy();
    press(&mut model, "p");
    let before = screen(80, 24, &model);
    model.apply(exit(9, "late", "1", "-", &Place::cgroup("/late")));
    model.apply(Event::Lost {
        count: Some(3),
        reason: LossReason::RingFull,
    });
    model.tick();
    assert_eq!(screen(80, 24, &model), before);
    press(&mut model, "p");
    assert_eq!(pids(&model)[0], 9);
    assert!(screen(80, 24, &model)[0].contains("lost 3 (ring_full)"));
    model.apply(Event::Lost {
        count: None,
        reason: LossReason::DaemonGone,
    });
    assert!(screen(80, 24, &model)[0].contains("lost unknown (daemon_gone)"));
}

#[test]
fn scrolling_stops_at_the_last_exit() {
    let mut model = busy();
    tap(&mut model, KeyCode::Tab);
    press(&mut model, "jj");
    assert_eq!(pids(&model), [4712, 4711]);
    for _ in 0..9 {
        tap(&mut model, KeyCode::PageDown);
    }
    assert_eq!(pids(&model), [4711]);
    tap(&mut model, KeyCode::Home);
    assert_eq!(pids(&model).len(), 4);
    tap(&mut model, KeyCode::Up);
    assert_eq!(pids(&model).len(), 4);
}

#[test]
fn keys_quit_suspend_and_show_help() {
    let mut model = model();
    assert_eq!(model.press(KeyCode::Char('q').into()), Flow::Quit);
    assert_eq!(model.press(ctrl('c')), Flow::Quit);
    assert_eq!(model.press(ctrl('z')), Flow::Suspend);
    press(&mut model, "?");
    let help = screen(80, 24, &model).join("\n");
    for key in ["quit", "pause", "sort", "exit(0)", "scroll", "Ctrl-Z"] {
        assert!(help.contains(key), "{key}: {help}");
    }
}
