//! Finding the cgroups and the init processes of a pod by `pod:NAMESPACE/NAME`.

use serde_json::json;

use super::machine::{A, B, Machine, PIDS};
use crate::container::FindError;

const UID: &str = "01234567-89ab-cdef-0123-456789abcdef";
const OTHER: &str = "11234567-89ab-cdef-0123-456789abcdef";

/// Makes a bundle of containerd's CRI plugin.
fn bundle(machine: &Machine, id: &str, pod: &str, uid: &str) {
    let annotations = json!({
        "io.kubernetes.cri.container-name": "nginx",
        "io.kubernetes.cri.sandbox-name": pod,
        "io.kubernetes.cri.sandbox-namespace": "prod",
        "io.kubernetes.cri.sandbox-uid": uid,
    });
    machine.bundle("k8s.io", id, &annotations);
}

fn pod_slice(uid: &str) -> String {
    let slice = uid.replace('-', "_");
    format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice")
}

#[test]
fn a_pod_has_its_own_cgroup_in_every_hierarchy_and_the_inits_of_its_containers() {
    for pod in [pod_slice(UID), format!("/kubepods/besteffort/pod{UID}")] {
        let machine = Machine::new();
        bundle(&machine, A, "shop", UID);
        bundle(&machine, B, "shop", UID);
        let scopes = [A, B].map(|id| match pod.strip_suffix(".slice") {
            Some(_) => format!("{pod}/cri-containerd-{id}.scope"),
            None => format!("{pod}/{id}"),
        });
        let mut cgroups = Vec::new();
        for path in [&pod, &scopes[0], &scopes[1], &"/elsewhere".to_owned()] {
            cgroups.extend([PIDS, 0].map(|hierarchy| machine.cgroup(hierarchy, path)));
        }
        machine.member(&[4_000_001, 1], &scopes[0]);
        machine.member(&[4_000_002, 1], &scopes[1]);
        let found = machine.resolver().find("pod:prod/shop", &cgroups);
        let found = found.expect("one pod");
        assert_eq!(found.cgroups, [(0, pod.clone()), (PIDS, pod)]);
        let inits: Vec<_> = found.inits.iter().map(|it| it.pid).collect();
        assert_eq!(inits, [4_000_001, 4_000_002]);
        assert_eq!(found.container.id, UID);
        assert_eq!(found.container.name.as_deref(), Some("pod:prod/shop"));
    }
}

#[test]
fn a_pod_is_not_found_by_another_namespace_or_name() {
    let machine = Machine::new();
    bundle(&machine, A, "shop", UID);
    let scope = format!("{}/cri-containerd-{A}.scope", pod_slice(UID));
    let cgroups = [machine.cgroup(0, &scope)];
    for wanted in ["pod:test/shop", "pod:prod/sho", "pod:shop", "pod:/shop"] {
        let found = machine.resolver().find(wanted, &cgroups);
        assert!(matches!(found, Err(FindError::Unknown { .. })), "{wanted}");
    }
    assert!(machine.resolver().find("pod:prod/shop", &cgroups).is_ok());
}

#[test]
fn the_name_of_two_pods_is_ambiguous() {
    let machine = Machine::new();
    bundle(&machine, A, "shop", UID);
    bundle(&machine, B, "shop", OTHER);
    let cgroups = [(A, UID), (B, OTHER)].map(|(id, uid)| {
        let scope = format!("{}/cri-containerd-{id}.scope", pod_slice(uid));
        machine.cgroup(0, &scope)
    });
    let found = machine.resolver().find("pod:prod/shop", &cgroups);
    match found {
        Err(FindError::Ambiguous { matches, .. }) => assert_eq!(matches.len(), 2),
        other => panic!("{other:?}"),
    }
}
