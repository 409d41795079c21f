//! Output on a terminal: columns, colours, escape sequences in names.

use std::{
    io::Read,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use probe_tests::{
    Cgroup, Daemon, Running, Terminal, Victim, conditions, probe_in,
    terminal::{self, Display},
};
use rustix::process::Signal;

/// The output of a trace on a terminal while `deaths` runs: lines with escape sequences.
fn screen(
    columns: u16,
    prepare: impl FnOnce(&mut Command),
    deaths: impl FnOnce(&Cgroup),
) -> Vec<String> {
    let cgroup = Cgroup::v2("screen");
    let (mut ours, theirs) = terminal::pair(columns, 24);
    let mut command = conditions::trace(&["--cgroup", cgroup.path()]);
    command
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm");
    prepare(&mut command);
    command.stdin(Stdio::null()).stdout(theirs);
    let mut trace = Running::spawn(command.stderr(Stdio::piped()));
    // The command holds the other end of the terminal.
    drop(command);
    trace.wait_for_stderr("tracing:");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // The read fails with EIO when the last descriptor of the terminal is closed.
        let _closed = ours.read_to_end(&mut bytes);
        String::from_utf8(bytes).expect("UTF-8")
    });
    deaths(&cgroup);
    trace.signal(Signal::INT);
    assert_eq!(trace.wait().code(), Some(0));
    let text = reader.join().expect("a reader");
    text.lines()
        .map(|line| line.trim_end_matches('\r').to_owned())
        .collect()
}

fn die(cgroup: &Cgroup) {
    Victim::start(&["exit", "0"], Some(cgroup)).wait();
    Victim::start(&["signal", "9"], Some(cgroup)).wait();
}

fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    first
        + &parts
            .map(|part| part.split_once('m').map_or("", |(_, text)| text))
            .collect::<String>()
}

#[test]
#[ignore = "needs root"]
fn lines_fit_the_terminal_and_columns_are_aligned_with_the_header() {
    for columns in [80, 120, 200] {
        let lines = screen(columns, |_| (), die);
        let lines: Vec<_> = lines.iter().map(|line| without_colours(line)).collect();
        let [header, exited, killed] = lines.as_slice() else {
            panic!("not three lines: {lines:#?}");
        };
        for line in &lines {
            assert!(
                line.chars().count() <= usize::from(columns),
                "{columns}: {lines:#?}"
            );
        }
        let below = |name: &str, line: &str, text: &str| {
            let at = header
                .find(name)
                .unwrap_or_else(|| panic!("no {name} in {header}"));
            let rest: String = line.chars().skip(at).collect();
            assert!(
                rest.starts_with(text),
                "{text} is not below {name}: {lines:#?}"
            );
        };
        below("COMM", exited, "victim ");
        below("STATUS", killed, "SIGKILL ");
        below("KILLED-BY", killed, "victim[");
        below(
            "WHERE",
            killed,
            if columns == 80 { "…" } else { "/probe-test-" },
        );
        assert_eq!(header.contains(" UID "), columns >= 120, "{header}");
        assert_eq!(header.contains(" PPID "), columns >= 100, "{header}");
    }
}

#[test]
#[ignore = "needs root"]
fn the_status_of_a_failed_process_is_red_unless_no_color_is_set() {
    let coloured = screen(80, |_| (), die);
    assert!(!coloured[1].contains('\u{1b}'), "{coloured:#?}");
    let killed = &coloured[2];
    assert!(
        killed.contains("\u{1b}[31mSIGKILL\u{1b}[0m"),
        "{coloured:#?}"
    );
    assert!(killed.contains("\u{1b}[33mvictim["), "{coloured:#?}");
    assert!(!killed.starts_with('\u{1b}'), "{coloured:#?}");
    let plain = screen(80, |command| _ = command.env("NO_COLOR", "1"), die);
    assert!(!plain.concat().contains('\u{1b}'), "{plain:#?}");
}

