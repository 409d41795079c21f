//! Words that send signals: `victim send kill 42 9`.

use std::{fs, path::Path};

use crate::{
    Words, number,
    sys::{process, signal},
};

/// See `main::act`.
pub(crate) fn act(words: Words) {
    match *words {
        ["send", "cgroup.kill", directory] => {
            fs::write(Path::new(directory).join("cgroup.kill"), "1").expect("a v2 cgroup");
        }
        // The target may be dead already; then no signal is sent.
        ["send-if-alive", pid, signal] => _ = signal::try_kill(number(pid), number(signal)),
        ["send-code", code, pid, signal] => {
            signal::queue_code(number(pid), number(signal), number(code));
        }
        ["send", how, pid, signal] => send(how, number(pid), number(signal)),
        _ => return,
    }
    process::exit(0);
}

fn send(how: &str, pid: i32, signal: i32) {
    match how {
        "kill" => signal::kill(pid, signal),
        "pidfd" => signal::pidfd_send(pid, signal),
        "tgkill" => signal::tgkill(pid, pid, signal),
        "sigqueue" => signal::sigqueue(pid, signal),
        _ => panic!("no such way to send: {how}"),
    }
}
