//! Times as bars.

use std::time::Duration;

use super::race::Time;

const WIDTH: usize = 40;
/// Of a character, from the left.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// The longest one fills the width.
pub(super) fn drawn(times: &[Time]) -> Vec<String> {
    let longest = times.iter().filter_map(|(_, time)| *time).max();
    let longest = longest.unwrap_or_default();
    let label = times.iter().map(|(name, _)| name.chars().count()).max();
    let label = label.unwrap_or(0);
    times
        .iter()
        .map(|(name, time)| match time {
            Some(time) => format!("{name:label$}  {} {}", bar(*time, longest), text(*time)),
            None => format!("{name:label$}  (no cgroup.events in v1)"),
        })
        .collect()
}

fn bar(time: Duration, longest: Duration) -> String {
    let eighths = time.as_nanos() * 8 * WIDTH as u128 / longest.as_nanos().max(1);
    // However short, it is one that can be seen.
    let eighths = usize::try_from(eighths).unwrap_or(0).clamp(1, 8 * WIDTH);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

fn text(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_time() {
        let longest = Duration::from_millis(100);
        assert_eq!(bar(longest, longest).chars().count(), WIDTH);
        let quarter = bar(Duration::from_millis(25), longest);
        assert_eq!(quarter, "█".repeat(WIDTH / 4));
    }

    #[test]
    fn the_shortest_time_can_be_seen() {
        assert_eq!(bar(Duration::from_nanos(1), Duration::from_secs(1)), "▏");
    }

    #[test]
    fn bars_begin_below_each_other() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let lines = drawn(&[("long name", ms(100)), ("x", ms(1)), ("v1", None)]);
        assert_eq!(lines[1], "x          ▍ 1.0 ms");
        assert!(lines[2].ends_with("(no cgroup.events in v1)"));
        assert!(lines[0].contains("█ 100.0 ms"));
    }
}
