//! [`Hub`]: waits share it, outlive it and outlive its ring reader.

use probe_tests::{Cgroup, Deadline, Victim};
use probe_user::{
    model::{Backend, Until},
    unstable::{
        bpf::load::Plan,
        wait::{Hub, Target, WokenBy},
    },
};
use rustix::process::Signal;

use super::{
    arm, arm_process, assert_met, assert_pending, best, block_on, descriptors, descriptors_of,
    joined, met, until,
};

#[test]
#[ignore = "needs root"]
fn dropping_the_hub_detaches_bpf_and_waits_continue() {
    let parent = Cgroup::v2("hub");
    let (cgroup, mut victim) = Victim::inside(parent.sub("below"));
    block_on(async {
        let hub = joined(Plan::decisive()).await.0;
        let mut wait = arm(&hub, &cgroup);
        assert_pending(&mut wait).await;
        assert!(descriptors_of("bpf") > 0);
        drop(hub);
        until("no BPF descriptor is open", || descriptors_of("bpf") == 0).await;
        assert_pending(&mut wait).await;
        cgroup.kill();
        let met = met(&mut wait).await;
        assert!(met.exact);
        assert_ne!(met.woken_by, Some(WokenBy::Ring), "the ring is closed");
    });
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn a_wait_continues_after_the_ring_reader_fails() {
    let parent = Cgroup::v2("unread");
    let (cgroup, mut victim) = Victim::inside(parent.sub("below"));
    block_on(async {
        let hub = joined(Plan::decisive()).await.0;
        let mut wait = arm(&hub, &cgroup);
        assert_pending(&mut wait).await;
        hub.fail_ring_reader();
        until("the hub has given up BPF", || !hub.has_bpf()).await;
        // A separate thread closes the programs, because closing takes the kernel long.
        until("no program is open", || descriptors_of("bpf-prog") == 0).await;
        assert_pending(&mut wait).await;
        // The kernel delays the notification after the freeze, and cancels it at the removal:
        // a wait that relies on the notification alone is never woken.
        cgroup.freeze();
        cgroup.kill();
        cgroup.remove_when_empty();
        victim.wait();
        let woken_by = met(&mut wait).await.woken_by;
        assert_ne!(woken_by, Some(WokenBy::Ring), "the ring is closed");
    });
}

#[test]
#[ignore = "needs root"]
fn a_runtime_that_ends_leaves_no_open_descriptor() {
    let (cgroup, _victim) = Victim::in_v2("ends");
    // The first runtime opens a few descriptors that tokio keeps for the whole process.
    block_on(async {});
    let before = descriptors().len();
    block_on(async {
        let hub = best().await;
        let mut wait = arm(&hub, &cgroup);
        assert_pending(&mut wait).await;
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
    let (cgroup, mut victim) = Victim::in_v2("hubs");
    block_on(async {
        let hubs = [
            best().await,
            Hub::start(Backend::Pidfd),
            Hub::start(Backend::Poll),
        ];
        let mut waits: Vec<_> = hubs.iter().map(|hub| arm(hub, &cgroup)).collect();
        for wait in &mut waits {
            assert_pending(wait).await;
        }
        cgroup.kill();
        for wait in &mut waits {
            assert_met(wait).await;
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
            let mut wait = arm_process(&hub, &victim, condition);
            assert_eq!(descriptors_of("pidfd"), 0, "{:#?}", descriptors());
            assert_pending(&mut wait).await;
            victim.signal(Signal::KILL);
            if condition == Until::Reaped {
                assert_pending(&mut wait).await;
                victim.wait();
            }
            assert_met(&mut wait).await;
            victim.wait();
            // A process that is gone before the wait is armed.
            let mut victim = Victim::spawn(&["pause"], None);
            let target = Target::process(victim.pid()).expect("the process is alive");
            victim.kill();
            let mut wait = hub.arm(target, condition).expect("gone is not an error");
            assert_met(&mut wait).await;
        }
    });
}
