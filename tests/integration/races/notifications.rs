//! `cgroup.events` tells late after another change of the file, and never if
//! the cgroup is removed meanwhile: who else tells.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::Path,
    thread,
};

use probe_tests::{Cgroup, Deadline, Victim, boottime_ns, kernel, requirements, scale};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    process::Signal,
};

use super::{BACKENDS, armed, verdict};

/// How long the kernel keeps back a second notification.
const RATE_LIMIT_NS: u64 = 10_000_000;

#[test]
#[ignore = "needs root"]
fn after_freeze_kill_and_thaw_the_ring_tells_and_not_the_late_notification() {
    let (_, condition) = BACKENDS[0];
    let rounds = scale::rounds(20);
    let (mut quick, mut by_ring) = (0, 0);
    for _ in 0..rounds {
        let cgroup = Cgroup::v2("limited");
        let mut victims = [(); 3].map(|()| Victim::spawn(&["pause"], Some(&cgroup)));
        let waiting = armed(condition, &["--cgroup", cgroup.path()]);
        cgroup.freeze();
        let notified_ns = boottime_ns();
        cgroup.kill();
        cgroup.write("cgroup.freeze", "0");
        cgroup.wait_empty();
        // On a busy machine they may die so slowly that nothing is held back.
        let is_quick = boottime_ns() - notified_ns < RATE_LIMIT_NS / 2;
        let verdict = verdict(&waiting.finish(), "done");
        quick += u32::from(is_quick);
        by_ring += u32::from(is_quick && verdict["woken_by"] == "ring");
        for victim in &mut victims {
            victim.wait();
        }
    }
    if quick == 0 && scale::is_emulated() {
        kernel::inapplicable("the machine is too slow for a notification to be held back");
    }
    assert!(quick > 0, "all of {rounds} rounds were too slow");
    // Who is woken by the freezing itself may look so late that all is over.
    assert!(by_ring * 2 > quick, "{by_ring} of {quick}");
}

/// A `poll(2)` on `cgroup.events`, as others wait.
struct Sleeper {
    stop: io::PipeWriter,
    thread: thread::JoinHandle<u64>,
}

impl Sleeper {
    fn start(cgroup: &Cgroup) -> Self {
        let mut events = File::open(cgroup.file("cgroup.events")).expect("v2 has it");
        let (stopped, stop) = io::pipe().expect("a pipe");
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            // Without having been read it is always ready.
            events.read_to_string(&mut String::new()).expect("readable");
            let own = OwnedFd::from(stopped);
            tell.send(rustix::thread::gettid()).expect("it waits");
            let mut fds = [
                PollFd::new(&events, PollFlags::PRI),
                PollFd::new(&own, PollFlags::IN),
            ];
            poll(&mut fds, None).expect("two descriptors");
            boottime_ns()
        });
        let tid = told.recv().expect("it tells").as_raw_nonzero();
        let stat = format!("/proc/self/task/{tid}/stat");
        // Or the freezing is told late, and has woken it already.
        Deadline::start().until("it sleeps", || {
            thread.is_finished()
                || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))
        });
        Self { stop, thread }
    }

    /// Whether nothing has woken it yet.
    fn was_forgotten(mut self) -> bool {
        let now = boottime_ns();
        // It has closed the other end if it is over.
        let _woken = self.stop.write_all(b"\n");
        self.thread.join().expect("it does not panic") > now
    }
}

#[test]
#[ignore = "needs root"]
fn a_removal_that_cancels_the_notification_leaves_only_the_bare_poll_asleep() {
    for (backend, condition) in BACKENDS {
        let mut forgotten = 0;
        let rounds = scale::rounds(10);
        for _ in 0..rounds {
            let parent = Cgroup::v2("cancelled");
            let cgroup = parent.sub("below");
            let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
            let waiting = armed(condition, &["--cgroup", cgroup.path()]);
            cgroup.freeze();
            let sleeper = Sleeper::start(&cgroup);
            cgroup.kill();
            cgroup.write("cgroup.freeze", "0");
            while fs::remove_dir(cgroup.path()).is_err() {
                thread::yield_now();
            }
            let verdict = verdict(&waiting.finish(), "done");
            victim.wait();
            if sleeper.was_forgotten() {
                forgotten += 1;
                assert_ne!(verdict["woken_by"], "events", "{verdict}");
                assert_eq!(verdict["backend"], requirements::available_backend(backend));
            }
        }
        if forgotten == 0 {
            kernel::inapplicable(&format!("the trap was set in none of {rounds} rounds"));
        }
    }
}

/// What the parent directory tells is independent of the notification.
#[test]
#[ignore = "needs root"]
fn inotify_on_the_parent_tells_of_a_removal_that_cancels_the_notification() {
    for _ in 0..scale::rounds(10) {
        let parent = Cgroup::v2("parent");
        let cgroup = parent.sub("below");
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let watch = inotify::init(CreateFlags::NONBLOCK).expect("an inotify instance");
        inotify::add_watch(&watch, parent.path(), WatchFlags::DELETE).expect("a directory");
        cgroup.freeze();
        victim.signal(Signal::KILL);
        cgroup.write("cgroup.freeze", "0");
        while fs::remove_dir(cgroup.path()).is_err() {
            thread::yield_now();
        }
        let mut bytes = [std::mem::MaybeUninit::uninit(); 512];
        let mut events = inotify::Reader::new(&watch, &mut bytes);
        let event = events.next().expect("it is there when rmdir returns");
        assert!(
            event
                .events()
                .contains(ReadFlags::DELETE | ReadFlags::ISDIR)
        );
        let name = event.file_name().expect("of a directory's child");
        assert_eq!(Path::new(name.to_str().expect("UTF-8")), Path::new("below"));
        victim.wait();
    }
}
