//! The report of `probe run`.

use probe_tests::{Output, conditions, probe_in, requirements, schema};
use serde_json::Value;

use super::{run, run_script};

/// The report that `--json` printed, validated against its schema.
fn report(output: &Output) -> Value {
    let mut lines = output.stderr.lines().filter(|it| it.starts_with('{'));
    let line = lines
        .next()
        .unwrap_or_else(|| panic!("no report in {output:#?}"));
    let report = serde_json::from_str(line).expect("JSON");
    schema::validate(&report);
    report
}

#[test]
#[ignore = "needs root"]
fn the_report_names_status_leftovers_and_cpu_time() {
    let output = run_script(&["--json"], "sleep 98759 & exit 3");
    let line = report(&output);
    assert_eq!(line["outcome"], "done");
    assert_eq!(line["exit_code"], 3);
    assert_eq!(line["status"]["code"], 3);
    let leftover = &line["leftovers"][0];
    assert_eq!(
        (&leftover["action"], &line["leftovers"][1]),
        (&"killed".into(), &Value::Null)
    );
    assert!(line["cpu"]["usage_ns"].as_u64() > Some(0), "{line}");
    assert!(
        line["cgroup"]
            .as_str()
            .expect("a path")
            .contains("/probe-run-")
    );
    assert!(
        line["elapsed_ns"].as_u64() >= line["command_ns"].as_u64(),
        "{line}"
    );
    let line = report(&run(&["--json", "--", "sh", "-c", "kill -9 $$"]));
    assert_eq!(line["status"]["signal"], "SIGKILL");
    let line = report(&run(&["--json", "-t", "0.1", "--", "sleep", "98759"]));
    assert_eq!(
        (&line["outcome"], &line["exit_code"]),
        (&"timeout".into(), &124.into())
    );
    let line = report(&run_script(
        &["--json", "--leftover", "fail"],
        "sleep 98759 &",
    ));
    assert_eq!(
        (&line["outcome"], &line["exit_code"]),
        (&"leftovers".into(), &123.into())
    );
}

#[test]
#[ignore = "needs root"]
fn the_report_goes_to_a_file_or_a_descriptor() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("report");
    let path = file.to_str().expect("UTF-8");
    let output = run(&["--report", path, "--", "echo", "data"]);
    assert_eq!((&*output.stdout, &*output.stderr), ("data\n", ""));
    let text = std::fs::read_to_string(&file).expect("it is written");
    schema::validate(&serde_json::from_str(&text).expect("JSON"));
    let probe = conditions::unrestricted(&["run", "--report", "/dev/fd/3"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "exec \"$@\" 3> \"$0\"", path]);
    shell
        .arg(probe.get_program())
        .args(probe.get_args())
        .args(["--", "true"]);
    assert_eq!(probe_in(&mut shell).code, Some(0));
    assert!(
        std::fs::read_to_string(&file)
            .expect("it is written")
            .contains("\"run\"")
    );
}

#[test]
#[ignore = "needs root"]
fn verbose_tells_times_and_memory() {
    let output = run(&["-v", "--", "true"]);
    assert!(
        output.stderr.contains("true exited with 0 after"),
        "{output:#?}"
    );
    assert!(output.stderr.contains("CPU time"), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn records_name_the_senders_of_fatal_signals() {
    requirements::require_bpf();
    let script = "sleep 98759 & sh -c 'kill -USR1 $1' sh $$";
    let output = run_script(&["--records", "--json"], script);
    assert_eq!(output.code, Some(138), "{output:#?}");
    let line = report(&output);
    assert_eq!(line["killed_by"]["signal"], "SIGUSR1", "{line}");
    assert_eq!(line["killed_by"]["comm"], "sh", "{line}");
    assert_eq!(line["leftovers"][0]["killed_by"]["comm"], "probe", "{line}");
    assert!(output.stderr.contains("SIGUSR1 from sh["), "{output:#?}");
    let output = probe_in(&mut conditions::without_bpf_capabilities(&[
        "run",
        "--records",
        "--",
        "true",
    ]));
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert!(output.stderr.contains("are unknown"), "{output:#?}");
}
