//! `probe top`: the screen, and the terminal after it ends.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
};

use probe_tests::{
    Cgroup, Deadline, Terminal, Victim, conditions, probe, requirements,
    terminal::{Display, Modes},
};
use rustix::process::{Pid, Signal, kill_process};

/// Starts a program in a new session that controls the terminal.
fn start(terminal: &Terminal, command: &Command) -> Child {
    let mut session = Command::new("setsid");
    session.arg("--ctty").arg(command.get_program());
    session.args(command.get_args());
    session
        .env("TERM", "xterm")
        .env("PS1", "shell> ")
        .env_remove("ENV")
        .stdin(terminal.end())
        .stdout(terminal.end())
        .stderr(terminal.end())
        .spawn()
        .expect("util-linux")
}

fn top(terminal: &Terminal, args: &[&str]) -> Child {
    requirements::require_bpf();
    let mut command = conditions::unrestricted(&["top"]);
    let child = start(terminal, command.args(args));
    terminal.until("the screen", is_top);
    child
}

fn is_top(display: &Display) -> bool {
    display.screen.alternate_screen() && display.has("probe top") && display.has("q quit")
}

/// Whether the cursor is behind a prompt. Prompts of earlier commands, which come back with the
/// main screen, do not count.
fn is_prompt(display: &Display) -> bool {
    !display.screen.alternate_screen() && display.current_line() == "shell>"
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    Deadline::start().until("the program ends", || {
        status = child.try_wait().expect("our child");
        status.is_some()
    });
    status.expect("the process ended")
}

#[track_caller]
fn is_as_before(terminal: &Terminal, before: &Modes) {
    terminal.until("the main screen is back", |display| {
        !display.screen.alternate_screen()
    });
    assert!(!terminal.shown().screen.hide_cursor());
    assert_eq!(terminal.modes(), *before);
}

#[test]
#[ignore = "needs root"]
fn top_shows_a_killed_process_with_its_killer_and_q_restores_the_terminal() {
    let cgroup = Cgroup::v2("top");
    let terminal = Terminal::new(160, 40);
    let before = terminal.modes();
    let mut child = top(&terminal, &["--failed"]);
    assert!(
        terminal.modes() != before,
        "the terminal is not in raw mode"
    );
    let victim = Victim::spawn(&["exit", "0"], Some(&cgroup));
    victim.signal(Signal::KILL);
    let pid = victim.pid().to_string();
    let line = terminal.line_with(&[&pid, "victim", "SIGKILL", cgroup.name()]);
    let killer = format!("[{}]", std::process::id());
    assert!(line.contains(&killer), "{killer} is not in {line}");
    terminal.press("q");
    assert_eq!(ended(&mut child).code(), Some(0));
    is_as_before(&terminal, &before);
}

#[test]
#[ignore = "needs root"]
fn live_processes_of_a_cgroup_are_counted() {
    let cgroup = Cgroup::v2("census");
    let _living: Vec<_> = (0..3)
        .map(|_| Victim::spawn(&["exit", "0"], Some(&cgroup)))
        .collect();
    let terminal = Terminal::new(120, 40);
    let mut child = top(&terminal, &["--sort", "live"]);
    terminal.press("/");
    terminal.press(cgroup.name());
    terminal.press("\r");
    terminal.until("three of them", |display| {
        let lines = display.lines();
        let mut of_it = lines.iter().filter(|line| line.starts_with(cgroup.name()));
        of_it.any(|line| line.split_whitespace().nth(1) == Some("3"))
    });
    terminal.press("q");
    assert_eq!(ended(&mut child).code(), Some(0));
}

#[test]
#[ignore = "needs root"]
fn a_fatal_signal_restores_the_terminal() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let terminal = Terminal::new(80, 24);
        let before = terminal.modes();
        let mut child = top(&terminal, &[]);
        kill_process(Pid::from_child(&child), signal).expect("the process runs");
        assert_eq!(ended(&mut child).signal(), Some(signal.as_raw()));
        is_as_before(&terminal, &before);
    }
}

#[test]
#[ignore = "needs root"]
fn ctrl_c_ends_top() {
    let terminal = Terminal::new(80, 24);
    let before = terminal.modes();
    let mut child = top(&terminal, &[]);
    terminal.press("\u{3}");
    assert_eq!(ended(&mut child).code(), Some(0));
    is_as_before(&terminal, &before);
}

#[test]
#[ignore = "needs root"]
fn ctrl_z_returns_to_the_shell_and_fg_resumes_top() {
    requirements::require_bpf();
    let terminal = Terminal::new(80, 24);
    let mut shell = start(&terminal, Command::new("sh").arg("-i"));
    terminal.until("a prompt", is_prompt);
    let before = terminal.modes();
    let top = conditions::unrestricted(&["top"]);
    let top = top.get_program().to_str().expect("UTF-8").to_owned();
    terminal.press(&format!("{top} top\n"));
    for _ in 0..2 {
        terminal.until("the screen", is_top);
        assert!(terminal.modes() != before);
        terminal.press("\u{1a}");
        terminal.until("a prompt", is_prompt);
        is_as_before(&terminal, &before);
        terminal.press("fg\n");
    }
    terminal.until("the screen", is_top);
    terminal.press("q");
    terminal.until("a prompt", is_prompt);
    is_as_before(&terminal, &before);
    terminal.press("exit 7\n");
    assert_eq!(ended(&mut shell).code(), Some(7));
}

