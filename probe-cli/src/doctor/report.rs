//! Prints the report of `probe doctor` for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use probe_daemon::api::json::EngineObject;

use super::{Check, Examination, bpf, summary};
use crate::output::Out;

/// Writes a line for each check, the backends first, and for each directory with the state of a
/// container engine. The last line says what works for this user.
pub(crate) fn write<W: Write>(
    out: &mut Out<W>,
    examination: &Examination,
    user: &str,
    colour: bool,
) -> io::Result<()> {
    let report = &examination.line;
    out.line(|line| write!(line, "kernel {}", report.kernel))?;
    let mut lines = Lines {
        hints: Vec::new(),
        daemon_is_off: examination.daemon_is_off,
        colour,
    };
    for (title, checks) in [("backends", &report.backends), ("checks", &report.checks)] {
        out.line(|line| write!(line, "\n{title}"))?;
        for check in checks {
            lines.write_check(out, check)?;
        }
    }
    out.line(|line| write!(line, "\ncontainer engines"))?;
    if report.engines.is_empty() {
        out.line(|line| write!(line, "  no state of a container engine on this machine"))?;
    }
    for engine in &report.engines {
        lines.write_engine(out, engine)?;
    }
    let sentence = summary::sentence(report, user);
    out.line(|line| write!(line, "\n{sentence}"))
}

/// Lines with hints, each of which is printed once.
struct Lines {
    hints: Vec<String>,
    daemon_is_off: bool,
    colour: bool,
}

impl Lines {
    fn write_engine<W: Write>(&mut self, out: &mut Out<W>, state: &EngineObject) -> io::Result<()> {
        let EngineObject {
            engine,
            location,
            tells,
            ..
        } = state;
        match (state.containers, &state.error) {
            (Some(count), _) => out.line(|line| {
                write!(
                    line,
                    "  {engine:<14} {location}: {tells}; containers: {count}"
                )
            }),
            (None, error) => {
                let error = error.as_deref().unwrap_or("unreadable");
                out.line(|line| write!(line, "  {engine:<14} {location}: {tells}; {error}"))?;
                self.write_hint(out, 14, "run probe as root to read it")
            }
        }
    }

    fn write_check<W: Write>(&mut self, out: &mut Out<W>, check: &Check) -> io::Result<()> {
        let Check { name, detail, .. } = check;
        if (check.ok || *detail == bpf::NOT_TRIED) && is_counted(name) {
            return Ok(());
        }
        let is_off = name.starts_with("daemon") && self.daemon_is_off;
        let (word, style) = match check.ok {
            true => ("yes", AnsiColor::Green.on_default()),
            false if is_off => ("off", Style::new().dimmed()),
            false => ("no", AnsiColor::Yellow.on_default()),
        };
        let style = if self.colour { style } else { Style::new() };
        let detail = match name.as_str() {
            "daemon" if is_off => "no daemon is running",
            _ => for_people(detail),
        };
        out.line(|line| write!(line, "  {name:<34} {style}{word:<3}{style:#} {detail}"))?;
        match check.hint {
            Some(hint) => self.write_hint(out, 38, hint),
            None => Ok(()),
        }
    }

    fn write_hint<W: Write>(
        &mut self,
        out: &mut Out<W>,
        indent: usize,
        hint: &str,
    ) -> io::Result<()> {
        if self.hints.iter().any(|it| it == hint) {
            return Ok(());
        }
        self.hints.push(hint.to_owned());
        out.line(|line| write!(line, "  {:indent$} hint: {hint}", ""))
    }
}

/// Whether the line of `bpf_programs` says enough of a check that succeeds or is not tried.
/// Several programs have one tracepoint.
fn is_counted(name: &str) -> bool {
    name.starts_with("tracepoint.") && name != "tracepoint.sched_process_exit"
}

/// Replaces the name of an argument of the kernel, which is for programs.
fn for_people(detail: &str) -> &str {
    match detail {
        "attached, shape group_dead" => "attached; the kernel says which thread is the last",
        detail => detail,
    }
}
