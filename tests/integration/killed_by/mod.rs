//! Who ended it: the sender where there is one, the reason where it can be
//! told, and nobody rather than a stranger.

mod kernel;
mod sender;
mod several;
mod tracer;

use probe_tests::Victim;
use serde_json::{Value, json};

/// What `killed_by` must be for a signal that a process sent.
fn by(pid: u32, comm: &str, signal: &str, via: &str) -> Value {
    json!({"pid": pid, "comm": comm, "uid": 0, "signal": signal, "via": via, "cause": null})
}

/// What it must be where no process did.
fn by_no_process(signal: &str, via: &str, cause: Option<&str>) -> Value {
    json!({
        "pid": null, "comm": null, "uid": null, "signal": signal, "via": via, "cause": cause,
    })
}

/// Sends from a process of its own, which is reaped when this returns.
fn send(words: &[&str]) -> u32 {
    let mut sender = Victim::start(words, None);
    assert_eq!(sender.wait(), 0, "{words:?}");
    sender.pid()
}

fn send_to(how: &str, victim: &Victim, signal: &str) -> u32 {
    send(&["send", how, &victim.pid().to_string(), signal])
}

/// Name of the task that runs the test.
fn own_comm() -> String {
    let comm = std::fs::read_to_string("/proc/thread-self/comm").expect("/proc is mounted");
    comm.trim_end().to_owned()
}
