//! The man pages, made from the definition of the command line.
//!
//! `clap_mangen` writes the head of a page. The options and the sections at the end of `--help`
//! are written here, because it writes the latter as one paragraph.

use std::io;

use clap::{Arg, ArgAction, Command};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, italic, roman},
};

/// A man page.
pub(crate) struct Page {
    /// Such as `probe-wait.1`.
    pub(crate) file: String,
    /// The text in the language of man(7).
    pub(crate) text: Vec<u8>,
}

/// Returns the page of the command, and one for each verb.
pub(crate) fn pages(command: Command) -> io::Result<Vec<Page>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let all: Vec<_> = [&command].into_iter().chain(verbs).collect();
    let names: Vec<_> = all.iter().map(|it| page_name(it)).collect();
    all.iter()
        .map(|it| page(it, command.get_version().unwrap_or_default(), &names))
        .collect()
}

fn page(of: &Command, version: &str, names: &[String]) -> io::Result<Page> {
    let name = page_name(of);
    let man = Man::new(of.clone())
        .title(name.to_uppercase())
        // The version replaces the date. clap_mangen would omit an empty date, and .TH
        // would take the next argument for it.
        .date("\"\"")
        .source(format!("probe {version}"))
        .manual("probe");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    let mut roff = Roff::new();
    write_head(&mut roff, of, &name);
    write_options(&mut roff, of);
    write_commands(&mut roff, of);
    let help = of.get_after_long_help().map(ToString::to_string);
    for section in sections(help.as_deref().unwrap_or_default()) {
        section.write(&mut roff);
    }
    roff.control("SH", ["SEE ALSO"]);
    let mut others = Vec::new();
    for other in names.iter().filter(|it| **it != name) {
        others.push(roman(if others.is_empty() { "" } else { ", " }));
        others.extend([bold(other.as_str()), roman("(1)")]);
    }
    roff.text(others);
    roff.to_writer(&mut text)?;
    let file = man.get_filename();
    Ok(Page { file, text })
}

/// Returns the name of a page, such as `probe` or `probe-wait`.
fn page_name(command: &Command) -> String {
    command
        .get_display_name()
        .unwrap_or(command.get_name())
        .to_owned()
}

/// Writes NAME, SYNOPSIS and DESCRIPTION. The first line of the help is the name of the page.
fn write_head(roff: &mut Roff, of: &Command, name: &str) {
    let help = of.get_long_about().or(of.get_about());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let (first, rest) = help.split_once('\n').unwrap_or((&help, ""));
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {}", first.trim_end_matches('.')))]);
    roff.control("SH", ["SYNOPSIS"]);
    let usage = of.clone().render_usage().to_string();
    for line in usage.trim_start_matches("Usage:").lines() {
        // The brackets around values are those of clap.
        let line = line.trim().replace(['<', '>'], "");
        roff.text([bold(line)]).control("br", []);
    }
    if !rest.trim().is_empty() {
        roff.control("SH", ["DESCRIPTION"]);
        write_paragraphs(roff, rest.trim(), "PP");
    }
}

fn write_options(roff: &mut Roff, of: &Command) {
    let shown: Vec<_> = of
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .collect();
    let (positional, mut named): (Vec<_>, Vec<_>) =
        shown.into_iter().partition(|arg| arg.is_positional());
    named.sort_by_key(|arg| is_common(arg));
    if !positional.is_empty() {
        roff.control("SH", ["ARGUMENTS"]);
        for arg in positional {
            write_argument(roff, arg);
        }
    }
    roff.control("SH", ["OPTIONS"]);
    for arg in named {
        write_argument(roff, arg);
    }
}

/// Whether every verb has the option.
fn is_common(arg: &Arg) -> bool {
    ["verbose", "quiet", "help", "version"].contains(&arg.get_id().as_str())
}

fn write_argument(roff: &mut Roff, arg: &Arg) {
    let mut term = Vec::new();
    if let Some(short) = arg.get_short() {
        term.push(bold(format!("-{short}")));
    }
    if let Some(long) = arg.get_long() {
        if !term.is_empty() {
            term.push(roman(", "));
        }
        term.push(bold(format!("--{long}")));
    }
    let takes_value = arg.get_action().takes_values();
    for value in arg.get_value_names().unwrap_or_default() {
        if takes_value {
            term.push(roman(if term.is_empty() { "" } else { " " }));
            term.push(italic(value.as_str()));
        }
    }
    if matches!(arg.get_action(), ArgAction::Count | ArgAction::Append) {
        term.push(roman(" ..."));
    }
    roff.control("TP", []).text(term);
    let help = arg.get_long_help().or(arg.get_help());
    write_paragraphs(
        roff,
        &help.map(ToString::to_string).unwrap_or_default(),
        "sp",
    );
    write_values(roff, arg);
}

/// Writes the values that an option may have, and its default.
fn write_values(roff: &mut Roff, arg: &Arg) {
    let values = arg.get_possible_values();
    let values = values.iter().filter(|value| !value.is_hide_set());
    if arg.get_action().takes_values() && !arg.is_hide_possible_values_set() {
        for value in values {
            roff.control("RS", []).control("TP", []);
            roff.text([bold(value.get_name())]);
            let help = value.get_help().map(ToString::to_string);
            roff.text(spans(help.as_deref().unwrap_or_default()));
            roff.control("RE", []);
        }
    }
    let defaults = arg.get_default_values();
    let defaults: Vec<_> = defaults.iter().map(|it| it.to_string_lossy()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        roff.control("sp", []);
        roff.text([
            roman("The default is "),
            bold(defaults.join(" ")),
            roman("."),
        ]);
    }
}

