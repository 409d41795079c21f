//! Waits for cgroups through the library: `waits DIR...` arms a wait for each and prints their
//! cost, then the index of each cgroup that becomes empty, with the content of its
//! `cgroup.events` at that moment.
#![expect(clippy::print_stdout, reason = "the harness reads it")]

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use probe_tests::requirements;
use probe_user::{
    model::{Backend, Until},
    unstable::{
        bpf::load::Plan,
        wait::{Hub, Target, Wait},
    },
};
use serde_json::json;
use tokio::task::{JoinSet, yield_now};

fn main() {
    let mut directories: Vec<String> = std::env::args().skip(1).collect();
    assert_eq!(
        directories.remove(0),
        "held",
        "the first argument of the harness"
    );
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .expect("the harness writes a line");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(wait_for_all(&directories));
}

/// A hub with the best backend of this machine.
async fn hub() -> Hub {
    if !requirements::has_bpf() {
        return Hub::start(Backend::Pidfd);
    }
    let mut hub = Hub::start(Backend::Bpf);
    hub.load(Plan::decisive());
    let loaded = hub.bpf().await.expect("an answer");
    loaded.expect("root may load BPF");
    hub
}

async fn wait_for_all(directories: &[String]) {
    let hub = hub().await;
    // The first wait allocates what all waits share, which is not counted.
    drop(arm(&hub, directories.first().expect("a directory")));
    yield_now().await;

    let before = (descriptors(), anonymous_bytes());
    let mut waits = JoinSet::new();
    for (index, directory) in directories.iter().enumerate() {
        let mut wait = arm(&hub, directory);
        let directory = directory.clone();
        waits.spawn(async move {
            let met = wait.met().await.expect("the state can be read");
            assert!(met.exact, "a v2 verdict is exact");
            (index, events(&directory))
        });
    }
    // The tasks of the waits run until they block.
    for _ in 0..3 {
        yield_now().await;
    }
    println!(
        "{}",
        json!({
            "descriptors": descriptors() - before.0,
            "bytes": anonymous_bytes() - before.1,
        })
    );
    while let Some(ended) = waits.join_next().await {
        let (index, events) = ended.expect("no wait panics");
        println!("{}", json!({"index": index, "events": events}));
    }
    assert_eq!(
        hub.has_bpf(),
        requirements::has_bpf(),
        "it served to the end"
    );
}

fn arm(hub: &Hub, directory: &str) -> Wait {
    let target = Target::cgroup(Path::new(directory)).expect("the harness made it");
    hub.arm(target, Until::Empty).expect("the cgroup exists")
}

fn events(directory: &str) -> String {
    fs::read_to_string(format!("{directory}/cgroup.events")).expect("the cgroup exists")
}

fn descriptors() -> u64 {
    // The size is the number since Linux 6.2; before it is 0.
    match fs::metadata("/proc/self/fd").expect("/proc is mounted") {
        counted if counted.size() > 0 => counted.size(),
        _ => fs::read_dir("/proc/self/fd").expect("ours").count() as u64,
    }
}

/// Resident anonymous memory: heap and stacks, in whole pages.
fn anonymous_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("ours");
    let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|it| it.trim().strip_suffix(" kB"));
    let number: u64 = kibibytes.and_then(|it| it.parse().ok()).expect("Linux 4.5");
    number * 1024
}
