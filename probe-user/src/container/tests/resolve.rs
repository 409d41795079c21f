//! Finding the container of a cgroup by state on disk.

use std::{os::unix::fs::symlink, time::Duration};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use super::machine::{A, B, Machine};

/// Longer than an answer is cached, and than removed state is remembered.
const LONG: Duration = Duration::from_mins(1);

#[test]
fn the_state_of_runc_identifies_a_cgroup_with_a_bare_name() {
    let machine = Machine::new();
    machine.runc("web", "/web");
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of("/web/sub"), "runc web -");
    assert_eq!(resolver.container_of("/webs"), "none");
}

#[test]
fn the_status_of_crun_identifies_a_cgroup_with_any_path() {
    let machine = Machine::new();
    machine.cgroup(0, "/any/where");
    machine.crun("run/crun/web", "/any/where", "/nowhere");
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of("/any/where/sub"), "crun web -");
}

#[test]
fn a_container_that_is_created_later_is_found() {
    let machine = Machine::new();
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of("/box/web"), "none");
    machine.runc("x", "/box/web");
    assert_eq!(resolver.container_of("/box/web"), "runc x -");
}

#[test]
fn the_state_directory_identifies_a_container_before_its_state_is_written() {
    let machine = Machine::new();
    let mut resolver = machine.test_resolver();
    machine.create_dir("run/runc/web");
    assert_eq!(resolver.container_of("/web"), "runc web -");
    assert_eq!(resolver.container_of("/other"), "none");
}

#[test]
fn a_container_that_ended_before_the_first_question_is_found() {
    let machine = Machine::new();
    machine.create_dir("run/runc");
    let mut resolver = machine.test_resolver();
    machine.create_dir("run/runc/web");
    machine.remove("run/runc/web");
    assert_eq!(resolver.container_of("/web"), "runc web -");
}

#[test]
fn a_removed_container_is_remembered_by_the_resolver_that_saw_it() {
    let machine = Machine::new();
    machine.runc("web", "/box/web");
    let mut resolver = machine.test_resolver();
    machine.remove("run/runc/web");
    assert_eq!(resolver.container_of("/box/web"), "runc web -");
    assert_eq!(machine.test_resolver().container_of("/box/web"), "none");
}

#[test]
fn an_answer_expires_some_time_after_the_state_is_removed() {
    let machine = Machine::new();
    machine.runc("web", "/box/web");
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of("/box/web"), "runc web -");
    machine.remove("run/runc/web");
    resolver.now += LONG;
    // This question finds the state removed, and starts the time for which it is remembered.
    assert_eq!(resolver.container_of("/box/web"), "runc web -");
    resolver.now += LONG;
    assert_eq!(resolver.container_of("/box/web"), "none");
}

#[test]
fn the_disk_is_not_read_for_every_unknown_cgroup() {
    let machine = Machine::new();
    machine.runc("web", "/box/web");
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of("/no/1"), "none");
    let (inner, now) = (&mut resolver.inner, resolver.now);
    // A second question at the same instant does not read the disk, and misses the change.
    machine.runc("late", "/box/late");
    assert_eq!(inner.container_at("/box/late", now), None);
    let generation = inner.index.generation;
    for number in 0..10_000 {
        assert_eq!(inner.container_at(&format!("/no/{number}"), now), None);
    }
    assert_eq!(inner.index.generation, generation);
    assert_eq!(resolver.container_of("/box/late"), "runc late -");
}

#[test]
fn malicious_state_is_ignored() {
    let machine = Machine::new();
    let good = machine.runc_state("x", "/box/x", None).to_string();
    machine.cgroup(0, "/box/x");
    machine.write("run/runc/truncated/state.json", &good[..good.len() / 2]);
    machine.write("run/runc/binary/state.json", [0xff, 0xfe, 0]);
    machine.write("run/runc/list/state.json", "[]");
    machine.write("run/runc/deep/state.json", "[".repeat(100_000));
    let large = good.clone() + &" ".repeat(5 << 20);
    machine.write("run/runc/large/state.json", large);
    let nulls = r#"{"cgroup_paths":null,"config":{"labels":null}}"#;
    machine.write("run/runc/nulls/state.json", nulls);
    machine.write("run/runc/types/state.json", r#"{"init_process_pid":"1"}"#);
    machine.write("elsewhere/state.json", &good);
    machine.create_dir("run/runc/linked");
    let linked = machine.path("run/runc/linked/state.json");
    symlink(machine.path("elsewhere/state.json"), linked).expect("a link");
    symlink(machine.path("elsewhere"), machine.path("run/runc/link")).expect("a link");
    machine.create_dir("run/runc/directory/state.json");
    machine.create_dir("run/runc/fifo");
    let fifo = machine.path("run/runc/fifo/state.json");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of("/box/x"), "none");
    machine.write("run/runc/x/state.json", good);
    assert_eq!(resolver.container_of("/box/x"), "runc x -");
}

