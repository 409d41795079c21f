//! `--timeout` and `--grace`.

use std::time::{Duration, Instant};

use super::{assert_no_trace_of, descendants_of, run, run_script};

#[test]
#[ignore = "needs root"]
fn a_timeout_kills_the_command_and_everything_of_it() {
    let word = "98764.1";
    let script = format!("trap '' TERM; setsid sleep {word} & sleep {word}; sleep {word}");
    let output = run_script(&["-t", "0.2"], &script);
    assert_eq!(output.code, Some(124), "{output:#?}");
    assert!(output.stderr.contains("sh timed out"), "{output:#?}");
    assert_eq!(descendants_of(word), [0; 0]);
    let output = run(&["-t", "20", "--", "true"]);
    assert_eq!((output.code, &*output.stderr), (Some(0), ""));
    assert_no_trace_of("timeouts");
}

#[test]
#[ignore = "needs root"]
fn every_process_gets_sigterm_before_the_grace_begins() {
    let script = "trap 'echo outer; exit 3' TERM; \
                  setsid sh -c 'trap \"echo inner; exit\" TERM; while :; do sleep 0.01; done' & \
                  while :; do sleep 0.01; done";
    let begun = Instant::now();
    let output = run_script(&["-t", "0.3", "--grace", "20"], script);
    assert!(begun.elapsed() < Duration::from_secs(10), "{output:#?}");
    assert_eq!(output.code, Some(124), "{output:#?}");
    let mut lines: Vec<_> = output.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["inner", "outer"], "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_stopped_process_receives_the_sigterm() {
    let script = "trap 'echo term; exit' TERM; kill -STOP $$; while :; do sleep 0.01; done";
    let output = run_script(&["-t", "0.2", "--grace", "20"], script);
    assert_eq!(output.code, Some(124), "{output:#?}");
    assert_eq!(output.stdout, "term\n");
}

#[test]
#[ignore = "needs root"]
fn the_grace_ends_with_sigkill() {
    let word = "98764.2";
    let script = format!("trap '' TERM; sleep {word}; sleep {word}");
    let output = run_script(&["-t", "0.1", "--grace", "0.1"], &script);
    assert_eq!(output.code, Some(124), "{output:#?}");
    assert_eq!(descendants_of(word), [0; 0]);
}
