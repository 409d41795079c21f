//! Types of settings that have the same format as a flag and in the file.

use std::str::FromStr;

use serde::Deserialize;

/// Permissions of a socket, in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Mode(pub(super) u32);

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let is_octal = !digits.is_empty() && digits.bytes().all(|it| matches!(it, b'0'..=b'7'));
        let mode = u32::from_str_radix(digits, 8).ok().filter(|_| is_octal);
        match mode {
            Some(mode) if mode > 0o777 => {
                Err(format!("invalid mode '{text}' (expected at most 0777)"))
            }
            // Connecting needs write permission.
            Some(mode) if mode & 0o600 != 0o600 => Err(format!(
                "invalid mode '{text}': the owner of the socket could not connect"
            )),
            Some(mode) => Ok(Self(mode)),
            None => Err(format!("invalid mode '{text}' (expected octal: 0660)")),
        }
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A number from 1 to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Count<const MAX: u32>(pub(super) u32);

/// Maximum number of exits in the history. The largest one takes some gigabytes.
pub type History = Count<{ 16 << 20 }>;

/// Maximum number of connections at once. The largest one is more than the default of
/// `fs.nr_open`, the kernel's limit of file descriptors.
pub type MaxClients = Count<{ 1 << 20 }>;

impl<const MAX: u32> TryFrom<i64> for Count<MAX> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        let count = u32::try_from(number).ok();
        let count = count.filter(|count| (1..=MAX).contains(count)).map(Self);
        count.ok_or_else(|| format!("invalid number {number} (expected 1 to {MAX})"))
    }
}

impl<const MAX: u32> FromStr for Count<MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: Result<i64, _> = text.parse();
        number
            .map_err(|_not_a_number| format!("invalid number '{text}'"))?
            .try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_and_lets_the_owner_connect() {
        for (text, mode) in [("0660", 0o660), ("600", 0o600), ("0o666", 0o666)] {
            assert_eq!(text.parse(), Ok(Mode(mode)), "{text}");
        }
        let wrong = ["", "0o", "rw-rw----", "0680", "1660", "0060", "+660"];
        for text in wrong.into_iter().chain(["99999999999"]) {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!("16777216".parse(), Ok(Count::<{ 16 << 20 }>(16 << 20)));
        for text in ["0", "-1", "16777217", "1e3", "", "many"] {
            assert!(text.parse::<History>().is_err(), "{text}");
        }
        assert!("0".parse::<MaxClients>().is_err());
    }
}
