//! Types of settings that have the same format as a flag and in the file.

use std::{fmt, str::FromStr};

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

/// Maximum number of exits in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct History(pub(super) u32);

/// Maximum number of connections at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct MaxClients(pub(super) u32);

impl History {
    /// This many exits take some gigabytes.
    const MAX: u32 = 16 << 20;
}

impl MaxClients {
    /// More than the default of `fs.nr_open`, the kernel's limit of file descriptors.
    const MAX: u32 = 1 << 20;
}

impl TryFrom<i64> for History {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        within(number, Self::MAX).map(Self)
    }
}

impl TryFrom<i64> for MaxClients {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        within(number, Self::MAX).map(Self)
    }
}

impl FromStr for History {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        whole(text)?.try_into()
    }
}

impl FromStr for MaxClients {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        whole(text)?.try_into()
    }
}

fn whole(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_no_number| format!("invalid number '{text}'"))
}

fn within(number: impl TryInto<u32> + fmt::Display + Copy, most: u32) -> Result<u32, String> {
    let fits = number.try_into().ok().filter(|it| (1..=most).contains(it));
    fits.ok_or_else(|| format!("invalid number {number} (expected 1 to {most})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_and_lets_the_owner_connect() {
        for (text, mode) in [("0660", 0o660), ("600", 0o600), ("0o666", 0o666)] {
            assert_eq!(text.parse(), Ok(Mode(mode)), "{text}");
        }
        for text in [
            "",
            "0o",
            "rw-rw----",
            "0680",
            "1660",
            "0060",
            "+660",
            "99999999999",
        ] {
            assert!(text.parse::<Mode>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!("16777216".parse(), Ok(History(16 << 20)));
        for text in ["0", "-1", "16777217", "1e3", "", "many"] {
            assert!(text.parse::<History>().is_err(), "{text}");
        }
        assert!("0".parse::<MaxClients>().is_err());
    }
}
