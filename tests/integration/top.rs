//! `probe top`: the screen, and the terminal after it ends.

use std::{fs, os::unix::process::ExitStatusExt, process::Command};

use probe_tests::{
    Cgroup, Deadline, Running, Terminal, Victim, conditions, probe, requirements,
    terminal::{Display, Modes},
};
use rustix::process::Signal;

/// A program in a new session that controls a terminal.
struct Session {
    terminal: Terminal,
    /// The modes of the terminal before the program.
    before: Modes,
    program: Running,
}

impl Session {
    fn start((columns, rows): (u16, u16), command: &Command) -> Self {
        let terminal = Terminal::new(columns, rows);
        let before = terminal.modes();
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program());
        session.args(command.get_args());
        let program = terminal.start(session.env("PS1", "shell> ").env_remove("ENV"));
        Self {
            terminal,
            before,
            program,
        }
    }

    fn top(size: (u16, u16), args: &[&str]) -> Self {
        requirements::require_bpf();
        let mut command = conditions::unrestricted(&["top"]);
        let session = Self::start(size, command.args(args));
        session.until_top();
        session
    }

    /// Returns when the screen is that of `top`.
    fn until_top(&self) {
        self.terminal.until("the screen", is_top);
    }

    fn assert_raw(&self) {
        let is_raw = self.terminal.modes() != self.before;
        assert!(is_raw, "the terminal is not in raw mode");
    }

    fn until_prompt(&self) {
        self.terminal.until("a prompt", is_prompt);
    }

    #[track_caller]
    fn assert_restored(&self) {
        self.terminal.until("the main screen is back", |display| {
            !display.screen.alternate_screen()
        });
        assert!(!self.terminal.shown().screen.hide_cursor());
        assert_eq!(self.terminal.modes(), self.before);
    }

    /// Presses keys that end the program with exit code 0.
    #[track_caller]
    fn quit(mut self, keys: &str) {
        self.terminal.press(keys);
        assert_eq!(self.program.wait().code(), Some(0));
        self.assert_restored();
    }

    /// Asserts that this signal ends the program.
    #[track_caller]
    fn assert_ended_by(mut self, signal: Signal) {
        let status = self.program.wait();
        assert_eq!(status.signal(), Some(signal.as_raw()));
        self.assert_restored();
    }
}

fn is_top(display: &Display) -> bool {
    display.screen.alternate_screen() && display.has("probe top") && display.has("q quit")
}

/// Whether the cursor is behind a prompt. Prompts of earlier commands, which come back with the
/// main screen, do not count.
fn is_prompt(display: &Display) -> bool {
    !display.screen.alternate_screen() && display.current_line() == "shell>"
}

const SIZE: (u16, u16) = (80, 24);
const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 50), (20, 5)];

#[test]
#[ignore = "needs root"]
fn enter_shows_the_processes_and_deaths_of_the_selection_at_every_size() {
    for size in SIZES {
        let cgroup = Cgroup::v2("drill");
        let living = Victim::paused(&cgroup);
        let mut dying = Victim::paused(&cgroup);
        let top = Session::top(size, &["--cgroup", cgroup.path()]);
        let terminal = &top.terminal;
        let end = &cgroup.name()[cgroup.name().len() - 5..];
        let _line = terminal.line_with(&[end]);
        terminal.press("\r");
        terminal.until("the processes", |display| {
            let pid = living.pid().to_string();
            display.has("help  Esc") && display.has(&pid)
        });
        dying.kill();
        // On a tiny screen only the list of the keys has room.
        terminal.press("\t");
        terminal.until("the exit", |display| {
            display.has("STATUS") && display.has("SIGKILL")
        });
        terminal.press("\u{1b}");
        terminal.until("all places", |display| {
            display.has("WHERE") && display.has("help  Ent")
        });
        top.quit("q");
    }
}

#[test]
#[ignore = "needs root"]
fn keys_behind_the_help_change_nothing_and_esc_closes_it() {
    let top = Session::top(SIZE, &[]);
    top.terminal.press("?");
    top.terminal
        .until("the help", |display| display.has("show or hide this help"));
    top.terminal.press("pfs/x");
    top.terminal.press("\u{1b}");
    top.terminal.until("the screen", |display| {
        display.has("f failed only  p pause") && !display.has("PAUSED")
    });
    top.quit("q");
}

