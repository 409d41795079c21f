//! Finding a container and its cgroups by id or name.

use std::os::unix::fs::MetadataExt;

use serde_json::json;

use super::machine::{A, B, Machine, PIDS, describe};
use crate::container::{FindError, Found, Init};

const SCOPE: &str = "/system.slice/docker-";

pub(super) fn docker(machine: &Machine, id: &str, name: &str) -> (u32, String) {
    machine.docker(id, name);
    machine.cgroup(0, &format!("{SCOPE}{id}.scope"))
}

pub(super) fn find(
    machine: &Machine,
    wanted: &str,
    cgroups: &[(u32, String)],
) -> Result<Found, FindError> {
    let found = machine.resolver().find(wanted, cgroups);
    // The state alone gives the same answer, if it gives any.
    if let Some(mut by_state) = machine.resolver().find_by_state(wanted, |_| true) {
        let found = found.as_ref().expect("the state alone decides");
        by_state.cgroups.retain(|it| cgroups.contains(it));
        let parts = |it: &Found| (it.container.clone(), it.cgroups.clone(), it.inits.clone());
        assert_eq!(parts(&by_state), parts(found), "{wanted}");
    }
    found
}

pub(super) fn id(found: Result<Found, FindError>) -> String {
    found.expect("one container").container.id.clone()
}

