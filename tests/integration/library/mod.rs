//! `probe_user::unstable::wait` as another program uses it.

mod examples;
mod hubs;
mod thousand;
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
        bpf::load::Plan,
        wait::{Hub, Target, TargetError, Wait, condition::Answer},
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
    let target = Target::cgroup(Path::new(cgroup.path())).expect("it is there");
    hub.arm(target, Until::Empty).expect("it is there")
}

async fn with_bpf() -> Hub {
    requirements::require_bpf();
    let mut hub = Hub::start(Backend::Bpf);
    hub.load(Plan::decisive());
    let loaded = hub.bpf().await.expect("the first call has an answer");
    loaded.expect("root may load BPF");
    hub
}

/// With the best that can be had here.
async fn best() -> Hub {
    if requirements::has_bpf() {
        with_bpf().await
    } else {
        Hub::start(Backend::Pidfd)
    }
}

async fn met(wait: &mut Wait) {
    let met = timeout(DEADLINE, wait.met()).await.expect("in time");
    assert!(met.expect("the state can be read").exact);
}

/// Asks a future once.
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

/// Where the open descriptors of this process lead.
fn descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").expect("there is a /proc");
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

fn leading_to(what: &str) -> usize {
    descriptors().iter().filter(|it| it.contains(what)).count()
}

/// Lets other tasks run until it is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let tasks = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = timeout(DEADLINE, tasks).await;
    assert!(in_time.is_ok(), "{what}: {:#?}", descriptors());
}

#[test]
#[ignore = "needs root"]
fn a_wait_that_is_dropped_in_a_select_goes_on_when_it_is_asked_again() {
    let cgroup = Cgroup::v2("select");
    let mut victims = [(); 3].map(|()| Victim::spawn(&["pause"], Some(&cgroup)));
    block_on(async {
        let hub = best().await;
        let mut wait = arm(&hub, &cgroup);
        for victim in &mut victims {
            // Dropped before it was polled, while it waits, and while a
            // notification is on its way.
            drop(wait.met());
            assert!(poll_once(wait.met()).await.is_none());
            victim.signal(Signal::KILL);
            let early = poll_once(wait.met()).await;
            victim.wait();
            if early.is_some() {
                break;
            }
        }
        met(&mut wait).await;
        assert_eq!(wait.look().expect("readable"), Answer::Yes { exact: true });
        // And what is true stays true.
        met(&mut wait).await;
    });
}

#[test]
#[ignore = "needs root"]
fn of_two_waits_for_one_cgroup_one_may_be_given_up() {
    let cgroup = Cgroup::v2("two");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    block_on(async {
        let hub = best().await;
        let [mut first, second] = [(); 2].map(|()| arm(&hub, &cgroup));
        assert!(poll_once(first.met()).await.is_none());
        drop(second);
        tokio::task::yield_now().await;
        cgroup.kill();
        met(&mut first).await;
    });
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn dropping_a_wait_closes_what_it_opened() {
    let cgroup = Cgroup::v2("drop");
    let victim = Victim::spawn(&["pause"], Some(&cgroup));
    block_on(async {
        let hub = best().await;
        let wait = arm(&hub, &cgroup);
        let other = arm(&hub, &cgroup);
        let target = Target::process(victim.pid()).expect("it lives");
        let process = hub.arm(target, Until::Exited).expect("it lives");
        assert!(leading_to(cgroup.name()) > 0 && leading_to("pidfd") > 0);
        drop((wait, process));
        until("no pidfd is left", || leading_to("pidfd") == 0).await;
        assert!(leading_to(cgroup.name()) > 0, "the other one needs it");
        drop(other);
        until("no cgroup is open", || leading_to(cgroup.name()) == 0).await;
    });
}

#[test]
#[ignore = "needs root"]
fn a_wait_works_on_a_runtime_with_several_threads_and_may_travel() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let hub = best().await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let cgroup = Cgroup::v2("travels");
            let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
            let mut wait = arm(&hub, &cgroup);
            cgroup.kill();
            tasks.spawn(async move {
                met(&mut wait).await;
                victim.wait();
                fs::remove_dir(cgroup.path()).expect("it is empty");
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("each is right");
        }
    });
}

#[test]
#[ignore = "needs root"]
fn what_is_no_target_says_so() {
    let parent = Cgroup::v2("wrong");
    let gone = format!("{}/gone", parent.path());
    let error = Target::cgroup(Path::new(&gone)).expect_err("it is gone");
    assert!(matches!(error, TargetError::Cgroup(_)), "{error}");
    let error = Target::cgroup(Path::new("/etc")).expect_err("no cgroup");
    assert!(matches!(error, TargetError::NoCgroup { .. }), "{error}");
    for pid in [0, u32::MAX] {
        let error = Target::process(pid).expect_err("no process");
        assert!(matches!(error, TargetError::Process(_)), "{error}");
    }
}
