//! Writes the man pages into a directory: `cargo run --example man -- DIR`.
//!
//! It is an example, so that the binary that ships carries no page renderer. The text
//! of a page is the text of `--help`.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

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
    let version = whole.get_version().unwrap_or_default();
    let man = Man::new(with_help_texts(of))
        .title(name.to_uppercase())
        // A page is as old as its version. clap_mangen would omit an empty date, and
        // the next argument of .TH would take its place.
        .date("\"\"")
        .source(format!("probe {version}"))
        .manual("probe");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if of.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    } else {
        notes(of).to_writer(&mut page)?;
    }
    exit_status(whole).to_writer(&mut page)?;
    see_also(whole, &name).to_writer(&mut page)?;
    let page = emphasise(&String::from_utf8_lossy(&page));
    fs::write(directory.join(man.get_filename()), page)
}

/// The command with the texts of `--help` where `clap_mangen` would use others: the name
/// section gets the first line of the long help, and the synopsis the usage, which names
/// the values.
fn with_help_texts(of: &Command) -> Command {
    let usage = of.clone().render_usage().to_string();
    let command = of
        .clone()
        .override_usage(usage.trim_start_matches("Usage:").to_owned());
    let long = of.get_long_about().map(ToString::to_string);
    match long.as_deref().and_then(|long| long.lines().next()) {
        Some(line) => command.about(line.trim_end_matches('.').to_owned()),
        None => command,
    }
}

/// `probe`, `probe-wait`.
fn page_name(command: &Command) -> String {
    command
        .get_display_name()
        .unwrap_or(command.get_name())
        .to_owned()
}

/// The text below the options. `clap_mangen` would name the section EXTRA.
fn notes(command: &Command) -> Roff {
    let notes = command.get_after_long_help();
    let mut roff = Roff::new();
    if let Some(notes) = notes.or_else(|| command.get_after_help()) {
        roff.control("SH", ["NOTES"])
            .text([roman(notes.to_string())]);
    }
    roff
}

/// The table at the end of `probe --help`, which holds for every verb.
fn exit_status(whole: &Command) -> Roff {
    let table = whole
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for line in table.lines() {
        if let Some((code, meaning)) = line.trim().split_once("  ") {
            roff.control("TP", [])
                .text([bold(code)])
                .text([roman(meaning.trim())]);
        }
    }
    roff
}

fn see_also(whole: &Command, own: &str) -> Roff {
    let mut pages = Vec::new();
    let commands = [whole].into_iter().chain(whole.get_subcommands());
    for command in commands.filter(|command| !command.is_hide_set()) {
        let name = page_name(command);
        if name != own {
            let before = if pages.is_empty() { "" } else { ", " };
            pages.extend([roman(before), bold(name), roman("(1)")]);
        }
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]).text(pages);
    roff
}

/// Words between backticks become bold, names of values lose their brackets. This
/// edits the finished page, because `clap_mangen` escapes all text that it is given and
/// always writes the brackets.
fn emphasise(page: &str) -> String {
    let page = page.replace("\\fI<", "\\fI").replace(">\\fR", "\\fR");
    let fonts = ["\\fB", "\\fR"].into_iter().cycle();
    let mut parts = page.split('`');
    let mut result = parts.next().unwrap_or_default().to_owned();
    for (part, font) in parts.zip(fonts) {
        result.push_str(font);
        result.push_str(part);
    }
    result
}
