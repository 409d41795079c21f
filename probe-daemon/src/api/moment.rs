//! Moments as users write them.

use std::sync::OnceLock;

use jiff::{
    SignedDuration, Span, Timestamp, ZonedDateTime,
    civil::{DateTime, Time},
    tz::TimeZone,
};

use super::quantity::duration;

/// The formats of a moment, as a hint.
pub const FORMATS: &str =
    "use 10m, '2 days ago', today, yesterday, 14:30, '2026-01-02 14:30' or 2026-01-02T14:30:00Z";

/// Parses a moment: a time, or a time span before `now`. A time without an offset is one in the
/// time zone of `now`.
pub fn moment(text: &str, now: &ZonedDateTime) -> Result<Timestamp, String> {
    let text = text.trim();
    let found = word(text, now)
        .or_else(|| span(text, now))
        .or_else(|| text.parse().ok())
        .or_else(|| local(text, now));
    found.ok_or_else(|| format!("invalid time '{}'", text.escape_debug()))
}

/// This moment in the time zone of the system. The zone is read once, because a daemon cannot read
/// its file after it has dropped its privileges.
#[must_use]
pub fn now() -> ZonedDateTime {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    let zone = ZONE.get_or_init(|| TimeZone::try_system().unwrap_or(TimeZone::UTC));
    Timestamp::now().to_zoned_datetime(zone.clone())
}

/// `now`, `today`, `yesterday`, or `@SECONDS` since 1970.
fn word(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    if let Some(seconds) = text.strip_prefix('@') {
        return Timestamp::from_second(seconds.parse().ok()?).ok();
    }
    let day = match text.to_ascii_lowercase().as_str() {
        "now" => return Some(now.timestamp()),
        "today" => now.date(),
        "yesterday" => now.date().yesterday().ok()?,
        _ => return None,
    };
    let midnight = day.to_zoned_datetime(now.time_zone().clone()).ok()?;
    Some(midnight.timestamp())
}

/// `10m`, `-10m`, `90` (seconds), `10 min ago` or `2 days ago`.
fn span(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    if let Ok(ago) = duration(text.strip_prefix('-').unwrap_or(text)) {
        let ago = SignedDuration::try_from(ago).ok()?;
        return now.timestamp().checked_sub(ago).ok();
    }
    let span: Span = text.parse().ok()?;
    let moment = now.checked_sub(span.abs()).ok()?;
    Some(moment.timestamp())
}

/// `2026-01-02 14:30`, `2026-01-02` or `14:30`.
fn local(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    let time = || text.parse::<Time>().ok();
    let local = text.parse::<DateTime>().ok();
    let local = local.or_else(|| Some(now.date().to_datetime(time()?)))?;
    Some(
        local
            .to_zoned_datetime(now.time_zone().clone())
            .ok()?
            .timestamp(),
    )
}

#[cfg(test)]
mod tests {
    use jiff::tz::offset;

    use super::*;

    fn at(text: &str) -> Result<String, String> {
        let zone = TimeZone::fixed(offset(2));
        let now: Timestamp = "2026-01-02T10:00:00Z".parse().expect("a time");
        moment(text, &now.to_zoned_datetime(zone)).map(|it| it.to_string())
    }

    #[test]
    fn a_span_is_one_before_now() {
        for text in [
            "10m",
            "600",
            "10 min ago",
            "10m ago",
            "-10m",
            "10 minutes",
            "PT10M",
        ] {
            assert_eq!(at(text).as_deref(), Ok("2026-01-02T09:50:00Z"), "{text}");
        }
        assert_eq!(at("2 days ago").as_deref(), Ok("2025-12-31T10:00:00Z"));
        assert_eq!(at("1 week").as_deref(), Ok("2025-12-26T10:00:00Z"));
    }

    #[test]
    fn days_and_times_without_an_offset_are_those_of_the_zone() {
        for (text, wanted) in [
            ("now", "2026-01-02T10:00:00Z"),
            ("today", "2026-01-01T22:00:00Z"),
            ("Yesterday", "2025-12-31T22:00:00Z"),
            ("11:30", "2026-01-02T09:30:00Z"),
            ("2026-01-01", "2025-12-31T22:00:00Z"),
            ("2026-01-01 08:15", "2026-01-01T06:15:00Z"),
            ("2026-01-01T08:15:30", "2026-01-01T06:15:30Z"),
            ("2026-01-01T08:15:30Z", "2026-01-01T08:15:30Z"),
            ("2026-01-01 08:15:30+01:00", "2026-01-01T07:15:30Z"),
            ("@1767225600", "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn another_text_is_no_moment() {
        for text in [
            "",
            "soon",
            "1y2",
            "10 fortnights ago",
            "25:00",
            "2026-13-01",
            "@x",
            "nan",
        ] {
            assert!(at(text).is_err(), "{text}: {:?}", at(text));
        }
    }
}