/// Without a shell, no process could continue a stopped `top`.
#[test]
#[ignore = "needs root"]
fn ctrl_z_without_a_shell_does_nothing() {
    let terminal = Terminal::new(80, 24);
    let mut child = top(&terminal, &[]);
    terminal.press("\u{1a}");
    terminal.until("the screen is back", |display| {
        display.switches >= 3 && is_top(display)
    });
    terminal.press("q");
    assert_eq!(ended(&mut child).code(), Some(0));
}

#[test]
#[ignore = "needs root"]
fn sigcont_redraws_the_screen() {
    let terminal = Terminal::new(80, 24);
    let before = terminal.modes();
    let mut child = top(&terminal, &[]);
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).expect("the process runs");
    kill_process(pid, Signal::CONT).expect("the process runs");
    terminal.until("the screen is redrawn", |display| {
        display.switches >= 2 && is_top(display)
    });
    terminal.press("q");
    assert_eq!(ended(&mut child).code(), Some(0));
    is_as_before(&terminal, &before);
}

/// System calls in which a program waits for its terminal.
const WAITS: &[i64] = &[
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// A signal must end `top` even if a thread is blocked in a write.
#[test]
#[ignore = "needs root"]
fn a_blocked_terminal_does_not_keep_top_from_ending() {
    let terminal = Terminal::new(200, 60);
    let before = terminal.modes();
    let mut child = top(&terminal, &[]);
    let unseen = terminal.pause_reading();
    let file = |name| {
        let path = format!("/proc/{}/{name}", child.id());
        fs::read_to_string(path).expect("the process runs")
    };
    // Each `?` shows or hides the help, which redraws the screen.
    let mut looks = 0_u32;
    Deadline::start().until("top waits for the terminal", || {
        looks += 1;
        if looks.is_multiple_of(20) {
            terminal.press("?");
        }
        match &*file("wchan") {
            // Linux 5.10 has no wchan here; the system call shows it.
            "0" => {
                let call = file("syscall");
                let number = call.split(' ').next().and_then(|it| it.parse().ok());
                number.is_some_and(|it| WAITS.contains(&it))
            }
            wchan => wchan.starts_with("poll_") || wchan == "wait_woken",
        }
    });
    kill_process(Pid::from_child(&child), Signal::TERM).expect("the process runs");
    assert_eq!(ended(&mut child).signal(), Some(Signal::TERM.as_raw()));
    assert_eq!(terminal.modes(), before);
    drop(unseen);
}

#[test]
#[ignore = "needs root"]
fn top_follows_every_window_size() {
    let terminal = Terminal::new(80, 24);
    let mut child = top(&terminal, &[]);
    for (columns, rows) in [(1, 1), (u16::MAX, u16::MAX), (0, 0), (1, 500), (3, 2)] {
        terminal.resize(columns, rows);
    }
    terminal.resize(100, 10);
    terminal.until("the keys in the last line", |display| {
        display
            .lines()
            .get(9)
            .is_some_and(|line| line.starts_with("q quit"))
    });
    terminal.resize(60, 20);
    terminal.until("the keys in the last line", |display| {
        display
            .lines()
            .get(19)
            .is_some_and(|line| line.starts_with("q quit"))
    });
    terminal.press("q");
    assert_eq!(ended(&mut child).code(), Some(0));
}

#[test]
fn a_panic_restores_the_terminal() {
    let terminal = Terminal::new(80, 24);
    let before = terminal.modes();
    let mut child = start(
        &terminal,
        &Command::new(conditions::program("screen_panic")),
    );
    terminal.until("the screen", is_top);
    assert!(terminal.modes() != before);
    terminal.press("x");
    assert_eq!(ended(&mut child).signal(), Some(Signal::ABORT.as_raw()));
    is_as_before(&terminal, &before);
}

#[test]
fn top_without_a_terminal_prints_a_hint() {
    let output = probe(&["top"]);
    assert_eq!(output.code, Some(2));
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("needs a terminal"), "{output:?}");
    assert!(output.stderr.contains("hint: `probe trace`"), "{output:?}");
}

#[test]
#[ignore = "needs root"]
fn without_privilege_top_does_not_change_the_screen() {
    let terminal = Terminal::new(80, 24);
    let before = terminal.modes();
    let mut child = start(&terminal, &conditions::without_privilege(&["top"]));
    assert_eq!(ended(&mut child).code(), Some(5));
    terminal.until("a hint", |display| display.has("hint:"));
    assert_eq!(terminal.shown().switches, 0);
    assert!(terminal.modes() == before);
}
