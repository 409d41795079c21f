//! The kernel delays the notification of `cgroup.events` after another change of the file,
//! and cancels it if the cgroup is removed meanwhile: other sources wake the wait.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    thread,
};

use probe_tests::{
    Cgroup, Deadline, Victim, Waiting, assert_fields, boottime_ns, kernel, requirements, scale,
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    process::Signal,
};

use serde_json::json;

use super::{BACKENDS, done};

/// How long the kernel delays a second notification.
const RATE_LIMIT_NS: u64 = 10_000_000;

#[test]
#[ignore = "needs root"]
fn after_freeze_kill_and_thaw_the_ring_wakes_before_the_late_notification() {
    let (_, condition) = BACKENDS[0];
    let rounds = scale::rounds(20);
    let (mut quick, mut by_ring) = (0, 0);
    for _ in 0..rounds {
        let cgroup = Cgroup::v2("limited");
        let mut victims = [(); 3].map(|()| Victim::paused(&cgroup));
        let waiting = Waiting::for_cgroup(condition, &cgroup);
        cgroup.freeze();
        let notified_ns = boottime_ns();
        cgroup.kill();
        cgroup.write("cgroup.freeze", "0");
        cgroup.wait_empty();
        // On a busy machine the victims may die so slowly that nothing is delayed.
        let is_quick = boottime_ns() - notified_ns < RATE_LIMIT_NS / 2;
        let woken_by = &done(waiting)["woken_by"];
        quick += u32::from(is_quick);
        by_ring += u32::from(is_quick && woken_by == "ring");
        assert_eq!(victims.each_mut().map(Victim::wait), [9; 3]);
    }
    if quick == 0 && scale::is_emulated() {
        kernel::inapplicable("the machine is too slow for a notification to be delayed");
    }
    assert!(quick > 0, "all of {rounds} rounds were too slow");
    // The notification of the freeze may wake the wait so late that the cgroup is empty.
    assert!(by_ring * 2 > quick, "{by_ring} of {quick}");
}

/// A thread in a plain `poll(2)` on `cgroup.events`, as other programs wait.
struct Sleeper {
    stop: io::PipeWriter,
    thread: thread::JoinHandle<u64>,
}

impl Sleeper {
    fn start(cgroup: &Cgroup) -> Self {
        let mut events = File::open(cgroup.file("cgroup.events")).expect("v2 has this file");
        let (stopped, stop) = io::pipe().expect("a pipe");
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            // A file that was not read is always ready.
            events.read_to_string(&mut String::new()).expect("readable");
            let own = OwnedFd::from(stopped);
            sender.send(rustix::thread::gettid()).expect("a receiver");
            let mut fds = [
                PollFd::new(&events, PollFlags::PRI),
                PollFd::new(&own, PollFlags::IN),
            ];
            poll(&mut fds, None).expect("two descriptors");
            boottime_ns()
        });
        let tid = receiver.recv().expect("a tid").as_raw_nonzero();
        let stat = format!("/proc/self/task/{tid}/stat");
        // A late notification of the freeze may have woken it already.
        Deadline::start().until("the thread sleeps", || {
            thread.is_finished()
                || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))
        });
        Self { stop, thread }
    }

    /// Whether nothing has woken the thread yet.
    fn still_sleeps(mut self) -> bool {
        let now = boottime_ns();
        // The write fails if the thread has ended.
        let _woken = self.stop.write_all(b"\n");
        self.thread.join().expect("the thread does not panic") > now
    }
}

#[test]
#[ignore = "needs root"]
fn a_removal_that_cancels_the_notification_wakes_a_wait_but_not_a_plain_poll() {
    for (backend, condition) in BACKENDS {
        let (mut cancelled, mut by_other) = (0, 0);
        for _ in 0..scale::rounds(10) {
            let parent = Cgroup::v2("cancelled");
            let (cgroup, mut victim) = Victim::inside(parent.sub("below"));
            let waiting = Waiting::for_cgroup(condition, &cgroup);
            cgroup.freeze();
            let sleeper = Sleeper::start(&cgroup);
            cgroup.kill();
            cgroup.write("cgroup.freeze", "0");
            cgroup.remove_when_empty();
            let verdict = done(waiting);
            victim.wait();
            if sleeper.still_sleeps() {
                cancelled += 1;
                // The notification of the freeze may wake the wait so late that the cgroup is gone.
                by_other += u32::from(verdict["woken_by"] != "events");
                let backend = requirements::available_backend(backend);
                assert_fields(&verdict, &json!({"backend": backend}));
            }
        }
        if cancelled == 0 {
            kernel::inapplicable("the notification was cancelled in no round");
        }
        assert!(by_other * 2 > cancelled, "{by_other} of {cancelled}");
    }
}

/// The event of the parent directory does not depend on the notification.
#[test]
#[ignore = "needs root"]
fn inotify_on_the_parent_reports_a_removal_that_cancels_the_notification() {
    for _ in 0..scale::rounds(10) {
        let parent = Cgroup::v2("parent");
        let (cgroup, mut victim) = Victim::inside(parent.sub("below"));
        let watch = inotify::init(CreateFlags::NONBLOCK).expect("an inotify instance");
        inotify::add_watch(&watch, parent.path(), WatchFlags::DELETE).expect("a directory");
        cgroup.freeze();
        victim.signal(Signal::KILL);
        cgroup.write("cgroup.freeze", "0");
        cgroup.remove_when_empty();
        let mut bytes = [std::mem::MaybeUninit::uninit(); 512];
        let mut events = inotify::Reader::new(&watch, &mut bytes);
        let event = events.next().expect("an event when rmdir returns");
        let flags = ReadFlags::DELETE | ReadFlags::ISDIR;
        assert!(event.events().contains(flags), "{event:?}");
        assert_eq!(event.file_name(), Some(c"below"));
        victim.wait();
    }
}
