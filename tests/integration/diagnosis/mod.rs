//! Why processes are still there: each situation is built on the running kernel, and the code,
//! the object and the hint of its reason are compared.

mod cgroups;
mod commands;
mod files;
mod relatives;

use probe_tests::{Deadline, run};
use serde_json::Value;

/// The reason of a process, once it has this code.
#[track_caller]
fn reason_of(pid: u32, code: &str) -> Value {
    let mut last = Value::Null;
    let deadline = Deadline::start();
    while !deadline.left().is_zero() {
        let output = run(&format!("why --json {pid}"));
        assert_eq!(output.code, Some(0), "{output:#?}");
        let survivors = &output.json()[0]["survivors"];
        let reason = survivors.as_array().expect("an array").first();
        last = reason.map_or(Value::Null, |it| it["reason"].clone());
        if last["code"] == code {
            return last;
        }
        std::thread::yield_now();
    }
    panic!("{pid} has no reason '{code}', but {last:#}");
}

/// Asserts that the text for people has these words.
#[track_caller]
fn assert_text(reason: &Value, words: &[&str]) {
    assert_words(reason, "text", words);
}

/// Asserts that the hint has these words.
#[track_caller]
fn assert_hint(reason: &Value, words: &[&str]) {
    assert_words(reason, "hint", words);
}

#[track_caller]
fn assert_words(reason: &Value, field: &str, words: &[&str]) {
    let text = reason[field].as_str().unwrap_or_default();
    for word in words {
        assert!(text.contains(word), "no '{word}' in {reason:#}");
    }
}
