//! Clients of daemons that work, fail or lie: the verdict is right in every case.

mod commands;
mod faulty_daemon;
mod interrupted;
mod last;
mod records;
mod socket;
mod working_daemon;

use serde_json::Value;

fn backends(verdict: &Value) -> Vec<&str> {
    let backends = verdict["backends"].as_array().expect("a list");
    backends.iter().filter_map(Value::as_str).collect()
}

/// An exit line as a daemon sends it.
fn exit_line(pid: u32) -> String {
    let line = serde_json::json!({
        "schema": 1, "type": "exit", "time": "2026-01-02T03:04:05.678901234Z",
        "boottime_ns": 183_000_000, "pid": pid, "tid": pid, "ppid": 1, "uid": 0,
        "comm": "fake-daemon", "start_boottime_ns": 1_000_000, "group_dead": true, "leader": true,
        "status": {"kind": "signaled", "code": null, "signal": "SIGKILL", "number": 9,
            "core_dumped": false},
        "age_ns": 182_000_000, "cgroup": {"hierarchy": 0, "id": 7, "path": "/x"},
        "container": null,
        "killed_by": {"pid": 9, "comm": "runc", "uid": 0, "signal": "SIGKILL", "via": "kill",
            "cause": null},
        "oom": false, "usage": {"user_ns": 1, "system_ns": 2, "max_rss_bytes": 4096},
        "ns": {"pid": 1, "pid_ns": 2},
    });
    format!("{line}\n")
}

/// The last line of a wait as a daemon sends it.
const VERDICT: &str = "{\"type\":\"wait\",\"outcome\":\"done\",\"woken_by\":\"ring\",\
    \"exact\":true,\"elapsed_ns\":1,\"met\":1,\"exits\":0,\"lost\":0,\"survivors\":[]}\n";
