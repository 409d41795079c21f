//! Timers that send signals.

use std::{mem::zeroed, ptr, time::Duration};

use super::check;

fn microseconds(time: Duration) -> libc::suseconds_t {
    libc::suseconds_t::try_from(time.as_micros()).expect("less than a second")
}

/// Starts `ITIMER_REAL`, `ITIMER_VIRTUAL` or `ITIMER_PROF` once.
pub(crate) fn interval_timer(which: libc::c_int, after: Duration) {
    // SAFETY: plain integers, for which zero is a value.
    let mut timer: libc::itimerval = unsafe { zeroed() };
    timer.it_value.tv_usec = microseconds(after);
    // SAFETY: the new value is only read, and the old one is not requested.
    let result = unsafe { libc::setitimer(which, &raw const timer, ptr::null_mut()) };
    check("setitimer", result.into());
}

/// Starts a POSIX timer that sends a signal to the process once.
pub(crate) fn posix_timer(signal: i32, after: Duration) {
    // SAFETY: numbers and null pointers, for which zero is a value.
    let mut event: libc::sigevent = unsafe { zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = signal;
    let mut timer: libc::timer_t = ptr::null_mut();
    // SAFETY: the kernel reads the event and writes the id; both are ours.
    let result =
        unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
    check("timer_create", result.into());
    // SAFETY: plain integers, for which zero is a value.
    let mut once: libc::itimerspec = unsafe { zeroed() };
    once.it_value.tv_nsec = microseconds(after) * 1000;
    // SAFETY: the timer exists; the new value is only read.
    let result = unsafe { libc::timer_settime(timer, 0, &raw const once, ptr::null_mut()) };
    check("timer_settime", result.into());
}