#[test]
#[ignore = "needs root"]
fn batch_mode_writes_tables_with_the_new_exits_into_a_pipe() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("batch");
    let mut victim = Victim::paused(&cgroup);
    let args = [
        "top",
        "--batch",
        "--interval",
        "100ms",
        "--cgroup",
        cgroup.path(),
    ];
    let batch = Running::start(&mut conditions::unrestricted(&args));
    let until = |words: &[&str]| loop {
        let line = batch.next_line().expect("a line");
        assert!(!line.contains('\u{1b}'), "{line}");
        if words.iter().all(|word| line.contains(word)) {
            return line;
        }
    };
    until(&["probe top", " lost 0 "]);
    until(&["WHERE", "EXITS/S"]);
    let pid = victim.pid().to_string();
    victim.kill();
    let line = until(&[&pid, "victim", "SIGKILL"]);
    assert!(line.ends_with(cgroup.name()), "{line}");
    batch.signal(Signal::INT);
    let output = batch.finish();
    assert_eq!(output.signal, Some(Signal::INT.as_raw()), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn batch_mode_ends_after_the_requested_number_of_tables() {
    requirements::require_bpf();
    let args = [
        "top",
        "-b",
        "-n",
        "2",
        "-d",
        "0.1",
        "--comm",
        "no-such-name",
    ];
    let output = probe(&args);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(output.stdout.matches("probe top").count(), 2, "{output:#?}");
    assert!(!output.stdout.contains("/init"), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn top_shows_a_killed_process_with_its_killer_and_q_restores_the_terminal() {
    let cgroup = Cgroup::v2("top");
    let top = Session::top((160, 40), &["--failed"]);
    top.assert_raw();
    let victim = Victim::spawn(&["exit", "0"], Some(&cgroup));
    victim.signal(Signal::KILL);
    let pid = victim.pid().to_string();
    let words = [&pid, "victim", "SIGKILL", cgroup.name()];
    let line = top.terminal.line_with(&words);
    let killer = format!("[{}]", std::process::id());
    assert!(line.contains(&killer), "{killer} is not in {line}");
    top.quit("q");
}

#[test]
#[ignore = "needs root"]
fn live_processes_of_a_cgroup_are_counted() {
    let cgroup = Cgroup::v2("census");
    let _living = [(); 3].map(|()| Victim::spawn(&["exit", "0"], Some(&cgroup)));
    let top = Session::top((120, 40), &["--sort", "live"]);
    top.terminal.press("/");
    top.terminal.press(cgroup.name());
    top.terminal.press("\r");
    top.terminal.until("three of them", |display| {
        let lines = display.lines();
        let mut of_it = lines.iter().filter(|line| line.starts_with(cgroup.name()));
        of_it.any(|line| line.split_whitespace().nth(1) == Some("3"))
    });
    top.quit("q");
}

#[test]
#[ignore = "needs root"]
fn a_fatal_signal_restores_the_terminal() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let top = Session::top(SIZE, &[]);
        top.program.signal(signal);
        top.assert_ended_by(signal);
    }
}

#[test]
#[ignore = "needs root"]
fn ctrl_c_ends_top() {
    Session::top(SIZE, &[]).quit("\u{3}");
}

#[test]
#[ignore = "needs root"]
fn ctrl_z_returns_to_the_shell_and_fg_resumes_top() {
    requirements::require_bpf();
    let mut shell = Session::start(SIZE, Command::new("sh").arg("-i"));
    shell.until_prompt();
    shell.before = shell.terminal.modes();
    let top = conditions::unrestricted(&["top"]);
    let top = top.get_program().to_str().expect("UTF-8").to_owned();
    shell.terminal.press(&format!("{top} top\n"));
    for _ in 0..2 {
        shell.until_top();
        shell.assert_raw();
        shell.terminal.press("\u{1a}");
        shell.until_prompt();
        shell.assert_restored();
        shell.terminal.press("fg\n");
    }
    shell.until_top();
    shell.terminal.press("q");
    shell.until_prompt();
    shell.assert_restored();
    shell.terminal.press("exit 7\n");
    assert_eq!(shell.program.wait().code(), Some(7));
}

/// Without a shell, no process could continue a stopped `top`.
#[test]
#[ignore = "needs root"]
fn ctrl_z_without_a_shell_does_nothing() {
    let top = Session::top(SIZE, &[]);
    top.terminal.press("\u{1a}");
    top.terminal.until("the screen is back", |display| {
        display.switches >= 3 && is_top(display)
    });
    top.quit("q");
}

#[test]
#[ignore = "needs root"]
fn sigcont_redraws_the_screen() {
    let top = Session::top(SIZE, &[]);
    top.program.signal(Signal::STOP);
    top.program.signal(Signal::CONT);
    top.terminal.until("the screen is redrawn", |display| {
        display.switches >= 2 && is_top(display)
    });
    top.quit("q");
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
    let mut top = Session::top((200, 60), &[]);
    let unseen = top.terminal.pause_reading();
    let file = |name| {
        let path = format!("/proc/{}/{name}", top.program.pid());
        fs::read_to_string(path).expect("the process runs")
    };
    // Each `?` shows or hides the help, which redraws the screen.
    let mut looks = 0_u32;
    Deadline::start().until("top waits for the terminal", || {
        looks += 1;
        if looks.is_multiple_of(20) {
            top.terminal.press("?");
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
    top.program.signal(Signal::TERM);
    let status = top.program.wait();
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    assert_eq!(top.terminal.modes(), top.before);
    drop(unseen);
}

#[test]
#[ignore = "needs root"]
fn top_follows_every_window_size() {
    let top = Session::top(SIZE, &[]);
    for (columns, rows) in [(1, 1), (u16::MAX, u16::MAX), (0, 0), (1, 500), (3, 2)] {
        top.terminal.resize(columns, rows);
    }
    for (columns, rows) in [(100, 10), (60, 20)] {
        top.terminal.resize(columns, rows);
        top.terminal.until("the keys in the last line", |display| {
            let lines = display.lines();
            let last = lines.get(usize::from(rows) - 1);
            last.is_some_and(|line| line.starts_with("q quit"))
        });
    }
    top.quit("q");
}

#[test]
fn a_panic_restores_the_terminal() {
    let program = Command::new(conditions::program("screen_panic"));
    let session = Session::start(SIZE, &program);
    session.until_top();
    session.assert_raw();
    session.terminal.press("x");
    session.assert_ended_by(Signal::ABORT);
}

#[test]
fn top_without_a_terminal_prints_a_hint() {
    let output = probe(&["top"]);
    output.assert_refused(2, &["needs a terminal", "hint: `probe top --batch`"]);
}

#[test]
#[ignore = "needs root"]
fn without_privilege_top_does_not_change_the_screen() {
    let mut top = Session::start(SIZE, &conditions::without_privilege(&["top"]));
    assert_eq!(top.program.wait().code(), Some(5));
    let terminal = &top.terminal;
    terminal.until("a hint", |display| display.has("hint:"));
    assert_eq!(terminal.shown().switches, 0);
    assert!(terminal.modes() == top.before);
}
