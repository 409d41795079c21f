//! Races between the waits of one program, and with the BPF programs.

use std::{future::Future, pin::pin, time::Duration};

use probe_tests::{Cgroup, DEADLINE, Victim, requirements, scale};
use probe_user::{
    model::{Backend, Filter, Until},
    unstable::{
        bpf::{hook::Hook, load::Plan, ring::Stream},
        wait::{Hub, Met, Target, Wait, WokenBy},
    },
};
use rustix::process::Signal;

/// Runs a test inside a runtime.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(test)
}

/// A hub with loaded BPF programs.
async fn joined(plan: Plan) -> (Hub, Stream) {
    requirements::require_bpf();
    let mut hub = Hub::start(Backend::Bpf);
    hub.load(plan);
    let loaded = hub.bpf().await.expect("the first call has an answer");
    (hub, loaded.expect("root may load BPF programs"))
}

fn armed(hub: &Hub, cgroup: &Cgroup, until: Until) -> Wait {
    let target = Target::cgroup(cgroup.path().as_ref()).expect("the test owns the file");
    hub.arm(target, until).expect("the cgroup can be watched")
}

async fn met(wait: &mut Wait) -> Met {
    let met = tokio::time::timeout(DEADLINE, wait.met()).await;
    met.expect("the wait is met within the deadline")
        .expect("the state is readable")
}

/// Asserts that the wait is not met: one look.
async fn assert_pending(wait: &mut Wait) {
    let met = tokio::time::timeout(Duration::ZERO, pin!(wait.met())).await;
    assert!(met.is_err(), "{met:?}");
}

/// Each with a cgroup of v2 and one of v1.
const ROUNDS: usize = 4;

#[test]
#[ignore = "needs root"]
fn dropping_a_wait_takes_no_wake_up_from_another_on_the_same_cgroup() {
    run(async {
        let (hub, _stream) = joined(Plan::decisive()).await;
        let mut by_timer = 0;
        let cgroups = || [Cgroup::v2("shared"), Cgroup::v1("pids", "shared")];
        for cgroup in [(); ROUNDS].iter().flat_map(|()| cgroups()) {
            let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
            let mut waits = [(); 3].map(|()| armed(&hub, &cgroup, Until::Empty));
            for wait in &mut waits {
                assert_pending(wait).await;
            }
            let [first, mut second, third] = waits;
            drop(first);
            drop(third);
            // Arming another wait drops the watches that are not used any more.
            drop(armed(&hub, &cgroup, Until::Empty));
            assert_pending(&mut second).await;
            victim.signal(Signal::KILL);
            let met = met(&mut second).await;
            by_timer += usize::from(met.woken_by == Some(WokenBy::Timer));
            victim.wait();
        }
        // On an emulated machine the timer may come first now and then.
        let most = scale::emulated_or(ROUNDS - 1, 0);
        assert!(by_timer <= most, "the timer was first {by_timer} times");
    });
}

/// Exits in a ring that holds two dozen of them and is not read.
fn crowded() -> Plan {
    let mut plan = Plan::decisive();
    plan.hooks.extend(Hook::EXITS);
    plan.filter = Filter::default().kernel_filter(plan.stream_bytes);
    plan
}

