//! `probe_user` as another program uses it.

mod examples;
mod hub;
mod many_waits;
mod members;
mod processes;
mod races;
mod waiter;

use std::{
    fs,
    future::{Future, poll_fn},
    path::Path,
    pin::pin,
    task::Poll,
};

use probe_tests::{Cgroup, DEADLINE, Victim, requirements};
use probe_user::{
    model::{Backend, Until},
    unstable::{
        bpf::{load::Plan, ring::Stream},
        wait::{Hub, Met, Target, TargetError, Wait, condition::Answer},
    },
};
use rustix::process::Signal;
use tokio::time::timeout;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

fn arm(hub: &Hub, cgroup: &Cgroup) -> Wait {
    let target = Target::cgroup(Path::new(cgroup.path())).expect("the cgroup exists");
    hub.arm(target, Until::Empty).expect("the cgroup exists")
}

fn arm_process(hub: &Hub, victim: &Victim, until: Until) -> Wait {
    let target = Target::process(victim.pid()).expect("the process is alive");
    hub.arm(target, until).expect("the process is alive")
}

/// A hub with loaded BPF programs, and the stream of their records.
async fn joined(plan: Plan) -> (Hub, Stream) {
    requirements::require_bpf();
    let mut hub = Hub::start(Backend::Bpf);
    hub.load(plan);
    let loaded = hub.bpf().await.expect("the first call has an answer");
    (hub, loaded.expect("root may load BPF programs"))
}

/// A hub with the best backend of this machine.
async fn best() -> Hub {
    if requirements::has_bpf() {
        joined(Plan::decisive()).await.0
    } else {
        Hub::start(Backend::Pidfd)
    }
}

/// The result of a future that must be ready within the deadline.
async fn in_time<T>(future: impl IntoFuture<Output = T>) -> T {
    let result = timeout(DEADLINE, future).await;
    result.expect("within the deadline")
}

async fn met(wait: &mut Wait) -> Met {
    in_time(wait.met()).await.expect("the state is readable")
}

async fn assert_met(wait: &mut Wait) {
    let met = met(wait).await;
    assert!(met.exact, "{met:?}");
}

/// Asserts that the wait is not met: one look.
async fn assert_pending(wait: &mut Wait) {
    let met = poll_once(wait.met()).await;
    assert!(met.is_none(), "{met:?}");
}

/// Polls a future once.
async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

/// The files that the descriptors of this process refer to.
fn descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").expect("there is a /proc");
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

fn descriptors_of(what: &str) -> usize {
    descriptors().iter().filter(|it| it.contains(what)).count()
}

/// Lets other tasks run until the condition is true.
async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let tasks = async {
        while !is_true() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = timeout(DEADLINE, tasks).await;
    assert!(in_time.is_ok(), "{what}: {:#?}", descriptors());
}

#[test]
#[ignore = "needs root"]
fn a_dropped_future_of_a_wait_loses_no_wake_up() {
    let cgroup = Cgroup::v2("select");
    let mut victims = [(); 3].map(|()| Victim::paused(&cgroup));
    block_on(async {
        let hub = best().await;
        let mut wait = arm(&hub, &cgroup);
        for victim in &mut victims {
            // A future may be dropped before its first poll, while it waits, and while a
            // notification is pending.
            drop(wait.met());
            assert_pending(&mut wait).await;
            victim.signal(Signal::KILL);
            let early = poll_once(wait.met()).await;
            victim.wait();
            if early.is_some() {
                break;
            }
        }
        assert_met(&mut wait).await;
        let answer = wait.look().expect("the state is readable");
        assert_eq!(answer, Answer::Yes { exact: true });
        // A wait that is met stays met.
        assert_met(&mut wait).await;
    });
}

#[test]
#[ignore = "needs root"]
fn dropping_one_of_two_waits_for_a_cgroup_keeps_the_other() {
    let (cgroup, mut victim) = Victim::in_v2("two");
    block_on(async {
        let hub = best().await;
        let [mut first, second] = [(); 2].map(|()| arm(&hub, &cgroup));
        assert_pending(&mut first).await;
        drop(second);
        tokio::task::yield_now().await;
        cgroup.kill();
        assert_met(&mut first).await;
    });
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn dropping_a_wait_closes_its_descriptors() {
    let (cgroup, victim) = Victim::in_v2("drop");
    block_on(async {
        let hub = best().await;
        let wait = arm(&hub, &cgroup);
        let other = arm(&hub, &cgroup);
        let process = arm_process(&hub, &victim, Until::Exited);
        assert!(descriptors_of(cgroup.name()) > 0 && descriptors_of("pidfd") > 0);
        drop((wait, process));
        until("no pidfd is left", || descriptors_of("pidfd") == 0).await;
        // The other wait still needs the cgroup.
        assert!(descriptors_of(cgroup.name()) > 0);
        drop(other);
        until("no cgroup is open", || descriptors_of(cgroup.name()) == 0).await;
    });
}

#[test]
#[ignore = "needs root"]
fn a_wait_may_move_between_threads_of_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let hub = best().await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (cgroup, mut victim) = Victim::in_v2("threads");
            let mut wait = arm(&hub, &cgroup);
            cgroup.kill();
            tasks.spawn(async move {
                assert_met(&mut wait).await;
                victim.wait();
                fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("no task panics");
        }
    });
}

#[test]
#[ignore = "needs root"]
fn an_invalid_target_is_an_error_of_its_kind() {
    let parent = Cgroup::v2("wrong");
    let gone = format!("{}/gone", parent.path());
    let error = Target::cgroup(Path::new(&gone)).expect_err("the target is gone");
    assert!(matches!(error, TargetError::Cgroup(_)), "{error}");
    let error = Target::cgroup(Path::new("/etc")).expect_err("not a cgroup");
    assert!(matches!(error, TargetError::NoCgroup { .. }), "{error}");
    for pid in [0, u32::MAX] {
        let error = Target::process(pid).expect_err("not a process");
        assert!(matches!(error, TargetError::Process(_)), "{error}");
    }
}
