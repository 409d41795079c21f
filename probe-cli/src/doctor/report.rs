//! Prints the report of `probe doctor`, for people or as JSON.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use probe_daemon::api::json::{self, CheckObject, DoctorLine, SCHEMA};

use super::{Check, Report};
use crate::output::Out;

/// Writes the report as one JSON object.
pub(crate) fn write_json(out: &mut Vec<u8>, report: &Report) -> io::Result<()> {
    let line = DoctorLine {
        schema: SCHEMA,
        r#type: "doctor",
        kernel: &report.kernel,
        event_driven: report.is_event_driven(),
        backends: report.backends.iter().map(CheckObject::from).collect(),
        checks: report.checks.iter().map(CheckObject::from).collect(),
    };
    json::write(out, &line)
}

/// Writes a line for each check, the backends first.
pub(crate) fn write_human<W: Write>(
    out: &mut Out<W>,
    report: &Report,
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
        Some(hint) if !check.ok => out.line(|line| write!(line, "  {:<38} hint: {hint}", "")),
        _ => Ok(()),
    }
}

impl<'a> From<&'a Check> for CheckObject<'a> {
    fn from(check: &'a Check) -> Self {
        Self {
            name: &check.name,
            ok: check.ok,
            detail: &check.detail,
            hint: check.hint.filter(|_| !check.ok),
        }
    }
}
