//! What waits share, and what is left of them without it.

use std::fs;

use probe_tests::{Cgroup, DEADLINE, Deadline, Victim};
use probe_user::{
    model::{Backend, Until},
    unstable::wait::{Hub, Target, WokenBy},
};
use rustix::process::Signal;
use tokio::time::timeout;

use super::{arm, best, block_on, descriptors, leading_to, met, poll_once, until, with_bpf};

#[test]
#[ignore = "needs root"]
fn dropping_the_hub_detaches_bpf_and_waits_go_on() {
    let parent = Cgroup::v2("hub");
    let cgroup = parent.sub("below");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    block_on(async {
        let hub = with_bpf().await;
        let mut wait = arm(&hub, &cgroup);
        assert!(poll_once(wait.met()).await.is_none());
        assert!(leading_to("bpf") > 0);
        drop(hub);
        until("no program is left", || leading_to("bpf") == 0).await;
        assert!(poll_once(wait.met()).await.is_none());
        cgroup.kill();
        let met = timeout(DEADLINE, wait.met()).await.expect("in time");
        let met = met.expect("the state can be read");
        assert!(met.exact);
        assert_ne!(met.woken_by, Some(WokenBy::Ring), "there is none any more");
    });
    victim.wait();
}

/// Somebody else removes the cgroup while its notification is held back: who
/// relies on that alone is never woken.
fn end_untold(cgroup: &Cgroup, victim: &mut Victim) {
    cgroup.freeze();
    cgroup.kill();
    while fs::remove_dir(cgroup.path()).is_err() {
        std::thread::yield_now();
    }
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn a_ring_that_nobody_reads_any_more_leaves_the_wait_to_others() {
    let parent = Cgroup::v2("unread");
    let cgroup = parent.sub("below");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    block_on(async {
        let hub = with_bpf().await;
        let mut wait = arm(&hub, &cgroup);
        assert!(poll_once(wait.met()).await.is_none());
        hub.fail_ring_reader();
        until("the hub has given up BPF", || !hub.has_bpf()).await;
        // A thread of its own closes the programs, so that a wait does not wait for the kernel.
        until("no program is open", || leading_to("bpf-prog") == 0).await;
        assert!(poll_once(wait.met()).await.is_none());
        end_untold(&cgroup, &mut victim);
        let met = timeout(DEADLINE, wait.met()).await.expect("in time");
        let woken_by = met.expect("the state can be read").woken_by;
        assert_ne!(woken_by, Some(WokenBy::Ring), "there is none any more");
    });
}

#[test]
#[ignore = "needs root"]
fn a_runtime_that_ends_leaves_nothing_behind() {
    let cgroup = Cgroup::v2("ends");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    // tokio has a few for the whole process, which come with its first runtime.
    block_on(async {});
    let before = descriptors().len();
    block_on(async {
        let hub = best().await;
        let mut wait = arm(&hub, &cgroup);
        assert!(poll_once(wait.met()).await.is_none());
        // Both go while their tasks run, and so does the runtime.
    });
    // The loader's thread may still be on its way out with a waker in its hand.
    Deadline::start().until("no more files are open than before", || {
        descriptors().len() <= before
    });
}

#[test]
#[ignore = "needs root"]
fn hubs_know_nothing_of_each_other() {
    let cgroup = Cgroup::v2("hubs");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    block_on(async {
        let hubs = [
            best().await,
            Hub::start(Backend::Pidfd),
            Hub::start(Backend::Poll),
        ];
        let mut waits: Vec<_> = hubs.iter().map(|hub| arm(hub, &cgroup)).collect();
        for wait in &mut waits {
            assert!(poll_once(wait.met()).await.is_none());
        }
        cgroup.kill();
        for wait in &mut waits {
            met(wait).await;
        }
    });
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn a_hub_that_polls_holds_no_pidfd_and_its_waits_are_as_right() {
    block_on(async {
        for condition in [Until::Exited, Until::Reaped] {
            let mut victim = Victim::spawn(&["pause"], None);
            let hub = Hub::start(Backend::Poll);
            let target = Target::process(victim.pid()).expect("it lives");
            let mut wait = hub.arm(target, condition).expect("it lives");
            assert_eq!(leading_to("pidfd"), 0, "{:#?}", descriptors());
            assert!(poll_once(wait.met()).await.is_none());
            victim.signal(Signal::KILL);
            if condition == Until::Reaped {
                assert!(poll_once(wait.met()).await.is_none());
                victim.wait();
            }
            met(&mut wait).await;
            victim.wait();
            // One that is gone before it is armed.
            let mut victim = Victim::spawn(&["pause"], None);
            let target = Target::process(victim.pid()).expect("it lives");
            victim.signal(Signal::KILL);
            victim.wait();
            let mut wait = hub.arm(target, condition).expect("gone is no failure");
            met(&mut wait).await;
        }
    });
}