pub(super) fn ambiguous(found: Result<Found, FindError>) -> Vec<String> {
    match found {
        Err(FindError::Ambiguous { matches, .. }) => {
            matches.iter().map(|it| it.container.id.clone()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_is_found_by_its_id_an_id_prefix_and_its_name() {
    let machine = Machine::new();
    let cgroups = [docker(&machine, A, "web"), docker(&machine, B, "db")];
    for wanted in [A, &A[..13], "web"] {
        let found = find(&machine, wanted, &cgroups).expect("one container");
        assert_eq!(describe(&found.container), format!("docker {A} web"));
        assert_eq!(found.cgroups, [cgroups[0].clone()]);
    }
}

#[test]
fn an_unknown_name_is_an_error() {
    let machine = Machine::new();
    let cgroups = [docker(&machine, A, "web")];
    for wanted in ["we", "", "f", "/web"] {
        let error = find(&machine, wanted, &cgroups).expect_err("no container");
        assert!(matches!(error, FindError::Unknown { .. }), "{error}");
    }
}

#[test]
fn an_invisible_container_neither_matches_nor_makes_a_name_ambiguous() {
    let machine = Machine::new();
    let cgroups = [docker(&machine, A, "web"), docker(&machine, B, "web")];
    let mut resolver = machine.resolver();
    assert_eq!(ambiguous(resolver.find("web", &cgroups)).len(), 2);
    let is_visible = |own: &[(u32, String)]| own.contains(&cgroups[1]);
    let found = resolver.find_visible("web", &cgroups, is_visible);
    assert_eq!(id(found), B);
    for wanted in [A, &A[..13]] {
        let found = resolver.find_visible(wanted, &cgroups, is_visible);
        assert!(matches!(found, Err(FindError::Unknown { .. })), "{found:?}");
    }
}

#[test]
fn each_of_many_containers_is_found_by_a_new_resolver() {
    let machine = Machine::new();
    let names: Vec<_> = (0..200).map(|number| format!("c{number:03}")).collect();
    for name in &names {
        machine.runc(name, &format!("/box/in-{name}"));
    }
    for name in &names[190..] {
        let cgroup = (0, format!("/box/in-{name}"));
        let found = find(&machine, name, std::slice::from_ref(&cgroup)).expect("one container");
        assert_eq!(found.cgroups, [cgroup]);
    }
}

#[test]
fn the_error_for_several_matches_lists_them() {
    let machine = Machine::new();
    let cgroups = [docker(&machine, A, "web"), docker(&machine, B, "db")];
    let error = find(&machine, &A[..8], &cgroups).expect_err("two containers");
    let text = error.to_string();
    let owner = machine.path("").metadata().expect("metadata").uid();
    let owner = match owner {
        0 => "root".to_owned(),
        uid => format!("uid {uid}"),
    };
    let line = |id: &str, name: &str| {
        let short = &id[..12];
        format!(
            "
  docker {short} ({name}) of {owner}, cgroup {SCOPE}{id}.scope"
        )
    };
    let expected = [line(A, "web"), line(B, "db")].concat();
    let expected = format!("'{}' matches several containers:{expected}", &A[..8]);
    assert_eq!(text, expected);
}

#[test]
fn the_cgroups_of_all_hierarchies_are_found_v2_first() {
    let machine = Machine::new();
    machine.runc("web", "/web");
    machine.process(4_000_000, 77, "/web");
    let cgroups = [
        machine.cgroup(PIDS, "/web"),
        machine.cgroup(PIDS, "/web/sub"),
        machine.cgroup(0, "/web"),
        machine.cgroup(0, "/web/sub"),
        machine.cgroup(0, "/other"),
    ];
    let found = find(&machine, "web", &cgroups).expect("one container");
    assert_eq!(
        found.cgroups,
        [(0, "/web".to_owned()), (PIDS, "/web".to_owned())]
    );
    let init = Init {
        pid: 4_000_000,
        start_ticks: 77,
    };
    assert_eq!(found.inits, [init]);
}

#[test]
fn a_reused_pid_is_not_the_init_process() {
    let machine = Machine::new();
    machine.runc("web", "/web");
    machine.process(4_000_000, 78, "/elsewhere");
    let cgroups = [machine.cgroup(0, "/web")];
    let found = find(&machine, "web", &cgroups);
    // The state of root is trusted about the cgroup nevertheless, that of a user is not.
    if rustix::process::geteuid().is_root() {
        let found = found.expect("one container");
        assert_eq!((found.inits.len(), found.cgroups.len()), (0, 1));
    } else {
        assert!(matches!(found, Err(FindError::Unknown { .. })));
    }
}

#[test]
fn the_sub_cgroup_that_crun_records_belongs_to_the_outer_container() {
    let machine = Machine::new();
    let scope = format!("/machine.slice/libpod-{A}.scope");
    let sub = format!("{scope}/container");
    let cgroups = [machine.cgroup(0, &scope), machine.cgroup(0, &sub)];
    machine.crun(format!("run/crun/{A}"), &sub, "/nowhere");
    machine.process(4_000_000, 77, &sub);
    let found = find(&machine, A, &cgroups).expect("one container");
    assert_eq!(found.container.runtime.as_str(), "podman");
    assert_eq!(found.cgroups, [(0, scope)]);
    assert_eq!(found.inits.len(), 1);
}

#[test]
fn the_cgroup_of_nspawn_itself_is_not_part_of_the_container() {
    let machine = Machine::new();
    let unit = "/machine.slice/systemd-nspawn@box.service";
    let cgroups = ["", "/supervisor", "/payload", "/payload/init.scope"]
        .map(|below| machine.cgroup(0, &format!("{unit}{below}")));
    let found = find(&machine, "box", &cgroups).expect("one container");
    assert_eq!(found.cgroups, [(0, format!("{unit}/payload"))]);
    let found = find(&machine, "box", &cgroups[..1]).expect("one container");
    assert_eq!(found.cgroups, [(0, unit.to_owned())]);
}

#[test]
fn a_container_is_found_by_its_state_after_its_cgroup_is_gone() {
    let machine = Machine::new();
    machine.runc("web", "/web");
    let found = find(&machine, "web", &[]).expect("one container");
    assert!(found.cgroups.is_empty());
}

#[test]
fn the_name_of_the_pod_distinguishes_containers_with_one_name() {
    let machine = Machine::new();
    let mut cgroups = Vec::new();
    for (id, pod) in [(A, "shop-0"), (B, "shop-1")] {
        let annotations = json!({
            "io.kubernetes.cri.container-name": "nginx",
            "io.kubernetes.cri.sandbox-name": pod,
            "io.kubernetes.cri.sandbox-namespace": "prod",
        });
        machine.bundle("k8s.io", id, &annotations);
        cgroups.push(machine.cgroup(0, &format!("/kubepods/pod12345678/{id}")));
    }
    assert_eq!(ambiguous(find(&machine, "nginx", &cgroups)), [A, B]);
    assert_eq!(id(find(&machine, "shop-1/nginx", &cgroups)), B);
    assert_eq!(id(find(&machine, "prod/shop-0/nginx", &cgroups)), A);
    for wanted in ["test/shop-0/nginx", "shop-2/nginx", "/nginx"] {
        assert!(find(&machine, wanted, &cgroups).is_err(), "{wanted}");
    }
}
