//! Fuzz target for the kernel's files about cgroups and processes, which contain names
//! that users choose.

use std::path::Path;

use probe_user::{
    model::{CgroupState, ProcessState, is_within},
    unstable::{
        cgroup::mounts::{self, Mounts},
        fuzzing,
        proc::stat::Stat,
    },
};
use procfs::{FromRead, ProcessCGroups, process::MountInfos};

/// Parses the bytes after the first as the file that the first byte selects.
///
/// # Panics
///
/// If a parser contradicts itself or another parser.
pub fn cgroup_files(bytes: &[u8]) {
    let Some((which, file)) = bytes.split_first() else {
        return;
    };
    match which % 4 {
        0 => events(file),
        1 => stat(file),
        2 => mounts(file),
        _ => cgroups(file),
    }
}

/// `cgroup.events`: the key `populated` is found in any line, but only at its beginning.
fn events(file: &[u8]) {
    let state = fuzzing::populated(file);
    let has = |line: &[u8]| file.split(|&byte| byte == b'\n').any(|it| it == line);
    match state {
        Some(CgroupState::Empty) => assert!(has(b"populated 0")),
        Some(CgroupState::Populated) => assert!(has(b"populated 1")),
        Some(CgroupState::Removed) => panic!("the cgroup of a readable file is not removed"),
        None => {}
    }
    let below = [b"frozen 0\n".as_slice(), file].concat();
    assert_eq!(fuzzing::populated(&below), state);
}

/// `/proc/PID/stat`: the parser of this project and that of procfs agree, and the name of
/// a process cannot forge the fields after it.
fn stat(file: &[u8]) {
    let ours = Stat::parse(file);
    // procfs panics on other input.
    if !is_as_printed(file) {
        return;
    }
    let Ok(theirs) = procfs::process::Stat::from_read(file) else {
        return;
    };
    // The types of procfs also hold numbers that the kernel never prints.
    let is_plausible = theirs.pid >= 0 && theirs.ppid >= 0;
    if !is_plausible || u32::try_from(theirs.num_threads).is_err() {
        return;
    }
    let ours = ours.unwrap_or_else(|| panic!("only procfs reads {theirs:?}"));
    assert_eq!(String::from_utf8_lossy(ours.comm), theirs.comm);
    assert_eq!((ours.letter, ours.flags), (theirs.state, theirs.flags));
    assert_eq!(i32::try_from(ours.ppid), Ok(theirs.ppid));
    assert_eq!((ours.pgrp, ours.session), (theirs.pgrp, theirs.session));
    assert_eq!(i64::from(ours.threads), theirs.num_threads);
    assert_eq!(ours.start_ticks, theirs.starttime);
    assert_eq!(ours.exit_code().map(u32::cast_signed), theirs.exit_code);
    states(&ours, file);
}

/// A process has exited if its leader has and is its only task; without tasks the file proves
/// nothing; a process that started at another moment has been reaped.
fn states(stat: &Stat<'_>, file: &[u8]) {
    let other = fuzzing::process_state(file, stat.start_ticks ^ 1);
    assert_eq!(other, Some(ProcessState::Reaped), "{stat:?}");
    let Some(state) = fuzzing::process_state(file, stat.start_ticks) else {
        assert_eq!(stat.threads, 0, "{stat:?}");
        return;
    };
    let is_alone = stat.threads == 1;
    let has_exited = matches!(stat.letter, 'Z' | 'X' | 'x') && is_alone;
    assert_eq!(state.has_exited(), has_exited, "{stat:?}");
    let is_exiting = stat.flags & 0x4 != 0 && is_alone;
    assert_eq!(state.has_begun_exit(), has_exited || is_exiting, "{stat:?}");
}

/// Whether a kernel may print such a file: a number, a name in parentheses, a letter and
/// numbers, separated by spaces.
fn is_as_printed(stat: &[u8]) -> bool {
    let digits = stat.iter().take_while(|it| it.is_ascii_digit()).count();
    if digits == 0 || !stat[digits..].starts_with(b" (") {
        return false;
    }
    let tail = stat.iter().rposition(|&it| it == b')');
    let tail = tail.and_then(|at| stat.get(at + 1..)).unwrap_or_default();
    let tail = tail.strip_suffix(b"\n").unwrap_or(tail);
    let [b' ', b'A'..=b'Z' | b'a'..=b'z', b' ', numbers @ ..] = tail else {
        return false;
    };
    // No kernel prints `-0`. procfs accepts it as a number, and a parser of an unsigned
    // field does not.
    let number = |it: &[u8]| {
        let digits = it.strip_prefix(b"-").unwrap_or(it);
        let is_negative_zero = digits.len() < it.len() && digits.starts_with(b"0");
        !is_negative_zero && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    };
    numbers.split(|&it| it == b' ').all(number)
}

/// `/proc/self/mountinfo` and `/proc/self/cgroup`, separated by NUL.
fn mounts(file: &[u8]) {
    let mut files = file.splitn(2, |&byte| byte == 0);
    let (infos, own) = (files.next(), files.next());
    let infos = MountInfos::from_read(infos.unwrap_or_default());
    let own = ProcessCGroups::from_read(own.unwrap_or_default());
    let (Ok(infos), Ok(own)) = (infos, own) else {
        return;
    };
    let mounts = Mounts::parse(&infos, &own);
    assert!(
        mounts.is_sorted_by(|a, b| a.hierarchy < b.hierarchy),
        "each hierarchy once, v2 first: {mounts:?}"
    );
    for mount in mounts.iter() {
        assert!(mount.hierarchy != 0 || mount.controllers.is_empty());
        assert!(mounts::rank(mount) <= 10);
        let top = mount.path_of(&mount.mount_point);
        assert_eq!(top.as_ref(), Some(&mount.root));
        let below = mount.path_of(&mount.mount_point.join("a/b"));
        assert!(below.is_some_and(|it| it.ends_with("/a/b") && is_within(&it, &mount.root)));
        let beside = mount.path_of(Path::new("relative"));
        assert!(beside.is_none() || !mount.mount_point.is_absolute());
    }
}

/// `/proc/PID/cgroup`: a process is found in the cgroup that the file names, deleted or
/// not.
fn cgroups(file: &[u8]) {
    let Ok(cgroups) = ProcessCGroups::from_read(file) else {
        return;
    };
    for cgroup in &cgroups.0 {
        let name = cgroup.pathname.as_str();
        let is_in = |path: &str, is_removed| fuzzing::is_detached_member(name, path, is_removed);
        if let Some(own) = name.strip_suffix(" (deleted)") {
            // `/ (deleted)` is also the path of a child of the root with this name.
            let may_be_child = own.ends_with('/');
            assert!(is_in(own, true), "{name}");
            assert_eq!(is_in(own, false), may_be_child, "{name}");
        } else {
            assert!(is_in(name, false) && !is_in(name, true), "{name}");
        }
    }
}
