//! Durations and sizes as users write them.

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

/// Parses a number of bytes with an optional unit K or M (powers of 1024).
pub fn size(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        unit => return Err(format!("invalid unit '{unit}': use 64K or 4M")),
    };
    digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|&bytes| bytes > 0 && bytes <= MAX_BUFFER)
        .ok_or_else(|| format!("invalid size '{text}' (expected 1 to 1024M)"))
}

/// Largest size that is accepted. The kernel's limit for a ring buffer is 2 GiB.
const MAX_BUFFER: u32 = 1 << 30;

/// The smallest valid size of a ring buffer that holds this many bytes: a power of two,
/// at least a page.
#[must_use]
pub fn ring_size(bytes: u32, page: u32) -> u32 {
    bytes.max(page).next_power_of_two()
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

    #[test]
    fn sizes_are_rounded_up_to_a_valid_ring_size() {
        assert_eq!(size("4M"), Ok(4 << 20));
        assert_eq!(size("64k"), Ok(64 << 10));
        for wrong in ["", "0", "-1", "1G", "1.5M", "9999999999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(ring_size(1, 4096), 4096);
        assert_eq!(ring_size(5000, 4096), 8192);
        assert_eq!(ring_size(8192, 4096), 8192);
    }
}
