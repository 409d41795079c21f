//! The time of day in the zone of the user.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

/// Whether times are in UTC instead of the zone of the user.
static IN_UTC: AtomicBool = AtomicBool::new(false);

/// Shows all later times in UTC.
pub(crate) fn use_utc() {
    IN_UTC.store(true, Ordering::Relaxed);
}

/// Whether times are shown in UTC.
pub(crate) fn is_utc() -> bool {
    IN_UTC.load(Ordering::Relaxed)
}

/// Formats times in one zone.
#[derive(Clone, Debug)]
pub(crate) struct LocalTime {
    zone: TimeZone,
    /// The present abbreviation of the zone, such as `CET`, or its offset if it has none.
    name: String,
}

impl LocalTime {
    /// The zone of `TZ`, otherwise that of the system. On a machine that knows neither, such as
    /// one without tzdata, the zone is UTC.
    pub(crate) fn system() -> Self {
        if is_utc() {
            return Self::new(TimeZone::UTC);
        }
        Self::new(own_zone().unwrap_or(TimeZone::UTC))
    }

    pub(crate) fn new(zone: TimeZone) -> Self {
        let name = zone_name(&Timestamp::now().to_zoned_datetime(zone.clone()));
        Self { zone, name }
    }

    /// The name of a column of times, with the zone.
    pub(crate) fn header(&self) -> String {
        format!("TIME({})", self.name)
    }

    /// Formats the time of day, with milliseconds on request. The zone follows if it is not that
    /// of the header, because the clocks were changed in between.
    pub(crate) fn format(&self, unix_ns: i128, with_ms: bool) -> String {
        let time = Timestamp::from_nanosecond(unix_ns).unwrap_or(Timestamp::MAX);
        let time = time.to_zoned_datetime(self.zone.clone());
        let format = if with_ms { "%H:%M:%S%.3f" } else { "%H:%M:%S" };
        let text = time.strftime(format).to_string();
        let name = zone_name(&time);
        if name == self.name {
            return text;
        }
        format!("{text} {name}")
    }
}

/// The zone of `TZ`, otherwise that of the system. Without `TZ` one file is read: jiff would list
/// every zone of the machine first, which takes longer than the rest of the start.
fn own_zone() -> Option<TimeZone> {
    #[expect(
        clippy::disallowed_methods,
        reason = "jiff reads this variable by itself"
    )]
    let has_own = std::env::var_os("TZ").is_some();
    if !has_own && let Ok(file) = std::fs::read("/etc/localtime") {
        return TimeZone::tzif("Local", &file).ok();
    }
    TimeZone::try_system().ok()
}

fn zone_name(time: &ZonedDateTime) -> String {
    time.strftime("%Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_the_zone() {
        let tokyo = TimeZone::posix("JST-9").expect("a zone");
        let time = LocalTime::new(tokyo);
        assert_eq!(time.header(), "TIME(JST)");
        assert_eq!(time.format(0, false), "09:00:00");
        assert_eq!(time.format(1_500_000, true), "09:00:00.001");
    }

    #[test]
    fn a_time_before_the_change_of_the_clocks_names_its_zone() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let time = LocalTime::new(berlin);
        // January and July of 1970.
        let texts = [
            time.format(0, false),
            time.format(15_552_000_000_000_000, false),
        ];
        let [winter, summer] = texts;
        assert!(winter.starts_with("01:00:00") && summer.starts_with("02:00:00"));
        assert!(
            winter.ends_with(" CET") != summer.ends_with(" CEST"),
            "{winter} {summer}"
        );
    }
}
