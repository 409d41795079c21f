//! [`Hub`]: waits share it, outlive it and outlive its ring reader.

use std::fs;

use probe_tests::{Cgroup, DEADLINE, Deadline, Victim};
use probe_user::{
    model::{Backend, Until},
    unstable::wait::{Hub, Target, WokenBy},
};
use rustix::process::Signal;
use tokio::time::timeout;

use super::{arm, best, block_on, descriptors, descriptors_of, met, poll_once, until, with_bpf};

#[test]
#[ignore = "needs root"]
fn dropping_the_hub_detaches_bpf_and_waits_continue() {
    let parent = Cgroup::v2("hub");
    let cgroup = parent.sub("below");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    block_on(async {
        let hub = with_bpf().await;
        let mut wait = arm(&hub, &cgroup);
        assert!(poll_once(wait.met()).await.is_none());
        assert!(descriptors_of("bpf") > 0);
        drop(hub);
        until("no BPF descriptor is open", || descriptors_of("bpf") == 0).await;
        assert!(poll_once(wait.met()).await.is_none());
        cgroup.kill();
        let met = timeout(DEADLINE, wait.met())
            .await
            .expect("within the deadline");
        let met = met.expect("the state is readable");
        assert!(met.exact);
        assert_ne!(met.woken_by, Some(WokenBy::Ring), "the ring is closed");
    });
    victim.wait();
}

/// Kills and removes a cgroup while the kernel delays its notification: a waiter that
/// relies on the notification alone is never woken.
fn end_without_notification(cgroup: &Cgroup, victim: &mut Victim) {
    cgroup.freeze();
    cgroup.kill();
    while fs::remove_dir(cgroup.path()).is_err() {
        std::thread::yield_now();
    }
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn a_wait_continues_after_the_ring_reader_fails() {
    let parent = Cgroup::v2("unread");
    let cgroup = parent.sub("below");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    block_on(async {
        let hub = with_bpf().await;
        let mut wait = arm(&hub, &cgroup);
        assert!(poll_once(wait.met()).await.is_none());
        hub.fail_ring_reader();
        until("the hub has given up BPF", || !hub.has_bpf()).await;
        // A separate thread closes the programs, because closing takes the kernel long.
        until("no program is open", || descriptors_of("bpf-prog") == 0).await;
        assert!(poll_once(wait.met()).await.is_none());
        end_without_notification(&cgroup, &mut victim);
        let met = timeout(DEADLINE, wait.met())
            .await
            .expect("within the deadline");
        let woken_by = met.expect("the state is readable").woken_by;
        assert_ne!(woken_by, Some(WokenBy::Ring), "the ring is closed");
    });
}

#[test]
#[ignore = "needs root"]
fn a_runtime_that_ends_leaves_no_open_descriptor() {
    let cgroup = Cgroup::v2("ends");
    let _victim = Victim::spawn(&["pause"], Some(&cgroup));
    // The first runtime opens a few descriptors that tokio keeps for the whole process.
    block_on(async {});
    let before = descriptors().len();
    block_on(async {
        let hub = best().await;
        let mut wait = arm(&hub, &cgroup);
        assert!(poll_once(wait.met()).await.is_none());
        // Hub, wait and runtime are dropped while their tasks run.
    });
    // The loader's thread may still be ending, and it holds a waker.
    Deadline::start().until("no more files are open than before", || {
        descriptors().len() <= before
    });
}

#[test]
#[ignore = "needs root"]
fn hubs_are_independent_of_each_other() {
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
fn a_polling_hub_opens_no_pidfd_and_its_waits_are_met() {
    block_on(async {
        for condition in [Until::Exited, Until::Reaped] {
            let mut victim = Victim::spawn(&["pause"], None);
            let hub = Hub::start(Backend::Poll);
            let target = Target::process(victim.pid()).expect("the process is alive");
            let mut wait = hub.arm(target, condition).expect("the process is alive");
            assert_eq!(descriptors_of("pidfd"), 0, "{:#?}", descriptors());
            assert!(poll_once(wait.met()).await.is_none());
            victim.signal(Signal::KILL);
            if condition == Until::Reaped {
                assert!(poll_once(wait.met()).await.is_none());
                victim.wait();
            }
            met(&mut wait).await;
            victim.wait();
            // A process that is gone before the wait is armed.
            let mut victim = Victim::spawn(&["pause"], None);
            let target = Target::process(victim.pid()).expect("the process is alive");
            victim.signal(Signal::KILL);
            victim.wait();
            let mut wait = hub
                .arm(target, condition)
                .expect("a target that is gone can be armed");
            met(&mut wait).await;
        }
    });
}
