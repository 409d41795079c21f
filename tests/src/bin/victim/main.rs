//! Dies in every way that has a name: `victim exit 3`, `victim signal 11`.
//!
//! Words before the last verb change the process or add relatives:
//! `victim held as 1000 threads 9 in-thread abort`. A parent reports the result of `waitpid` as
//! a JSON line on stdout. Each file has one kind of word; system calls are in `sys`.

mod change;
mod death;
mod many;
mod pids;
mod relatives;
mod sender;
mod stuck;
mod sys;
mod threads;
mod tracer;

use std::io::{self, Read, Write};

use serde_json::Value;

/// The rest of the command line.
type Words = &'static [&'static str];

fn main() {
    sys::signal::all_default();
    let words = std::env::args().skip(1).map(|word| &*word.leak());
    act(words.collect::<Vec<_>>().leak())
}

/// Executes the words. The `act` of each file returns only if the first word is not one of its
/// words.
fn act(words: Words) -> ! {
    if let Some(rest) = change::apply(words) {
        act(rest);
    }
    threads::act(words);
    relatives::act(words);
    tracer::act(words);
    many::act(words);
    sender::act(words);
    pids::act(words);
    stuck::act(words);
    death::act(words);
    panic!("no such way to die: {words:?}");
}

fn number<N: std::str::FromStr>(word: &str) -> N {
    word.parse()
        .unwrap_or_else(|_| panic!("not a number: {word}"))
}

/// Returns when the harness writes a line. The process exits when the harness ends.
fn held() {
    let mut line = [0];
    if io::stdin().read_exact(&mut line).is_err() {
        sys::process::exit(0);
    }
}

fn report(line: &Value) {
    // One write, because parents and children share the pipe.
    let line = format!("{line}\n");
    io::stdout()
        .write_all(line.as_bytes())
        .expect("the harness reads");
}