#[test]
#[ignore = "needs root"]
fn an_overflow_of_the_exit_stream_takes_no_wake_up_from_a_wait() {
    run(async {
        assert_eq!(crowded().stream_bytes, 4096);
        let (hub, _unread) = joined(crowded()).await;
        let (mut rounds, mut by_ring) = (0, 0);
        let least = scale::rounds(5);
        // The timer may come first, but not always; in an emulated machine it often does.
        let most = scale::emulated_or(50, least);
        while rounds < least || by_ring == 0 {
            assert!(rounds < most, "the decisive ring never woke the wait");
            rounds += 1;
            // v1 has no cgroup.events: only the ring and the timer wake the wait.
            let cgroup = Cgroup::v1("pids", "storm");
            let mut storm = Victim::spawn(&["siblings", "300", "pause"], Some(&cgroup));
            storm.release();
            let is_complete = || cgroup.procs().len() == 301;
            probe_tests::Deadline::start().until("all 301 processes are there", is_complete);
            let mut wait = armed(&hub, &cgroup, Until::Empty);
            assert_pending(&mut wait).await;
            let dropped = hub.stream_losses().dropped;
            cgroup.kill();
            let met = met(&mut wait).await;
            std::fs::remove_dir(cgroup.path())
                .unwrap_or_else(|error| panic!("{error} right after {met:?}"));
            assert!(
                hub.stream_losses().dropped > dropped,
                "the stream did not overflow"
            );
            by_ring += u32::from(met.woken_by == Some(WokenBy::Ring));
            storm.wait();
        }
    });
}

/// More records than the decisive ring holds, while it is not read, and then the record
/// that a wait needs. On v1 no `cgroup.events` reports it either.
#[test]
#[ignore = "needs root"]
fn the_timer_makes_up_for_a_lost_record_of_the_decisive_ring() {
    /// Each makes two records of 48 bytes and 8 of a header: more than 64 KiB.
    const MOVES: usize = 700;
    run(async {
        let (hub, _stream) = joined(Plan::decisive()).await;
        let parent = Cgroup::v1("pids", "lost");
        let busy = ["one", "two"].map(|name| parent.sub(name));
        let cgroup = parent.sub("last");
        let restless = Victim::spawn(&["pause"], Some(&busy[0]));
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let _watched = busy.each_ref().map(|it| armed(&hub, it, Until::Empty));
        let mut wait = armed(&hub, &cgroup, Until::Empty);
        let mut asleep = pin!(met(&mut wait));
        tokio::select! {
            biased;
            met = &mut asleep => panic!("{met:?}"),
            () = std::future::ready(()) => {}
        }
        // The ring is not read before the next await.
        for _ in 0..MOVES {
            busy[1].add(restless.pid());
            busy[0].add(restless.pid());
        }
        victim.signal(Signal::KILL);
        victim.wait();
        assert_eq!(asleep.await.woken_by, Some(WokenBy::Timer));
    });
}

#[test]
#[ignore = "needs root"]
fn waits_outlive_the_hub_that_armed_them() {
    run(async {
        for cgroup in [Cgroup::v2("hub"), Cgroup::v1("pids", "hub")] {
            let (hub, _stream) = joined(Plan::decisive()).await;
            let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
            let mut wait = armed(&hub, &cgroup, Until::Empty);
            assert_pending(&mut wait).await;
            drop(hub);
            victim.signal(Signal::KILL);
            met(&mut wait).await;
            victim.wait();
        }
    });
}

/// On v2 `cgroup.events` wakes the wait, on v1 the timer does.
#[test]
#[ignore = "needs root"]
fn waits_outlive_the_reader_of_the_ring() {
    run(async {
        for (cgroup, wakers) in [
            (Cgroup::v2("reader"), [WokenBy::Events, WokenBy::Timer]),
            (Cgroup::v1("pids", "reader"), [WokenBy::Timer; 2]),
        ] {
            let (hub, _stream) = joined(Plan::decisive()).await;
            let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
            let mut wait = armed(&hub, &cgroup, Until::Empty);
            // A single call of `met`, because a second one would look first, and might find
            // the cgroup empty.
            let mut met = pin!(wait.met());
            let pending = tokio::time::timeout(Duration::ZERO, met.as_mut()).await;
            assert!(pending.is_err(), "{pending:?}");
            hub.fail_ring_reader();
            while hub.has_bpf() {
                tokio::task::yield_now().await;
            }
            victim.signal(Signal::KILL);
            let met = tokio::time::timeout(DEADLINE, met).await;
            let met = met
                .expect("within the deadline")
                .expect("the state is readable");
            assert!(
                met.woken_by.is_some_and(|by| wakers.contains(&by)),
                "{met:?}"
            );
            victim.wait();
        }
    });
}
