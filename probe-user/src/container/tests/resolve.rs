//! Finding the container of a cgroup by state on disk.

use std::{fs, os::unix::fs::symlink, time::Duration};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use super::machine::{A, B, Machine, short};

#[test]
fn the_state_of_runc_identifies_a_cgroup_with_a_bare_name() {
    let mut machine = Machine::new();
    machine.runc("web", "/web");
    let mut resolver = machine.resolver();
    let container = resolver.container_at("/web/sub", machine.later());
    assert_eq!(short(container.as_deref()), Some(("runc", "web", None)));
    assert_eq!(resolver.container_at("/webs", machine.later()), None);
}

#[test]
fn the_status_of_crun_identifies_a_cgroup_with_any_path() {
    let mut machine = Machine::new();
    let status = json!({
        "pid": 4_000_000,
        "process-start-time": 77,
        "cgroup-path": "/any/where",
        "scope": "",
        "rootfs": "/x",
        "systemd-cgroup": false,
        "bundle": "/nowhere",
        "created": "2026-01-02T03:04:05.000000Z",
        "detached": true,
        "external_descriptors": "[]",
    });
    machine.cgroup(0, "/any/where");
    machine.write_json("run/crun/web/status", &status);
    let mut resolver = machine.resolver();
    let container = resolver.container_at("/any/where/sub", machine.later());
    assert_eq!(short(container.as_deref()), Some(("crun", "web", None)));
}

#[test]
fn a_container_that_is_created_later_is_found() {
    let mut machine = Machine::new();
    let mut resolver = machine.resolver();
    assert_eq!(resolver.container_at("/box/web", machine.later()), None);
    machine.cgroup(0, "/box/web");
    machine.runc("x", "/box/web");
    let container = resolver.container_at("/box/web", machine.later());
    assert_eq!(short(container.as_deref()), Some(("runc", "x", None)));
}

#[test]
fn the_state_directory_identifies_a_container_before_its_state_is_written() {
    let mut machine = Machine::new();
    let mut resolver = machine.resolver();
    fs::create_dir_all(machine.path("run/runc/web")).expect("a directory");
    let container = resolver.container_at("/web", machine.later());
    assert_eq!(short(container.as_deref()), Some(("runc", "web", None)));
    assert_eq!(resolver.container_at("/other", machine.later()), None);
}

#[test]
fn a_container_that_ended_before_the_first_question_is_found() {
    let mut machine = Machine::new();
    fs::create_dir_all(machine.path("run/runc")).expect("a directory");
    let mut resolver = machine.resolver();
    fs::create_dir(machine.path("run/runc/web")).expect("a directory");
    fs::remove_dir(machine.path("run/runc/web")).expect("no directory");
    let container = resolver.container_at("/web", machine.later());
    assert_eq!(short(container.as_deref()), Some(("runc", "web", None)));
}

#[test]
fn a_removed_container_is_remembered_by_the_resolver_that_saw_it() {
    let mut machine = Machine::new();
    machine.runc("web", "/box/web");
    let mut resolver = machine.resolver();
    fs::remove_dir_all(machine.path("run/runc/web")).expect("no directory");
    let container = resolver.container_at("/box/web", machine.later());
    assert_eq!(short(container.as_deref()), Some(("runc", "web", None)));
    let mut resolver = machine.resolver();
    assert_eq!(resolver.container_at("/box/web", machine.later()), None);
}

#[test]
fn an_answer_expires_some_time_after_the_state_is_removed() {
    let mut machine = Machine::new();
    machine.runc("web", "/box/web");
    let mut resolver = machine.resolver();
    assert!(resolver.container_at("/box/web", machine.later()).is_some());
    fs::remove_dir_all(machine.path("run/runc/web")).expect("no directory");
    machine.now += Duration::from_mins(1);
    // This question finds the state removed, and starts the time for which it is remembered.
    assert!(resolver.container_at("/box/web", machine.later()).is_some());
    machine.now += Duration::from_mins(1);
    assert_eq!(resolver.container_at("/box/web", machine.later()), None);
}

#[test]
fn the_disk_is_not_read_for_every_unknown_cgroup() {
    let machine = Machine::new();
    machine.runc("web", "/box/web");
    let mut resolver = machine.resolver();
    let now = machine.now + Duration::from_secs(2);
    assert_eq!(resolver.container_at("/no/1", now), None);
    // A second question at the same instant does not read the disk, and misses the change.
    machine.runc("late", "/box/late");
    assert_eq!(resolver.container_at("/box/late", now), None);
    let generation = resolver.index.generation();
    for number in 0..10_000 {
        assert_eq!(resolver.container_at(&format!("/no/{number}"), now), None);
    }
    assert_eq!(resolver.index.generation(), generation);
    let later = now + Duration::from_secs(2);
    let container = resolver.container_at("/box/late", later);
    assert_eq!(short(container.as_deref()), Some(("runc", "late", None)));
}

