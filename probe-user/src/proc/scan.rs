//! Everybody whom `/proc` shows, by the files that all may read.
//!
//! One buffer and a handful of system calls for each process: a scan of a
//! thousand is to take milliseconds.

use std::{
    fmt::Write,
    fs,
    io::{self, ErrorKind},
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    buffer::spare_capacity,
    fs::{CWD, Mode, OFlags, openat},
    io::{Errno, read},
};

use super::user_namespace;
use crate::{
    cgroup::mounts::rank_of,
    model::{Comm, ScannedProcess},
};

/// `PF_EXITING`, since 2.6.
const PF_EXITING: u64 = 0x4;

/// A process, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its cgroup is not filled in: `/proc` shows a path.
    pub process: ScannedProcess,
    /// The cgroup that the kernel half would name; `None` if it had gone.
    pub place: Option<Place>,
}

/// A cgroup, as `/proc/PID/cgroup` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// 0 for v2.
    pub hierarchy: u32,
    /// Path below the root of the hierarchy.
    pub path: String,
}

/// A scan of `/proc`; who vanishes meanwhile is left out.
#[derive(Debug)]
pub struct Processes {
    entries: fs::ReadDir,
    asks_owners: bool,
    directory: String,
    buffer: Vec<u8>,
    failure: Option<io::Error>,
}

/// Begins a scan. To find out the owners of user namespaces takes the right to
/// trace everybody, and a system call more for each process.
pub fn scan(asks_owners: bool) -> io::Result<Processes> {
    Ok(Processes {
        entries: fs::read_dir("/proc")?,
        asks_owners,
        directory: String::new(),
        buffer: Vec::with_capacity(4096),
        failure: None,
    })
}

impl Iterator for Processes {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let entry = match self.entries.next()? {
                Ok(entry) => entry,
                Err(error) => return self.fail(error),
            };
            let pid = entry.file_name().to_str().and_then(|it| it.parse().ok());
            match pid.map(|pid| self.look(pid)) {
                Some(Ok(found)) => return Some(found),
                Some(Err(error)) if is_ours(&error) => return self.fail(error),
                // Gone, or hidden from us.
                Some(Err(_)) | None => {}
            }
        }
    }
}

impl Processes {
    /// Why the scan ended before everybody was seen.
    pub fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    fn fail(&mut self, error: io::Error) -> Option<Found> {
        self.failure = Some(error);
        None
    }

    fn look(&mut self, tgid: u32) -> io::Result<Found> {
        self.directory.clear();
        // Never fails for a String.
        let _written = write!(self.directory, "/proc/{tgid}");
        // Whoever has the pid later does not appear in this directory.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, &*self.directory, flags, Mode::empty())?;
        let malformed = || io::Error::from(ErrorKind::InvalidData);
        self.read(&directory, "stat")?;
        let stat = Stat::parse(&self.buffer).ok_or_else(malformed)?;
        self.read(&directory, "status")?;
        let (uid, ns_pid) = parse_status(&self.buffer).ok_or_else(malformed)?;
        let cgroup = self.read(&directory, "cgroup");
        let place = cgroup.ok().and_then(|()| named(&self.buffer));
        let owners = if self.asks_owners {
            user_namespace::owners(directory.as_fd())
        } else {
            None
        };
        Ok(Found {
            process: ScannedProcess {
                tgid,
                start_ticks: stat.start_ticks,
                ppid: stat.ppid,
                uid,
                comm: stat.comm,
                is_dead: stat.is_dead,
                ns_pid,
                owners,
                cgroup: None,
            },
            place,
        })
    }

    fn read(&mut self, directory: &OwnedFd, file: &str) -> io::Result<()> {
        let file = openat(
            directory,
            file,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        self.buffer.clear();
        loop {
            self.buffer.reserve(1024);
            if read(&file, spare_capacity(&mut self.buffer))? == 0 {
                return Ok(());
            }
        }
    }
}

/// We lack something, whoever it is that we look at.
fn is_ours(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
    )
}

/// What is needed of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    comm: Comm,
    ppid: u32,
    start_ticks: u64,
    is_dead: bool,
}

