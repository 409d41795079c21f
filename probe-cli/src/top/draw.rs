//! Draws the model on a screen of any size.
//!
//! The parts from top to bottom: a line of totals, a graph of exits per second, the places,
//! the latest exits, the keys. On a small screen parts are left out, the exits last.

use probe_user::model::LossCount;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::Line,
    widgets::{Paragraph, Sparkline},
};

use super::{ExitRow, Model, Place, columns, tally::PlaceCounts};
use crate::output::human::{fit, pid};

const TITLE: Style = Style::new().add_modifier(Modifier::REVERSED);
const HEADER: Style = Style::new().add_modifier(Modifier::BOLD);

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

fn draw_title(frame: &mut Frame<'_>, area: Rect, model: &Model) {
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
    let text = format!(
        "probe top{paused}  {} exits/s  lost {}{why}  {live} live  {containers}  {}",
        tally.per_second(),
        tally.lost,
        model.options.backend,
    );
    let width = usize::from(area.width);
    let style = if tally.lost != LossCount::NONE && model.options.colour {
        TITLE.fg(Color::Red)
    } else {
        TITLE
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

fn draw_body(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let places = model.places();
    let wanted = u16::try_from(places.len() + 1).unwrap_or(u16::MAX);
    let most = if area.height < 6 { 0 } else { area.height / 3 };
    let [above, below] =
        Layout::vertical([Constraint::Length(wanted.min(most)), Constraint::Fill(1)]).areas(area);
    draw_places(frame, above, model, &places);
    draw_exits(frame, below, model);
}

fn draw_places(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    places: &[(&Place, &PlaceCounts)],
) {
    let columns = columns::for_places(area.width.into());
    let mut lines = vec![Line::styled(columns::header(&columns), HEADER)];
    for (place, of) in places.iter().take(area.height.into()) {
        let text = columns::line(&columns, |column| place_cell(column, place, of));
        let is_failing = of.failures > 0;
        lines.push(Line::styled(text, failure_style(model, is_failing)));
    }
    show(frame, area, lines);
}

fn place_cell(column: &str, place: &Place, of: &PlaceCounts) -> String {
    match column {
        "LIVE" => of.live.to_string(),
        "EXITS/S" => {
            let tenths = of.tenths_per_second();
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        "EXITS" => of.exits.to_string(),
        "FAILED" => of.failures.to_string(),
        _ => place.label.to_string(),
    }
}

fn draw_exits(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let columns = columns::for_exits(area.width.into());
    let mut lines = vec![Line::styled(columns::header(&columns), HEADER)];
    for exit in model.exits().skip(model.scrolled).take(area.height.into()) {
        let text = columns::line(&columns, |column| exit_cell(column, exit));
        lines.push(Line::styled(text, failure_style(model, exit.is_failure)));
    }
    show(frame, area, lines);
}

fn exit_cell(column: &str, exit: &ExitRow) -> String {
    match column {
        "TIME" => exit.time.clone(),
        "PID" => pid(exit.pid),
        "COMM" => exit.comm.clone(),
        "AGE" => exit.age.clone(),
        "STATUS" => exit.status.clone(),
        "KILLED-BY" => exit.killed_by.clone(),
        _ => exit.place.label.to_string(),
    }
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    const HELP: [&str; 14] = [
        "q, Ctrl-C     quit",
        "p, space      pause the screen; counting continues",
        "s             sort containers by exits, live processes, failures or name",
        "f             show only processes that did not end by exit(0)",
        "/             show only names, containers and cgroups that contain a text",
        "arrows, j, k  scroll the exits; also page up, page down and home",
        "Ctrl-Z        suspend probe top and return to the shell",
        "?, h          show or hide this help",
        "",
        "EXITS/S is the average of the last five seconds. KILLED-BY is the process",
        "that sent the signal, or oom, timer, fault or kernel. An exit is shown when",
        "it begins: the process may still be in its cgroup, and `probe wait` waits",
        "until it is gone. The first line counts records that were lost, because",
        "the ring buffer was full or the kernel skipped a program.",
    ];
    show(frame, area, HELP.map(Line::from).to_vec());
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let filter = &model.filter;
    let text = if model.is_typing {
        format!("filter: {filter}_  Enter keeps it, Esc clears it")
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
        let sort = model.options.sort.as_str();
        format!("q quit  p {pause}  ? help  s sort: {sort}  f {failed}  / filter{filter}")
    };
    let width = usize::from(area.width);
    let text = format!("{:width$}", fit(&text, width));
    show(frame, area, vec![Line::styled(text, TITLE)]);
}

fn failure_style(model: &Model, is_failure: bool) -> Style {
    if is_failure {
        style(model, Color::Red)
    } else {
        Style::new()
    }
}

const fn style(model: &Model, colour: Color) -> Style {
    if model.options.colour {
        Style::new().fg(colour)
    } else {
        Style::new()
    }
}
