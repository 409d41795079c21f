//! Prints the report of `probe doctor` for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use probe_daemon::api::json::{DoctorLine, EngineObject};

use super::Check;
use crate::output::Out;

/// Writes a line for each check, the backends first, and for each directory with the state of a
/// container engine.
pub(crate) fn write<W: Write>(
    out: &mut Out<W>,
    report: &DoctorLine,
    colour: bool,
) -> io::Result<()> {
    out.line(|line| write!(line, "kernel {}", report.kernel))?;
    for (title, checks) in [("backends", &report.backends), ("checks", &report.checks)] {
        out.line(|line| write!(line, "\n{title}"))?;
        for check in checks {
            write_check(out, check, colour)?;
        }
    }
    out.line(|line| write!(line, "\ncontainer engines"))?;
    if report.engines.is_empty() {
        return out.line(|line| write!(line, "  no state of a container engine on this machine"));
    }
    for engine in &report.engines {
        write_engine(out, engine)?;
    }
    Ok(())
}

fn write_engine<W: Write>(out: &mut Out<W>, state: &EngineObject) -> io::Result<()> {
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
            out.line(|line| write!(line, "  {:<14} hint: run probe as root", ""))
        }
    }
}

fn write_check<W: Write>(out: &mut Out<W>, check: &Check, colour: bool) -> io::Result<()> {
    let (word, style) = if check.ok {
        ("yes", AnsiColor::Green.on_default())
    } else {
        ("no", AnsiColor::Yellow.on_default())
    };
    let style = if colour { style } else { Style::new() };
    let Check { name, detail, .. } = check;
    out.line(|line| write!(line, "  {name:<34} {style}{word:<3}{style:#} {detail}"))?;
    match check.hint {
        Some(hint) => out.line(|line| write!(line, "  {:<38} hint: {hint}", "")),
        None => Ok(()),
    }
}
