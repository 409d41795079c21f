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
fn the_key_s_changes_the_order_of_places() {
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
    press(&mut model, "jj");
    assert_eq!(pids(&model), [4712, 4711]);
    for _ in 0..9 {
        assert_eq!(model.press(KeyCode::PageDown.into()), Flow::Continue);
    }
    assert_eq!(pids(&model), [4711]);
    assert_eq!(model.press(KeyCode::Home.into()), Flow::Continue);
    assert_eq!(pids(&model).len(), 4);
    assert_eq!(model.press(KeyCode::Up.into()), Flow::Continue);
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