#[test]
#[ignore = "needs root"]
fn escape_sequences_in_a_process_name_are_not_printed() {
    let directory = tempfile::tempdir().expect("a place for a link");
    let evil = directory.path().join("\u{1b}[31m\u{1b}]0;x\u{7}");
    let victim = conditions::program("victim");
    symlink(victim, &evil).expect("a new name");
    let die = |cgroup: &Cgroup| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read go; \"$0\" exit 0; :"]).arg(&evil);
        let mut shell = Victim::spawn_command(&mut shell, Some(cgroup));
        shell.release();
        shell.wait();
    };
    let lines = screen(200, |command| _ = command.arg("--starts"), die);
    let is_harmless = |line: &String| line.contains(" ?[31m?]0;x");
    let of_it: Vec<_> = lines.iter().filter(|line| is_harmless(line)).collect();
    assert_eq!(of_it.len(), 2, "an exec and an exit: {lines:#?}");
    assert!(of_it[0].ends_with("/?[31m?]0;x? exit 0"), "{lines:#?}");
    for line in &lines {
        assert!(
            !without_colours(line).contains(['\u{1b}', '\u{7}']),
            "{lines:#?}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn columns_sets_the_width_of_a_pipe() {
    let cgroup = Cgroup::v2("columns");
    let args = ["--duration", "0", "--cgroup", cgroup.path()];
    for (columns, has_uid) in [("80", false), ("200", true), ("x", true)] {
        let output = probe_in(conditions::trace(&args).env("COLUMNS", columns));
        let header = output.stdout.trim_end_matches('\n');
        assert!(header.ends_with(" WHERE"), "{columns}: {output:#?}");
        assert_eq!(header.contains(" UID "), has_uid, "{columns}: {output:#?}");
    }
}

/// A zone that the machine does not know, as on one without tzdata, is UTC.
#[test]
#[ignore = "needs root"]
fn times_are_local_and_the_header_names_the_zone() {
    let cgroup = Cgroup::v2("zone");
    let args = ["--duration", "0", "--cgroup", cgroup.path()];
    for (zone, header) in [
        ("JST-9", "TIME(JST) "),
        ("UTC", "TIME(UTC) "),
        ("No/Such_Place", "TIME(UTC) "),
    ] {
        let output = probe_in(conditions::trace(&args).env("TZ", zone));
        assert!(output.stdout.starts_with(header), "{zone}: {output:#?}");
    }
    if std::path::Path::new("/usr/share/zoneinfo/Asia/Tokyo").exists() {
        let output = probe_in(conditions::trace(&args).env("TZ", "Asia/Tokyo"));
        assert!(output.stdout.starts_with("TIME(JST) "), "{output:#?}");
    }
}

/// The bar shows the right total from its first frame on.
#[test]
#[ignore = "needs root"]
fn a_progress_bar_counts_the_processes_that_are_gone() {
    let cgroup = Cgroup::v2("bar");
    let victims = [(); 2].map(|()| Victim::start(&["pause"], Some(&cgroup)));
    let terminal = Terminal::new(120, 24);
    let mut wait = conditions::unrestricted(&["wait", "--cgroup", cgroup.path()]);
    let mut wait = terminal.start(&mut wait);
    let gone = |display: &Display| {
        let lines = display.lines();
        let bar = lines.iter().find(|line| line.contains(" gone, "))?;
        let words: Vec<_> = bar.split(' ').collect();
        let of = words.iter().position(|word| *word == "of")?;
        Some((
            words.get(of - 1)?.parse().ok()?,
            words.get(of + 1)?.parse().ok()?,
        ))
    };
    let until = |what, wanted: (u32, u32)| {
        terminal.until(what, |display| gone(display).is_some());
        terminal.until(what, |display| {
            let shown = gone(display).unwrap_or(wanted);
            assert_eq!(shown.1, wanted.1, "{:#?}", display.lines());
            shown == wanted
        });
    };
    until("the bar", (0, 2));
    victims[0].signal(Signal::KILL);
    until("one of two", (1, 2));
    cgroup.kill();
    assert!(wait.wait().success());
    terminal.until("the verdict and no bar", |display| {
        display.has(" is empty after ") && gone(display).is_none()
    });
}

/// A warning comes while the bar is shown.
#[test]
#[ignore = "needs root"]
fn a_line_of_the_log_leaves_no_rest_of_the_progress_bar() {
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket().to_str().expect("UTF-8").to_owned();
    let cgroup = Cgroup::v2("broken-bar");
    let _victim = Victim::start(&["pause"], Some(&cgroup));
    let terminal = Terminal::new(120, 24);
    let args = ["wait", "--socket", &socket, "--cgroup", cgroup.path()];
    let mut wait = terminal.start(&mut conditions::unrestricted(&args));
    terminal.until("the bar", |display| display.has("0 of 1 gone, "));
    daemon.signal(Signal::KILL);
    let warning = terminal.line_with(&["continuing without the daemon"]);
    assert!(warning.trim_start().starts_with("WARN"), "{warning}");
    terminal.until("the bar below the warning", |display| {
        display.current_line().contains("0 of 1 gone, ")
    });
    cgroup.kill();
    assert!(wait.wait().success());
    terminal.until("the verdict and no bar", |display| {
        display.has(" is empty after ") && !display.has(" gone, ")
    });
}
