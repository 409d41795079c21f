use std::{fs, time::{Duration, Instant}};
use super::*;
#[test]
fn dbg() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("run")).unwrap();
    let mut resolver = Resolver::new(StateRoots::below(root.path(), Vec::new()));
    let now = Instant::now();
    assert!(resolver.container_at("/a", now).is_none());
    fs::create_dir_all(root.path().join("run/runc/a")).unwrap();
    let c = resolver.container_at("/a", now + Duration::from_millis(2));
    eprintln!("{:?} {:?}", c, resolver.index);
    fs::create_dir_all(root.path().join("run/runc/b")).unwrap();
    fs::remove_dir(root.path().join("run/runc/b")).unwrap();
    let c = resolver.container_at("/b", now + Duration::from_millis(4));
    eprintln!("{:?} {:?}", c, resolver.index);
    panic!();
}
