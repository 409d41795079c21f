//! Draws the model on a screen of any size.
//!
//! The parts from top to bottom: a line of totals, a graph of exits per second, the places or the
//! processes of one place, the latest exits, the keys. On a small screen parts are left out, the
//! exits last.

use anstyle::AnsiColor;
use probe_user::model::LossCount;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Sparkline},
};

use super::{Model, columns::Columns, keys::HELP};
use crate::output::human::{Cell, fit, pieces};

const TITLE: Style = Style::new().add_modifier(Modifier::REVERSED);
const HEADER: Style = Style::new().add_modifier(Modifier::BOLD);
const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let height = area.height;
    let graph = match height {
        0..12 => 0,
        12..20 => 3,
        _ => 4,
    };
    let [title, graph, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(graph),
        Constraint::Fill(1),
        Constraint::Length(u16::from(height > 2)),
    ])
    .areas(area);
    draw_title(frame, title, model);
    draw_graph(frame, graph, model);
    if model.shows_help {
        draw_help(frame, body);
    } else {
        draw_body(frame, body, model);
    }
    draw_keys(frame, keys, model);
}

fn show(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

/// Formats the line of totals.
pub(super) fn title(model: &Model) -> String {
    let tally = model.shown();
    let live = tally
        .processes
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    let why = tally
        .loss
        .map_or(String::new(), |it| format!(" ({})", it.as_str()));
    let paused = if model.is_paused() { " PAUSED" } else { "" };
    let containers = match tally.containers() {
        1 => "1 container".to_owned(),
        containers => format!("{containers} containers"),
    };
    format!(
        "probe top{paused}  {} exits/s  lost {}{why}  {live} live  {containers}  {}",
        tally.per_second(),
        tally.lost,
        model.options.backend,
    )
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let text = title(model);
    let width = usize::from(area.width);
    let style = match model.shown().lost != LossCount::NONE {
        true => TITLE.patch(style(model, Color::Red)),
        false if model.is_paused() => TITLE.patch(style(model, Color::Yellow)),
        false => TITLE,
    };
    let text = format!("{:width$}", fit(&text, width));
    show(frame, area, vec![Line::styled(text, style)]);
}

/// Draws the graph, with the latest second at the right.
fn draw_graph(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let [caption, bars] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let seconds = &model.shown().seconds;
    let width = usize::from(bars.width);
    let shown = width.min(seconds.len());
    let mut data = vec![0; width - shown];
    data.extend(seconds.iter().skip(seconds.len() - shown));
    let most = data.iter().copied().max().unwrap_or(0);
    let text = format!("exits per second, at most {most} in {shown} s");
    let text = fit(&text, width);
    show(frame, caption, vec![Line::styled(text, HEADER)]);
    let bar_style = style(model, Color::Cyan);
    let graph = Sparkline::default()
        .data(&data)
        .max(most.max(1))
        .style(bar_style);
    frame.render_widget(graph, bars);
}

/// Draws two lists. Each gets the height that the other does not need.
fn draw_body(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let caption = u16::from(model.opened.is_some() && area.height > 4);
    let [name, lists] =
        Layout::vertical([Constraint::Length(caption), Constraint::Fill(1)]).areas(area);
    if let Some(place) = &model.opened {
        let text = format!("{}  (Esc goes back)", place.label);
        let text = fit(&text, area.width.into());
        show(frame, name, vec![Line::styled(text, HEADER)]);
    }
    let (rows, exits) = match model.opened {
        None => (model.places().len(), model.exits().len()),
        Some(_) => (model.processes().len(), model.exits().len()),
    };
    let [above, below] = split(lists, rows, exits, model.is_in_exits);
    if model.opened.is_some() {
        draw_processes(frame, above, model);
    } else {
        draw_places(frame, above, model);
    }
    draw_exits(frame, below, model);
}

/// Splits the height between two lists with headers. On a very small screen only the list of the
/// keys is shown.
fn split(area: Rect, above: usize, below: usize, is_in_exits: bool) -> [Rect; 2] {
    if area.height < 6 {
        let (first, second) = if is_in_exits { (0, 1) } else { (1, 0) };
        return Layout::vertical([Constraint::Fill(first), Constraint::Fill(second)]).areas(area);
    }
    let rows = |rows: usize| u16::try_from(rows + 1).unwrap_or(u16::MAX);
    let half = area.height / 2;
    let above = rows(above).min(half.max(area.height.saturating_sub(rows(below))));
    Layout::vertical([Constraint::Length(above), Constraint::Fill(1)]).areas(area)
}

fn draw_places(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let columns = Columns::of_places(area.width.into(), model.options.colour);
    let places = model.places();
    let selected = model.position_in(&places);
    let first = first_shown(selected, area.height);
    let header = columns.header(&model.place_order, "");
    let mut lines = vec![line(header).style(header_style(!model.is_in_exits))];
    let shown = places.iter().enumerate().skip(first);
    for (index, (place, of)) in shown.take(area.height.into()) {
        let line = line(columns.place(place, of));
        let is_selected = index == selected && !model.is_in_exits;
        lines.push(if is_selected {
            filled(line, area).style(SELECTED)
        } else {
            line
        });
    }
    show(frame, area, lines);
}

fn draw_processes(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let columns = Columns::of_processes(area.width.into(), model.options.colour);
    let header = columns.header(&model.process_order, "");
    let mut lines = vec![line(header).style(header_style(!model.is_in_exits))];
    let processes = model.processes();
    let shown = processes.iter().skip(model.processes_scrolled);
    lines.extend(
        shown
            .take(area.height.into())
            .map(|process| line(columns.process(process))),
    );
    show(frame, area, lines);
}

fn draw_exits(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let columns = Columns::of_exits(area.width.into(), model.options.colour);
    let header = columns.header(&model.exit_order, &model.options.time_header);
    let mut lines = vec![line(header).style(header_style(model.is_in_exits))];
    let exits = model.exits();
    let shown = exits.iter().skip(model.exits_scrolled);
    lines.extend(
        shown
            .take(area.height.into())
            .map(|exit| line(columns.exit(exit))),
    );
    show(frame, area, lines);
}

/// The first row of a list of which the selected row is visible below a header.
fn first_shown(selected: usize, height: u16) -> usize {
    (selected + 2).saturating_sub(height.max(2).into())
}

/// The header of the list in which the keys move is underlined.
const fn header_style(has_keys: bool) -> Style {
    if has_keys {
        HEADER.add_modifier(Modifier::UNDERLINED)
    } else {
        HEADER
    }
}

/// Adds blanks up to the right edge.
fn filled(mut line: Line<'static>, area: Rect) -> Line<'static> {
    let blanks = usize::from(area.width).saturating_sub(line.width());
    line.push_span(" ".repeat(blanks));
    line
}

fn line(cells: Vec<Cell>) -> Line<'static> {
    let pieces = pieces(cells.into_iter()).into_iter();
    let spans = pieces.flat_map(|piece| {
        let colour = match piece.style.get_fg_color() {
            Some(anstyle::Color::Ansi(AnsiColor::Red)) => Some(Color::Red),
            Some(anstyle::Color::Ansi(AnsiColor::Yellow)) => Some(Color::Yellow),
            _ => None,
        };
        let style = colour.map_or_else(Style::new, |colour| Style::new().fg(colour));
        [
            Span::raw(" ".repeat(piece.blanks)),
            Span::styled(piece.text, style),
        ]
    });
    spans.collect()
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    const NOTES: [&str; 5] = [
        "EXITS/S is the average of the last five seconds. KILLED-BY is the process",
        "that sent the signal, or oom, timer, fault or kernel. An exit is shown when",
        "it begins: the process may still be in its cgroup, and `probe wait` waits",
        "until it is gone. The first line counts records that were lost, because",
        "the ring buffer was full or the kernel skipped a program.",
    ];
    let keys = HELP.iter().map(|(key, text)| format!("{key:<14}{text}"));
    let lines = keys.chain([String::new()]).map(Line::from);
    let lines = lines.chain(NOTES.map(Line::from)).collect();
    show(frame, area, lines);
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let filter = &model.filter;
    let text = if model.is_typing {
        format!("filter: {filter}_  Enter keeps it, Esc clears it")
    } else if model.shows_help {
        "q quit  Esc closes the help".to_owned()
    } else {
        let pause = if model.is_paused() { "resume" } else { "pause" };
        let failed = if model.options.failed_only {
            "all"
        } else {
            "failed only"
        };
        let filter = match filter.as_str() {
            "" => String::new(),
            filter => format!(": {filter}"),
        };
        let open = if model.opened.is_some() {
            "Esc back"
        } else {
            "Enter open"
        };
        format!("q quit  ? help  {open}  s sort  f {failed}  p {pause}  / filter{filter}")
    };
    let width = usize::from(area.width);
    let text = format!("{:width$}", fit(&text, width));
    show(frame, area, vec![Line::styled(text, TITLE)]);
}

const fn style(model: &Model, colour: Color) -> Style {
    if model.options.colour {
        Style::new().fg(colour)
    } else {
        Style::new()
    }
}
