//! Writes the man pages into a directory: `cargo run --example man -- DIR`.
//!
//! This program is an example, so that the released binary contains no page renderer. The
//! text of a page is that of `--help`.

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
        // The version replaces the date. clap_mangen would omit an empty date, and .TH
        // would take the next argument for it.
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
    }
    sections(of).to_writer(&mut page)?;
    see_also(whole, &name).to_writer(&mut page)?;
    let page = emphasise(&String::from_utf8_lossy(&page));
    fs::write(directory.join(man.get_filename()), page)
}

/// Replaces texts that `clap_mangen` would not take from `--help`: the name section gets the
/// first line of the long help, and the synopsis the usage with the names of the values.
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

/// Returns the name of the page, such as `probe` or `probe-wait`.
fn page_name(command: &Command) -> String {
    command
        .get_display_name()
        .unwrap_or(command.get_name())
        .to_owned()
}

/// Converts the sections at the end of `--help`. Each has a heading that ends in a colon, and
/// indented entries: a term, and its description after two spaces or on the next line.
fn sections(command: &Command) -> Roff {
    let help = command.get_after_long_help().map(ToString::to_string);
    let mut roff = Roff::new();
    for line in help.unwrap_or_default().lines() {
        let text = line.trim_start();
        match line.len() - text.len() {
            _ if text.is_empty() => {}
            0 if text == "Exit codes:" => _ = roff.control("SH", ["EXIT STATUS"]),
            0 => _ = roff.control("SH", [text.trim_end_matches(':').to_uppercase().as_str()]),
            2 => {
                let (term, description) = text.split_once("  ").unwrap_or((text, ""));
                roff.control("TP", []).text([bold(term)]);
                if !description.is_empty() {
                    roff.text([roman(description.trim())]);
                }
            }
            _ => _ = roff.text([roman(text)]),
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

/// Makes words between backticks bold, and removes the brackets around names of values. The
/// finished page is edited, because `clap_mangen` escapes its input and always writes brackets.
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
