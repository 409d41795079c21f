//! Dies, in every way that has a name: `victim exit 3`, `victim signal 11`.
//!
//! Words before the verb change the process first: `victim held as 1000 pause`.

mod sys;

use std::io::{self, Read};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    loop {
        match args.as_slice() {
            ["held", rest @ ..] => {
                held();
                args = rest.to_vec();
            }
            ["exit", code] => sys::exit(number(code)),
            ["signal", signal] => sys::kill(sys::getpid(), number(signal)),
            ["pause"] => pause(),
            _ => panic!("unknown way to die: {args:?}"),
        }
    }
}

fn number(text: &str) -> i32 {
    text.parse()
        .unwrap_or_else(|_| panic!("not a number: {text}"))
}

/// The harness writes a line when the victim may go on.
fn held() {
    let mut line = [0];
    if io::stdin().read_exact(&mut line).is_err() {
        sys::exit(0);
    }
}

/// Until killed, or until the harness is gone.
fn pause() {
    held();
    sys::exit(0);
}
