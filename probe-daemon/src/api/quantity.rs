//! Durations as users write them.

use std::time::Duration;

use jiff::SignedDuration;

/// Parses `250ms`, `1m30s`, or seconds: `2.5`, `0`.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .map_err(|_out_of_range| format!("invalid duration '{text}': out of range"));
    }
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("invalid duration '{text}': use 250ms, 2.5 (seconds) or 1m30s"))
}

/// Nanoseconds of a duration; a duration above 584 years becomes `u64::MAX`.
#[must_use]
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_documented_formats() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2.5"), Ok(Duration::from_millis(2500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "-1", "-5s", "soon", "nan", "inf", "1x"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
