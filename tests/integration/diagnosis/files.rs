//! Processes that wait for a file: of FUSE, and a core dump.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use probe_tests::{
    Cgroup, Deadline, Running, Victim, conditions, inapplicable, kill, record, run, wait_for_state,
};
use rustix::{
    mount::{UnmountFlags, unmount},
    process::Signal,
};
use serde_json::json;
use tempfile::TempDir;

use super::{assert_hint, assert_text, reason_of};

/// A FUSE file system of which the server never answers one kind of request. Dropping it ends
/// the server and unmounts the file system.
struct HangingFuse {
    server: Running,
    directory: TempDir,
}

impl HangingFuse {
    fn start(hangs: &str) -> Self {
        if !Path::new("/dev/fuse").exists() {
            inapplicable("this kernel has no FUSE");
        }
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(conditions::program("hang_fuse"));
        command.arg(directory.path()).arg(hangs);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let server = Running::spawn(&mut command);
        assert_eq!(server.next_line().as_deref(), Some("mounted"));
        Self { server, directory }
    }

    fn mount(&self) -> &str {
        self.directory.path().to_str().expect("text")
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("f")
    }

    /// A process that holds the file open: the kernel asks the server at its exit.
    fn victim(&self, cgroup: &Cgroup) -> Victim {
        let path = self.file().display().to_string();
        let (victim, _) = Victim::ready(&["opening", &path, "ready", "pause"], cgroup);
        victim
    }

    fn connection(&self) -> u32 {
        let device = rustix::fs::stat(self.directory.path()).expect("attributes are cached");
        rustix::fs::minor(device.st_dev)
    }
}

impl Drop for HangingFuse {
    fn drop(&mut self) {
        kill(self.server.pid());
        let _unmounted = unmount(self.directory.path(), UnmountFlags::DETACH);
    }
}

#[test]
#[ignore = "needs root"]
fn a_thread_that_reads_from_a_fuse_server_without_answers_is_named() {
    let fuse = HangingFuse::start("read");
    let cgroup = Cgroup::v2("fuse-read");
    let path = fuse.file();
    let victim = Victim::start(&["reading", path.to_str().expect("text")], Some(&cgroup));
    let report = victim.report();
    let (pid, tid) = (record::pid(&report), &report["tid"]);
    let reason = reason_of(pid, "fuse");
    assert_eq!(&reason["tid"], tid, "{reason:#}");
    assert_eq!(reason["phase"], "living", "{reason:#}");
    assert_eq!(reason["connection"], fuse.connection(), "{reason:#}");
    assert_eq!(reason["mount"], fuse.mount(), "{reason:#}");
    let servers = reason["servers"].as_array().expect("an array");
    let is_named = |it: &serde_json::Value| it["pid"] == fuse.server.pid();
    assert!(servers.iter().any(is_named), "{reason:#}");
    assert_text(&reason, &["waits for FUSE at", fuse.mount(), "hang_fuse["]);
    assert_hint(&reason, &[&format!("/{}/abort", fuse.connection())]);
    // The victim dies when its read fails.
    drop(fuse);
}

#[test]
#[ignore = "needs root"]
fn a_process_that_hangs_in_its_exit_is_exiting_and_waits_for_fuse() {
    let fuse = HangingFuse::start("flush");
    let cgroup = Cgroup::v2("fuse-flush");
    let victim = fuse.victim(&cgroup);
    victim.signal(Signal::KILL);
    let reason = reason_of(victim.pid(), "fuse");
    assert_eq!(reason["phase"], "exiting", "{reason:#}");
    assert_text(&reason, &["is exiting and waits for FUSE"]);
    // The first line of a time-out says what is left.
    let output = run(&format!("wait -t 0.1 --cgroup {}", cgroup.path()));
    assert_eq!(output.code, Some(3), "{output:#?}");
    let first = output.stderr.lines().next().unwrap_or_default();
    let pid = victim.pid();
    assert!(
        first.starts_with(&format!("1 is left: victim[{pid}] is exiting")),
        "{output:#?}"
    );
    drop(fuse);
}

#[test]
#[ignore = "needs root"]
fn a_kill_aborts_the_fuse_connection_if_asked() {
    let fuse = HangingFuse::start("flush");
    let abort = format!("/sys/fs/fuse/connections/{}/abort", fuse.connection());
    if !Path::new(&abort).exists() {
        let connections = Path::new("/sys/fs/fuse/connections");
        let mounted = rustix::mount::mount(
            "fusectl",
            connections,
            "fusectl",
            rustix::mount::MountFlags::empty(),
            c"",
        );
        mounted.expect("root may mount");
    }
    let cgroup = Cgroup::v2("fuse-abort");
    let _victim = fuse.victim(&cgroup);
    let output = run(&format!("kill --abort-fuse --cgroup {}", cgroup.path()));
    assert_eq!(output.code, Some(0), "{output:#?}");
    let told = format!("aborted the FUSE connection {}", fuse.connection());
    assert!(output.stderr.contains(&told), "{output:#?}");
}

const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";

/// A handler of core dumps that reads nothing. Dropping it restores the setting.
struct SlowHandler {
    before: Vec<u8>,
    directory: TempDir,
}

impl SlowHandler {
    fn install() -> Self {
        if !Path::new("/bin/sh").exists() {
            inapplicable("there is no shell for a handler of core dumps");
        }
        let directory = tempfile::tempdir().expect("a directory");
        let handler = directory.path().join("handler");
        let pid = directory.path().join("pid");
        let script = format!(
            "#!/bin/sh\necho $$ > {0}.new\nmv {0}.new {0}\nread nothing < /dev/zero\n",
            pid.display()
        );
        fs::write(&handler, script).expect("writable");
        fs::set_permissions(&handler, fs::Permissions::from_mode(0o755)).expect("our own file");
        let before = fs::read(CORE_PATTERN).expect("readable");
        fs::write(CORE_PATTERN, format!("|{}", handler.display())).expect("root may write");
        Self { before, directory }
    }

    fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.directory.path().join("pid")).ok()?;
        text.trim().parse().ok()
    }
}

impl Drop for SlowHandler {
    fn drop(&mut self) {
        let _restored = fs::write(CORE_PATTERN, &self.before);
        if let Some(pid) = self.pid() {
            kill(pid);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_process_that_writes_a_core_dump_names_the_handler() {
    let handler = SlowHandler::install();
    let cgroup = Cgroup::v2("core");
    let mut victim = Victim::start(&["eating", "8", "signal", "11"], Some(&cgroup));
    Deadline::start().until("the handler runs", || handler.pid().is_some());
    let reason = reason_of(victim.pid(), "core_dump");
    let pattern = handler.directory.path().display().to_string();
    assert_text(&reason, &["writes a core dump", &pattern]);
    drop(handler);
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn a_vfork_parent_names_its_child() {
    let cgroup = Cgroup::v2("vfork");
    let (_victim, pid) = Victim::ready(&["in-vfork"], &cgroup);
    wait_for_state(pid, 'D');
    let reason = reason_of(pid, "vfork");
    let members = cgroup.procs();
    let child = members
        .iter()
        .find(|&&it| it != pid)
        .expect("the child is a member");
    assert_eq!(reason["children"][0]["pid"], *child, "{reason:#}");
    assert_eq!(reason["children"].as_array().map(Vec::len), Some(1));
    assert_eq!(reason["hint"], json!("end the child"));
}
