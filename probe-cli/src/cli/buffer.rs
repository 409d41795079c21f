//! The size of the ring buffer: `--buffer`.

use rustix::param::page_size;

/// Largest size that is accepted. The kernel's limit for a ring buffer is 2 GiB.
const MAX_BUFFER: u32 = 1 << 30;

/// Parses a number of bytes with an optional unit K, M or G (powers of 1024).
pub(super) fn size(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        unit => return Err(format!("invalid unit '{unit}': use 64K, 4M or 1G")),
    };
    digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|&bytes| bytes > 0 && bytes <= MAX_BUFFER)
        .ok_or_else(|| format!("invalid size '{text}' (expected 1 to 1G)"))
}

/// The smallest valid size of a ring buffer that holds this many bytes: a power of two,
/// at least a page.
pub(super) fn ring_size(bytes: u32) -> u32 {
    let page = u32::try_from(page_size()).unwrap_or(4096);
    bytes.max(page).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_to_a_valid_ring_size() {
        assert_eq!(size("4M"), Ok(4 << 20));
        assert_eq!(size("64k"), Ok(64 << 10));
        assert_eq!(size("1G"), size("1024M"));
        for wrong in ["", "0", "-1", "2G", "1025M", "1.5M", "9999999999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        let page = ring_size(1);
        assert_eq!(page as usize, page_size());
        assert_eq!(ring_size(page + 1), 2 * page);
        assert_eq!(ring_size(2 * page), 2 * page);
    }
}