impl Stat {
    /// The name may hold anything, parentheses too.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let begin = bytes.iter().position(|&byte| byte == b'(')? + 1;
        let end = bytes.iter().rposition(|&byte| byte == b')')?;
        let comm = Comm::cut(bytes.get(begin..end)?);
        let rest = std::str::from_utf8(bytes.get(end + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let ppid = fields.next()?.parse().ok()?;
        let flags: u64 = fields.nth(4)?.parse().ok()?;
        let threads: u64 = fields.nth(10)?.parse().ok()?;
        let is_leader_dead = matches!(state, "Z" | "X") || flags & PF_EXITING != 0;
        Some(Self {
            comm,
            ppid,
            start_ticks: fields.nth(1)?.parse().ok()?,
            is_dead: is_leader_dead && threads <= 1,
        })
    }
}

/// Real uid and innermost pid.
fn parse_status(bytes: &[u8]) -> Option<(u32, Option<u32>)> {
    let mut uid = None;
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Some(uids) = line.strip_prefix(b"Uid:") {
            uid = words(uids).next();
        } else if let Some(pids) = line.strip_prefix(b"NSpid:") {
            return Some((uid?, words(pids).last()));
        }
    }
    Some((uid?, None))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes
        .split(u8::is_ascii_whitespace)
        .filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

/// The v2 cgroup unless that is the root, then the best-ranked v1 cgroup that is
/// not a root: what the kernel half says. The newest hierarchy comes first here
/// and last there.
fn named(bytes: &[u8]) -> Option<Place> {
    let text = String::from_utf8_lossy(bytes);
    let mut best: Option<(u8, u32, &str)> = None;
    for line in text.lines() {
        let (hierarchy, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let hierarchy = hierarchy.parse().ok()?;
        let rank = match (hierarchy, path) {
            (0, "/") => u8::MAX,
            (0, _) => 0,
            (_, "/") => continue,
            _ => 1 + rank_of(controllers.split(',')),
        };
        if best.is_none_or(|(least, ..)| rank <= least) {
            best = Some((rank, hierarchy, path));
        }
    }
    best.map(|(_, hierarchy, path)| Place {
        hierarchy,
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(state: char, flags: u32, threads: u32) -> Option<Stat> {
        let text = format!(
            "42 (a) (b) {state} 7 42 42 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 {threads} 0 4711 99 1"
        );
        Stat::parse(text.as_bytes())
    }

    #[test]
    fn a_name_may_look_like_the_end_of_itself() {
        let stat = stat('S', 0x40_0000, 1).expect("a line");
        assert_eq!(stat.comm.to_str(), "a) (b");
        assert_eq!((stat.ppid, stat.start_ticks), (7, 4711));
        assert!(!stat.is_dead);
    }

    #[test]
    fn who_is_exiting_is_dead_unless_another_thread_is_left() {
        let is_dead = |state, flags, threads| stat(state, flags, threads).expect("a line").is_dead;
        assert!(is_dead('Z', 0x40_000c, 1));
        assert!(is_dead('X', 0, 0));
        assert!(is_dead('R', 0x4, 1));
        assert!(!is_dead('Z', 0x4, 2));
    }

    #[test]
    fn what_is_cut_off_is_no_process() {
        let whole = b"42 (a) S 7 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4711";
        assert!(Stat::parse(whole).is_some());
        for len in 0..whole.len() - 4 {
            assert_eq!(Stat::parse(&whole[..len]), None);
        }
        assert_eq!(parse_status(b"Name:\tx\n"), None);
        assert_eq!(named(b"0:"), None);
    }

    #[test]
    fn status_tells_the_real_uid_and_the_innermost_pid() {
        let text = b"Name:\tUid: 9\nUid:\t1000\t0\t0\t0\nNSpid:\t4242\t17\t1\nThreads:\t1\n";
        assert_eq!(parse_status(text), Some((1000, Some(1))));
        assert_eq!(parse_status(b"Uid:\t5\t6\t7\t8\n"), Some((5, None)));
    }

    #[test]
    fn the_cgroup_is_the_one_that_the_kernel_half_names() {
        let of = |text: &str| named(text.as_bytes()).map(|it| (it.hierarchy, it.path));
        let is = |hierarchy, path: &str| Some((hierarchy, path.to_owned()));
        assert_eq!(of("3:pids:/p\n0::/v2:x\n"), is(0, "/v2:x"));
        assert_eq!(of("9:memory:/m\n3:pids:/p\n0::/\n"), is(3, "/p"));
        assert_eq!(of("9:memory:/m\n3:pids:/\n0::/\n"), is(9, "/m"));
        assert_eq!(of("9:cpuset:/s\n3:cpu,cpuacct:/c\n0::/\n"), is(3, "/c"));
        assert_eq!(of("9:cpuset:/s\n1:name=systemd:/d\n"), is(1, "/d"));
        assert_eq!(of("3:pids:/\n0::/\n"), is(0, "/"));
    }

    #[test]
    fn a_scan_finds_this_process_and_its_parent() {
        let found: Vec<_> = scan(true).expect("there is a /proc").collect();
        let this = found
            .iter()
            .find(|it| it.process.tgid == std::process::id());
        let this = this.expect("we live");
        assert!(!this.process.is_dead);
        assert_eq!(this.process.uid, rustix::process::getuid().as_raw());
        assert!(this.place.is_some());
        let parent = found.iter().any(|it| it.process.tgid == this.process.ppid);
        assert!(parent, "{this:?}");
    }
}
