//! Fields of a JSON line.

use serde_json::Value;

/// Whether a line is the exit of a whole process, not of one of its tasks.
#[must_use]
pub fn is_exit(line: &Value) -> bool {
    line["type"] == "exit" && line["group_dead"] == true
}

/// The raw wait status of an exit line, for comparison with the result of `waitpid`.
#[must_use]
pub fn wait_status(line: &Value) -> i32 {
    let status = &line["status"];
    let number = |field: &str| {
        let number = status[field].as_i64();
        let number = number.unwrap_or_else(|| panic!("no {field} in {line}"));
        i32::try_from(number).expect("a byte or a signal number")
    };
    match status["kind"].as_str() {
        Some("exited") => number("code") << 8,
        Some("signaled") if status["core_dumped"] == true => number("number") | 0x80,
        Some("signaled") => number("number"),
        _ => panic!("no status in {line}"),
    }
}

/// The number in a field.
#[must_use]
pub fn number(line: &Value, field: &str) -> u64 {
    line[field]
        .as_u64()
        .unwrap_or_else(|| panic!("no number '{field}' in {line}"))
}

/// The pid of an exit or start line, or of a victim's report.
#[must_use]
pub fn pid(line: &Value) -> u32 {
    u32::try_from(number(line, "pid")).expect("a pid")
}
