//! Fuzz target for the messages between the daemon and its clients.

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

/// Parses the bytes as the body of a wait request, as a line of the daemon, and as a
/// path.
///
/// # Panics
///
/// If a request changes when it is written and parsed again, a written record cannot be
/// parsed, or a path leads out of the cgroup mount.
pub fn api(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
        let again = serde_json::to_vec(&request).expect("a request serializes");
        let again: Request = serde_json::from_slice(&again).expect("the request parses again");
        assert_eq!(again, request);
        for path in request.targets.iter().filter_map(|it| it.path.as_deref()) {
            assert_below_mount(path);
        }
    }
    if let Some(Message::Record(record)) = fuzzing::message(bytes) {
        let mut line = Vec::new();
        json::write_record(&mut line, &record, &WallClock::now()).expect("a write to memory");
        assert!(fuzzing::message(&line).is_some(), "{record:?}");
    }
    if let Ok(path) = str::from_utf8(bytes) {
        assert_below_mount(path);
    }
}

fn assert_below_mount(path: &str) {
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
