//! The distributions as a drawing: for each cell the share of kills that were
//! told of within a time, one line a watcher, time in powers of ten.

use std::fmt::Write;

use super::{cell::Outcome, stage::Kill};
use crate::bench::stats::{percentile, to_f64};

const COLUMNS: usize = 2;
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 220.0;
/// Around the plot in a panel: left, top, right, bottom.
const MARGIN: [f64; 4] = [44.0, 28.0, 16.0, 34.0];
const PLOT_WIDTH: f64 = WIDTH - MARGIN[0] - MARGIN[2];
const PLOT_HEIGHT: f64 = HEIGHT - MARGIN[1] - MARGIN[3];
/// From 10 us to 1 s.
const DECADES: [i32; 6] = [1, 2, 3, 4, 5, 6];
/// Told apart by people who see no red or no green.
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];
/// Points of a line.
const STEPS: usize = 200;

pub(super) fn drawing(outcomes: &[Outcome]) -> String {
    let rows = outcomes.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * to_f64(COLUMNS), HEIGHT * to_f64(rows));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, outcome) in outcomes.iter().enumerate() {
        let x = to_f64(index % COLUMNS) * WIDTH;
        let y = to_f64(index / COLUMNS) * HEIGHT;
        let lines: Vec<(&str, Vec<f64>)> = outcome
            .watchers
            .iter()
            .enumerate()
            .map(|(watcher, &name)| (name, outcome.sample(watcher, Kill::verdict_us)))
            .collect();
        push(
            &mut svg,
            format_args!("<g transform=\"translate({x} {y})\">\n"),
        );
        panel(&mut svg, &outcome.name, lines);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, name: &str, lines: Vec<(&str, Vec<f64>)>) {
    text(
        svg,
        (MARGIN[0], 16.0),
        "start",
        &format!("{name}: kill to verdict"),
    );
    axes(svg);
    for (index, (watcher, sample)) in lines.into_iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points = points(sample);
        if points.is_empty() {
            key(svg, index, colour, &format!("{watcher} (never told)"));
            continue;
        }
        push(
            svg,
            format_args!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" \
                 points=\"{points}\"/>\n"
            ),
        );
        key(svg, index, colour, watcher);
    }
}

fn axes(svg: &mut String) {
    let bottom = MARGIN[1] + PLOT_HEIGHT;
    for decade in DECADES {
        let x = x_of(10_f64.powi(decade));
        line(svg, (x, MARGIN[1]), (x, bottom));
        let label = ["10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s"];
        let at = usize::try_from(decade - DECADES[0]).unwrap_or(0);
        text(svg, (x, bottom + 14.0), "middle", label[at]);
    }
    for share in [0.0, 0.5, 0.95] {
        let y = y_of(share);
        line(svg, (MARGIN[0], y), (MARGIN[0] + PLOT_WIDTH, y));
        let label = format!("{:.0} %", share * 100.0);
        text(svg, (MARGIN[0] - 5.0, y + 4.0), "end", &label);
    }
}

fn points(mut sample: Vec<f64>) -> String {
    let mut points = String::new();
    if sample.is_empty() {
        return points;
    }
    for step in 0..=STEPS {
        let us = percentile(&mut sample, step * 1000 / STEPS);
        let y = y_of(to_f64(step) / to_f64(STEPS));
        push(&mut points, format_args!("{:.1},{y:.1} ", x_of(us)));
    }
    points
}

fn x_of(us: f64) -> f64 {
    let first = f64::from(DECADES[0]);
    let span = f64::from(DECADES[DECADES.len() - 1]) - first;
    let share = (us.max(1.0).log10() - first) / span;
    MARGIN[0] + PLOT_WIDTH * share.clamp(0.0, 1.0)
}

fn y_of(share: f64) -> f64 {
    MARGIN[1] + PLOT_HEIGHT * (1.0 - share)
}

fn key(svg: &mut String, index: usize, colour: &str, label: &str) {
    let y = MARGIN[1] + 14.0 + 15.0 * to_f64(index);
    push(
        svg,
        format_args!(
            "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" fill=\"{colour}\">{label}</text>\n",
            MARGIN[0] + PLOT_WIDTH - 6.0
        ),
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, label: &str) {
    push(
        svg,
        format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{label}</text>\n"),
    );
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    push(
        svg,
        format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ccc\"/>\n",
            from.0, from.1, to.0, to.1
        ),
    );
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // A String takes anything.
    let _written = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_longer_is_as_far_again() {
        let step = x_of(1e3) - x_of(1e2);
        assert!((x_of(1e4) - x_of(1e3) - step).abs() < 1e-9);
        assert!((x_of(1e1) - MARGIN[0]).abs() < 1e-9);
    }

    #[test]
    fn a_line_rises_from_the_fastest_kill_to_the_slowest() {
        let points = points(vec![1e4, 1e2, 1e3]);
        let first = format!("{:.1},{:.1} ", x_of(1e2), y_of(0.0));
        let last = format!("{:.1},{:.1} ", x_of(1e4), y_of(1.0));
        assert!(points.starts_with(&first), "{points}");
        assert!(points.ends_with(&last), "{points}");
    }

    #[test]
    fn who_was_never_told_has_no_line_but_a_name() {
        let mut svg = String::new();
        panel(&mut svg, "removed", vec![("bare poll", Vec::new())]);
        assert!(!svg.contains("polyline"));
        assert!(svg.contains("bare poll (never told)"));
    }
}
