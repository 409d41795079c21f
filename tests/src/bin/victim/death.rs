//! Words that end the process.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use crate::{
    Words, change, held, number,
    sys::{fault, process, seccomp, signal, timer},
    threads,
};

/// Delay of a timer: long enough for the process to wait for the signal.
const SOON: Duration = Duration::from_millis(20);

/// See `main::act`.
pub(crate) fn act(words: Words) {
    match *words {
        // Further words only make the command line longer.
        ["exit", code, ..] => process::exit(number(code)),
        ["exit-thread", code] => process::exit_thread(number(code)),
        ["signal", signal] => signal::kill(process::getpid(), number(signal)),
        ["signal-code", code, signal] => {
            signal::queue_code(process::getpid(), number(signal), number(code));
        }
        // A child ends, and the kernel sends this signal in place of SIGCHLD.
        ["exit-signal", signal] => {
            if process::fork_with(number(signal)).is_none() {
                process::exit(0);
            }
        }
        ["raise", signal] => signal::raise(number(signal)),
        ["abort"] => signal::abort(),
        ["alarm"] => wait_for(|| timer::interval_timer(libc::ITIMER_REAL, SOON)),
        ["posix-timer", signal] => wait_for(|| timer::posix_timer(number(signal), SOON)),
        ["cpu-timer", "virtual"] => timer::interval_timer(libc::ITIMER_VIRTUAL, SOON),
        ["cpu-timer", "profiling"] => timer::interval_timer(libc::ITIMER_PROF, SOON),
        ["pause" | "spin"] => {}
        ["pipe"] => write_to_closed_pipe(),
        ["readable"] => receive_sigio(),
        ["fill", path] => fill(path),
        ["eat"] => eat_all(),
        ["fault", kind] => fault(kind),
        _ => return,
    }
    if matches!(words, ["spin"] | ["cpu-timer", _]) {
        spin();
    }
    // The process waits until it is killed or the harness ends.
    held();
    process::exit(0);
}

fn fault(kind: &str) {
    match kind {
        "segv" => fault::segv(),
        "protection" => fault::protection(),
        "ill" => fault::ill(),
        "trap" => fault::trap(),
        "fpe" => fault::fpe(),
        "bus" => fault::bus(),
        "seccomp" => {
            seccomp::forbid_getppid();
            process::getppid();
        }
        "strict" => {
            seccomp::be_strict();
            process::getppid();
        }
        _ => panic!("no such fault: {kind}"),
    }
}

fn wait_for(timer: impl FnOnce()) {
    timer();
    threads::idle();
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Ends by SIGPIPE.
fn write_to_closed_pipe() {
    let (reader, mut writer) = io::pipe().expect("the kernel makes a pipe");
    drop(reader);
    let written = writer.write(b"\n");
    panic!("the pipe has no reader, but the write returned {written:?}");
}

/// Ends by SIGIO, while a child is running.
fn receive_sigio() -> ! {
    let (reader, mut writer) = UnixStream::pair().expect("the kernel makes sockets");
    signal::when_readable(&reader);
    if process::fork().is_none() {
        writer
            .write_all(b"\n")
            .expect("the parent has the other end");
        process::exit(0);
    }
    threads::idle();
}

/// Ends by SIGXFSZ: writes more than `limit fsize` allows.
fn fill(path: &str) {
    let mut file = std::fs::File::create(path).expect("the harness made the directory");
    while file.write(&[0; 1024]).is_ok() {}
}

/// Uses memory until the out-of-memory killer ends the process.
fn eat_all() -> ! {
    loop {
        change::eat(1);
    }
}
