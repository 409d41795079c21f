//! `probe run` on a terminal: keys and job control.

use std::process::Command;

use probe_tests::{Terminal, binaries, conditions};
use rustix::process::Signal;

use super::assert_no_trace_of;

/// An interactive shell on a terminal of its own, in which a job is the foreground job.
fn shell(terminal: &Terminal) -> probe_tests::Running {
    let mut setsid = Command::new("setsid");
    setsid.args(["--ctty", "--wait", "bash", "--norc", "--noprofile", "-i"]);
    setsid
        .env("PS1", "prompt> ")
        .env("PROBE", binaries::probe());
    terminal.start(&mut setsid)
}

#[test]
#[ignore = "needs root"]
fn ctrl_c_reaches_the_command_once() {
    let terminal = Terminal::new(100, 20);
    let bash = shell(&terminal);
    let _prompt = terminal.line_with(&["prompt>"]);
    // A dash that is in vfork does not stop while its child is stopped before the exec.
    let script = "trap 'echo got-it' INT; trap 'echo goes-on' CONT; echo is-ready; \
                  while :; do sleep 0.01; done";
    terminal.press(&format!(
        "$PROBE run -t 20 -- bash -c \"{script}\"; echo code=$?\r"
    ));
    terminal.until("the command runs", |it| {
        it.lines().contains(&"is-ready".to_owned())
    });
    terminal.press("\u{3}");
    terminal.until("the key arrives", |it| {
        it.lines().iter().any(|it| it.ends_with("got-it"))
    });
    terminal.press("\u{3}");
    terminal.until("the second key arrives", |it| count(it, "got-it") == 2);
    terminal.press("\u{1a}");
    terminal.until("the job is stopped", |it| {
        it.lines().iter().any(|it| it.contains("Stopped"))
    });
    assert_eq!(count(&terminal.shown(), "got-it"), 2);
    let _prompt = terminal.line_with(&["code=148"]);
    terminal.press("fg\r");
    terminal.until("the command continues", |it| count(it, "goes-on") > 0);
    terminal.press("\u{3}");
    terminal.until("the job runs again", |it| count(it, "got-it") == 3);
    terminal.press("\u{1a}");
    terminal.until("the job is stopped again", |it| {
        it.lines()
            .iter()
            .filter(|it| it.contains("Stopped"))
            .count()
            == 2
    });
    terminal.press("kill -9 %1; wait; echo end-of-job\r");
    terminal.until("the job is gone", |it| {
        it.lines().contains(&"end-of-job".to_owned())
    });
    bash.signal(Signal::KILL);
    drop(bash);
    let _cleaned = probe_tests::probe(&["run", "--clean"]);
    assert_no_trace_of("a terminal");
}

#[test]
#[ignore = "needs root"]
fn ctrl_c_ends_a_loop_of_the_shell() {
    let terminal = Terminal::new(100, 20);
    let bash = shell(&terminal);
    let _prompt = terminal.line_with(&["prompt>"]);
    // A dash that has just made the child of a `sleep` without `exec` loses SIGINT.
    terminal
        .press("for i in 1 2 3; do $PROBE run -- sh -c 'echo is-$0; exec sleep 100' $i; done\r");
    terminal.until("the first round runs", |it| {
        it.lines().contains(&"is-1".to_owned())
    });
    terminal.press("\u{3}");
    terminal.press("echo end-of-loop\r");
    terminal.until("the loop has ended", |it| {
        it.lines().contains(&"end-of-loop".to_owned())
    });
    assert!(
        !terminal.shown().has("is-2"),
        "{:#?}",
        terminal.shown().lines()
    );
    bash.signal(Signal::KILL);
    drop(bash);
    assert_no_trace_of("a loop");
}

#[test]
#[ignore = "needs root"]
fn a_command_reads_from_the_terminal() {
    let terminal = Terminal::new(80, 10);
    let probe = conditions::unrestricted(&["run", "--", "sh", "-c", "read x; echo got-$x"]);
    let mut setsid = Command::new("setsid");
    setsid.args(["--ctty", "--wait"]);
    setsid.arg(probe.get_program()).args(probe.get_args());
    let mut running = terminal.start(&mut setsid);
    terminal.press("abc\r");
    terminal.until("the line is read", |it| {
        it.lines().contains(&"got-abc".to_owned())
    });
    assert_eq!(running.wait().code(), Some(0));
}

/// The number of lines that end with a word, as after the echo of a key.
fn count(display: &probe_tests::terminal::Display, word: &str) -> usize {
    display
        .lines()
        .iter()
        .filter(|it| it.ends_with(word))
        .count()
}
