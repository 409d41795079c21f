//! Writes the man pages into a directory: `cargo run --example man -- DIR`.
//!
//! An example, so that the binary that ships carries no page renderer. What
//! the pages say is the text of `--help`; here it gets its roff.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Command;
use clap_mangen::Man;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or("usage: man DIR")?;
    let mut command = probe_cli::cli::command().disable_help_subcommand(true);
    command.build();
    write_page(&directory, &command, &command)?;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        write_page(&directory, &command, verb)?;
    }
    Ok(())
}

fn write_page(directory: &Path, whole: &Command, of: &Command) -> io::Result<()> {
    let name = page_name(of);
    let man = Man::new(of.clone());
    let version = whole.get_version().unwrap_or_default();
    let mut page = Vec::new();
    // No date: the page is as old as the version.
    writeln!(
        page,
        ".TH {} 1 \"\" \"probe {version}\" \"probe\"",
        name.to_uppercase()
    )?;
    write_name(&mut page, of)?;
    write_synopsis(&mut page, of)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if of.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    } else if let Some(notes) = of.get_after_long_help().or_else(|| of.get_after_help()) {
        writeln!(page, ".SH NOTES\n{}", escape(&notes.to_string()))?;
    }
    write_exit_status(&mut page, whole)?;
    write_see_also(&mut page, whole, &name)?;
    let page = emphasise(&String::from_utf8_lossy(&page));
    fs::write(directory.join(format!("{name}.1")), page)
}

/// `probe`, `probe-wait`.
fn page_name(command: &Command) -> String {
    command
        .get_display_name()
        .unwrap_or(command.get_name())
        .to_owned()
}

/// The first line of the help, as `whatis` lists it.
fn write_name(page: &mut impl Write, command: &Command) -> io::Result<()> {
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let about = about
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let name = page_name(command);
    writeln!(page, ".SH NAME\n{} \\- {}", escape(&name), escape(about))
}

/// As `--help` has it, which names the values.
fn write_synopsis(page: &mut impl Write, command: &Command) -> io::Result<()> {
    let usage = command.clone().render_usage().to_string();
    let lines: Vec<_> = usage
        .trim_start_matches("Usage:")
        .lines()
        .map(|line| escape(line.trim()))
        .collect();
    writeln!(page, ".SH SYNOPSIS\n{}", lines.join("\n.br\n"))
}

/// The table at the end of `probe --help`, which holds for every verb.
fn write_exit_status(page: &mut impl Write, whole: &Command) -> io::Result<()> {
    let table = whole
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    writeln!(page, ".SH \"EXIT STATUS\"")?;
    for line in table.lines() {
        if let Some((code, meaning)) = line.trim().split_once("  ") {
            writeln!(
                page,
                ".TP\n\\fB{}\\fR\n{}",
                escape(code),
                escape(meaning.trim())
            )?;
        }
    }
    Ok(())
}

fn write_see_also(page: &mut impl Write, whole: &Command, own: &str) -> io::Result<()> {
    let pages: Vec<_> = [whole]
        .into_iter()
        .chain(whole.get_subcommands())
        .filter(|command| !command.is_hide_set())
        .map(page_name)
        .filter(|name| name != own)
        .map(|name| format!("\\fB{}\\fR(1)", escape(&name)))
        .collect();
    writeln!(page, ".SH \"SEE ALSO\"\n{}", pages.join(", "))
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
}

/// Words between backticks become bold, names of values lose their brackets.
fn emphasise(page: &str) -> String {
    let mut bold = false;
    page.replace("\\fI<", "\\fI")
        .replace(">\\fR", "\\fR")
        .chars()
        .map(|c| match c {
            '`' => {
                bold = !bold;
                if bold {
                    "\\fB".to_owned()
                } else {
                    "\\fR".to_owned()
                }
            }
            c => c.to_string(),
        })
        .collect()
}
