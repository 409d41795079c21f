//! What the daemon and its clients say to each other.

use std::path::Component;

use probe_daemon::{
    api::{json, wait::Request},
    client::Message,
    unstable::fuzzing,
};
use probe_user::unstable::{
    cgroup::mounts::{Mount, Mounts},
    clock::WallClock,
};

/// Any bytes as the body of a wait, as a line of a daemon, and as a path. A
/// request means the same when it is written again; a path leads nowhere but
/// below the mount.
///
/// # Panics
///
/// If that does not hold.
pub fn api(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
        let again = serde_json::to_vec(&request).expect("it was JSON");
        let again: Request = serde_json::from_slice(&again).expect("it was a request");
        assert_eq!(again, request);
        for path in request.targets.iter().filter_map(|it| it.path.as_deref()) {
            below_a_mount(path);
        }
    }
    if let Some(Message::Record(record)) = fuzzing::message(bytes) {
        let mut line = Vec::new();
        json::write_record(&mut line, &record, &WallClock::now()).expect("memory takes all");
        assert!(fuzzing::message(&line).is_some(), "{record:?}");
    }
    if let Ok(path) = str::from_utf8(bytes) {
        below_a_mount(path);
    }
}

fn below_a_mount(path: &str) {
    let mount = Mount {
        hierarchy: 0,
        controllers: Vec::new(),
        mount_point: "/c".into(),
        root: "/".to_owned(),
    };
    let Some((directory, below)) = fuzzing::cgroup_directory(&Mounts::from_iter([mount]), path)
    else {
        return;
    };
    assert!(directory.starts_with("/c"), "{}", directory.display());
    let is_plain = |it: Component<'_>| matches!(it, Component::RootDir | Component::Normal(_));
    assert!(
        directory.components().all(is_plain),
        "{}",
        directory.display()
    );
    assert!(below.starts_with('/'), "{below}");
    assert!(!path.contains(['\0', '\n']), "{path:?}");
}