#[test]
fn a_claim_on_the_root_cgroup_is_ignored() {
    let machine = Machine::new();
    machine.runc("all", "");
    machine.runc("slash", "/");
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of("/anything"), "none");
    assert_eq!(resolver.container_of("/"), "none");
}

#[test]
fn a_container_that_docker_runs_with_runc_belongs_to_docker() {
    let machine = Machine::new();
    let cgroup = format!("/my/parent/{A}");
    machine.cgroup(0, &cgroup);
    let state = machine.runc_state(A, &cgroup, None);
    machine.write_json(
        format!("run/docker/runtime-runc/moby/{A}/state.json"),
        &state,
    );
    machine.docker(A, "web");
    let container = machine.test_resolver().container_of(&cgroup);
    assert_eq!(container, format!("docker {A} web"));
}

#[test]
fn a_cgroup_of_runc_in_a_docker_container_belongs_to_the_inner_container() {
    let machine = Machine::new();
    machine.runc("inner", &format!("/docker/{A}/inner"));
    let mut resolver = machine.test_resolver();
    let inner = resolver.container_of(&format!("/docker/{A}/inner/x"));
    assert_eq!(inner, "runc inner -");
    let outer = resolver.container_of(&format!("/docker/{A}/other"));
    assert_eq!(outer, format!("docker {A} -"));
}

#[test]
fn a_name_is_remembered_after_its_state_is_removed() {
    let machine = Machine::new();
    let cgroup = format!("/docker/{A}");
    machine.docker(A, "web");
    let mut resolver = machine.test_resolver();
    let named = format!("docker {A} web");
    assert_eq!(resolver.container_of(&cgroup), named);
    machine.remove("var/lib/docker");
    resolver.now += LONG;
    assert_eq!(resolver.container_of(&cgroup), named);
}

#[test]
fn a_renamed_container_gets_its_new_name_after_the_cache_expires() {
    let machine = Machine::new();
    let cgroup = format!("/docker/{A}");
    machine.docker(A, "old");
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of(&cgroup), format!("docker {A} old"));
    machine.docker(A, "new");
    resolver.now += LONG;
    assert_eq!(resolver.container_of(&cgroup), format!("docker {A} new"));
}

#[test]
fn a_users_cgroup_does_not_get_the_name_of_roots_container() {
    let machine = Machine::new();
    machine.docker(A, "web");
    let path = format!("/user.slice/user-1000.slice/user@1000.service/docker-{A}.scope");
    let container = machine.test_resolver().container_of(&path);
    assert_eq!(container, format!("docker {A} -"));
}

#[test]
fn a_bare_id_below_an_unknown_parent_is_also_looked_up_in_containerd() {
    let machine = Machine::new();
    machine.bundle("team", B, &json!({ "nerdctl/name": "web" }));
    let container = machine.test_resolver().container_of(&format!("/team/{B}"));
    assert_eq!(container, format!("containerd {B} web"));
}

#[test]
fn a_later_container_in_the_same_cgroup_is_not_taken_for_the_earlier_one() {
    let machine = Machine::new();
    machine.runc("one", "/shared/x");
    let mut resolver = machine.test_resolver();
    assert_eq!(resolver.container_of("/shared/x"), "runc one -");
    machine.remove("run/runc/one");
    machine.runc("two", "/shared/x");
    // The next exit comes before the answer for the cgroup is too old.
    let soon = resolver.now + Duration::from_millis(100);
    let container = resolver.inner.container_at("/shared/x", soon);
    assert_eq!(container.expect("a container").id, "two");
}
