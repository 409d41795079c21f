//! Assertions about the output of `probe` and about JSON.

use serde_json::Value;

use crate::{Output, record};

/// Asserts that a value has these fields; others may have any value.
#[track_caller]
pub fn assert_fields(value: &Value, expected: &Value) {
    for (field, expected) in expected.as_object().expect("an object") {
        assert_eq!(&value[field], expected, "{field} of {value:#}");
    }
}

/// The pids of survivors, migrants or other records, sorted.
#[track_caller]
#[must_use]
pub fn sorted_pids(list: &Value) -> Vec<u32> {
    let list = list.as_array();
    let list = list.unwrap_or_else(|| panic!("not a list of processes"));
    let mut pids: Vec<_> = list.iter().map(record::pid).collect();
    pids.sort_unstable();
    pids
}

impl Output {
    /// Asserts the exit code, and that stderr has these words.
    #[track_caller]
    pub fn assert_ended(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "no '{word}' in {self:#?}");
        }
    }

    /// The last line of stdout.
    #[track_caller]
    #[must_use]
    pub fn last_line(&self) -> Value {
        let line = self.json().pop();
        line.unwrap_or_else(|| panic!("no line in {self:#?}"))
    }

    /// The pids of the exits on stdout, sorted.
    #[must_use]
    pub fn exits(&self) -> Vec<u32> {
        let mut lines = self.json();
        lines.retain(record::is_exit);
        sorted_pids(&Value::Array(lines))
    }
}