#[test]
fn malicious_state_is_ignored() {
    let mut machine = Machine::new();
    let good = machine.runc_state("x", "/box/x", None).to_string();
    machine.cgroup(0, "/box/x");
    machine.write("run/runc/truncated/state.json", &good[..good.len() / 2]);
    machine.write("run/runc/binary/state.json", [0xff, 0xfe, 0]);
    machine.write("run/runc/list/state.json", "[]");
    machine.write("run/runc/deep/state.json", "[".repeat(100_000));
    machine.write(
        "run/runc/large/state.json",
        good.clone() + &" ".repeat(5 << 20),
    );
    machine.write(
        "run/runc/nulls/state.json",
        r#"{"cgroup_paths":null,"config":{"labels":null}}"#,
    );
    machine.write("run/runc/types/state.json", r#"{"init_process_pid":"1"}"#);
    machine.write("elsewhere/state.json", &good);
    fs::create_dir_all(machine.path("run/runc/linked")).expect("a directory");
    let linked = machine.path("run/runc/linked/state.json");
    symlink(machine.path("elsewhere/state.json"), linked).expect("a link");
    symlink(machine.path("elsewhere"), machine.path("run/runc/link")).expect("a link");
    fs::create_dir_all(machine.path("run/runc/directory/state.json")).expect("a directory");
    fs::create_dir_all(machine.path("run/runc/fifo")).expect("a directory");
    let fifo = machine.path("run/runc/fifo/state.json");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
    let mut resolver = machine.resolver();
    assert_eq!(resolver.container_at("/box/x", machine.later()), None);
    machine.write("run/runc/x/state.json", good);
    assert!(resolver.container_at("/box/x", machine.later()).is_some());
}

#[test]
fn a_claim_on_the_root_cgroup_is_ignored() {
    let mut machine = Machine::new();
    machine.runc("all", "");
    machine.runc("slash", "/");
    let mut resolver = machine.resolver();
    assert_eq!(resolver.container_at("/anything", machine.later()), None);
    assert_eq!(resolver.container_at("/", machine.later()), None);
}

#[test]
fn a_container_that_docker_runs_with_runc_belongs_to_docker() {
    let mut machine = Machine::new();
    let cgroup = format!("/my/parent/{A}");
    machine.cgroup(0, &cgroup);
    let state = machine.runc_state(A, &cgroup, None);
    machine.write_json(
        format!("run/docker/runtime-runc/moby/{A}/state.json"),
        &state,
    );
    let config = json!({ "ID": A, "Name": "/web", "State": { "Pid": 1 } });
    machine.write_json(
        format!("var/lib/docker/containers/{A}/config.v2.json"),
        &config,
    );
    let mut resolver = machine.resolver();
    let container = resolver.container_at(&cgroup, machine.later());
    assert_eq!(
        short(container.as_deref()),
        Some(("docker", A, Some("web")))
    );
}

#[test]
fn a_cgroup_of_runc_in_a_docker_container_belongs_to_the_inner_container() {
    let mut machine = Machine::new();
    machine.runc("inner", &format!("/docker/{A}/inner"));
    let mut resolver = machine.resolver();
    let inner = resolver.container_at(&format!("/docker/{A}/inner/x"), machine.later());
    assert_eq!(short(inner.as_deref()), Some(("runc", "inner", None)));
    let outer = resolver.container_at(&format!("/docker/{A}/other"), machine.later());
    assert_eq!(short(outer.as_deref()), Some(("docker", A, None)));
}

#[test]
fn a_name_is_remembered_after_its_state_is_removed() {
    let mut machine = Machine::new();
    let config = format!("var/lib/docker/containers/{A}/config.v2.json");
    let cgroup = format!("/docker/{A}");
    machine.write_json(&config, &json!({ "Name": "/web" }));
    let mut resolver = machine.resolver();
    assert!(resolver.container_at(&cgroup, machine.later()).is_some());
    fs::remove_file(machine.path(&config)).expect("no file");
    machine.now += Duration::from_mins(1);
    let container = resolver.container_at(&cgroup, machine.later());
    assert_eq!(
        short(container.as_deref()),
        Some(("docker", A, Some("web")))
    );
}

#[test]
fn a_renamed_container_gets_its_new_name_after_the_cache_expires() {
    let mut machine = Machine::new();
    let config = format!("var/lib/docker/containers/{A}/config.v2.json");
    let cgroup = format!("/docker/{A}");
    machine.write_json(&config, &json!({ "Name": "/old" }));
    let mut resolver = machine.resolver();
    assert!(resolver.container_at(&cgroup, machine.later()).is_some());
    machine.write_json(&config, &json!({ "Name": "/new" }));
    machine.now += Duration::from_mins(1);
    let container = resolver.container_at(&cgroup, machine.later());
    assert_eq!(
        short(container.as_deref()),
        Some(("docker", A, Some("new")))
    );
}

#[test]
fn a_users_cgroup_does_not_get_the_name_of_roots_container() {
    let mut machine = Machine::new();
    let config = json!({ "Name": "/web" });
    machine.write_json(
        format!("var/lib/docker/containers/{A}/config.v2.json"),
        &config,
    );
    let mut resolver = machine.resolver();
    let path = format!("/user.slice/user-1000.slice/user@1000.service/docker-{A}.scope");
    let container = resolver.container_at(&path, machine.later());
    assert_eq!(short(container.as_deref()), Some(("docker", A, None)));
}

#[test]
fn a_bare_id_below_an_unknown_parent_is_also_looked_up_in_containerd() {
    let mut machine = Machine::new();
    let bundle = format!("run/containerd/io.containerd.runtime.v2.task/team/{B}");
    let config = json!({ "annotations": { "nerdctl/name": "web" } });
    machine.write_json(format!("{bundle}/config.json"), &config);
    let mut resolver = machine.resolver();
    let container = resolver.container_at(&format!("/team/{B}"), machine.later());
    assert_eq!(
        short(container.as_deref()),
        Some(("containerd", B, Some("web")))
    );
}
