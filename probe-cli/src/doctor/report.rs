//! Prints the report of `probe doctor` for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use probe_daemon::api::json::DoctorLine;

use super::Check;
use crate::output::Out;

/// Writes a line for each check, the backends first.
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
    Ok(())
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