fn write_commands(roff: &mut Roff, of: &Command) {
    let verbs = of.get_subcommands().filter(|verb| !verb.is_hide_set());
    for (index, verb) in verbs.enumerate() {
        if index == 0 {
            roff.control("SH", ["COMMANDS"]);
        }
        let about = verb.get_about().map(ToString::to_string);
        roff.control("TP", []);
        roff.text([bold(page_name(verb)), roman("(1)")]);
        roff.text(spans(about.as_deref().unwrap_or_default()));
    }
}

/// A section at the end of `--help`.
struct Section<'a> {
    heading: &'a str,
    /// Terms with their descriptions.
    entries: Vec<(&'a str, String)>,
}

impl Section<'_> {
    fn write(&self, roff: &mut Roff) {
        let heading = match self.heading {
            "Exit codes" => "EXIT STATUS".to_owned(),
            heading => heading.to_uppercase(),
        };
        roff.control("SH", [heading.as_str()]);
        for (term, description) in &self.entries {
            roff.control("TP", []).text([bold(*term)]);
            roff.text(spans(description));
        }
    }
}

/// Reads the sections. Each has a heading that ends in a colon, and entries with an indentation
/// of two: a term, and its description after two spaces or on the next lines.
fn sections(help: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in help.lines() {
        let text = line.trim_start();
        match (line.len() - text.len(), sections.last_mut()) {
            _ if text.is_empty() => {}
            (0, _) => sections.push(Section {
                heading: text.trim_end_matches(':'),
                entries: Vec::new(),
            }),
            (2, Some(section)) => {
                let (term, description) = text.split_once("  ").unwrap_or((text, ""));
                let description = description.trim().to_owned();
                section.entries.push((term, description));
            }
            (_, Some(section)) => {
                if let Some((_, description)) = section.entries.last_mut() {
                    let blank = if description.is_empty() { "" } else { " " };
                    description.push_str(blank);
                    description.push_str(text);
                }
            }
            (_, None) => {}
        }
    }
    sections
}

/// Writes paragraphs, which empty lines separate in the text and a macro on the page.
fn write_paragraphs(roff: &mut Roff, text: &str, between: &str) {
    let mut is_first = true;
    for paragraph in text.split("\n\n").map(str::trim) {
        if !std::mem::take(&mut is_first) {
            roff.control(between, []);
        }
        let words: Vec<_> = paragraph.lines().map(str::trim).collect();
        roff.text(spans(&words.join(" ")));
    }
}

/// Makes words between backticks bold.
fn spans(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    let span = |(index, part): (usize, &str)| {
        if index % 2 == 1 {
            bold(part)
        } else {
            roman(part)
        }
    };
    parts.map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of each page, by its file name.
    fn texts() -> Vec<(String, String)> {
        let pages = pages(crate::cli::command()).expect("a vector takes all");
        let text = |it: Page| (it.file, String::from_utf8(it.text).expect("UTF-8"));
        pages.into_iter().map(text).collect()
    }

    #[test]
    fn there_is_a_page_for_the_command_and_for_each_verb() {
        let texts = texts();
        let names: Vec<_> = texts.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["probe.1", "probe-wait.1", "probe-man.1", "probe-top.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        for (name, text) in &texts {
            let headings = text.lines().filter(|line| line.starts_with(".SH"));
            let mut headings: Vec<_> = headings.collect();
            let all = headings.len();
            headings.sort_unstable();
            headings.dedup();
            assert_eq!(headings.len(), all, "{name} has a heading twice");
            for heading in ["NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES", "\"EXIT STATUS\""] {
                assert!(
                    text.contains(&format!(".SH {heading}\n")),
                    "{name}: no {heading}"
                );
            }
            assert!(!text.contains('`'), "{name} has a backtick");
            assert!(!text.contains("\\fI<"), "{name} has a value in brackets");
        }
    }

    #[test]
    fn every_exit_code_is_once_on_the_page_of_the_command() {
        let (_, page) = texts().swap_remove(0);
        for heading in ["ENVIRONMENT", "FILES"] {
            assert!(page.contains(&format!(".SH {heading}\n")), "{heading}");
        }
        for code in [
            "0", "1", "2", "3", "4", "5", "123", "124", "125", "126", "127",
        ] {
            let term = format!("\n\\fB{code}\\fR\n");
            assert_eq!(page.matches(&term).count(), 1, "{code}");
        }
    }

    #[test]
    fn sections_have_terms_with_descriptions_beside_or_below() {
        let text = "Exit codes:\n  0  success\n\nExamples:\n  probe ps\n      List\n      them\n";
        let sections = sections(text);
        assert_eq!(sections[0].heading, "Exit codes");
        assert_eq!(sections[0].entries, [("0", "success".to_owned())]);
        assert_eq!(sections[1].entries, [("probe ps", "List them".to_owned())]);
    }
}
