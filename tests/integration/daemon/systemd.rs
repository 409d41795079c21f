//! Started by a supervisor: its units, its socket, and what it is told.

use std::{
    fs, io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use probe_tests::{DEADLINE, Daemon, conditions, probe_in, requirements};
use rustix::process::Signal;

use super::{assert_refused, text};

fn dist(name: &str) -> PathBuf {
    requirements::checkout_file("dist/systemd").join(name)
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("systemd is installed");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[test]
#[ignore = "needs root"]
fn systemd_finds_nothing_wrong_with_the_units() {
    let directory = Daemon::directory();
    let probe = conditions::unrestricted(&[]);
    let service = fs::read_to_string(dist("probe.service")).expect("there");
    // It is installed nowhere here.
    let place = probe.get_program().to_str().expect("text");
    assert!(service.contains("ExecStart=/usr/bin/probe daemon\n"));
    let service = service.replace("/usr/bin/probe", place);
    let units = ["probe.service", "probe.socket"].map(|it| directory.path().join(it));
    fs::write(&units[0], service).expect("written");
    fs::copy(dist("probe.socket"), &units[1]).expect("copied");
    let mut verify = requirements::tool("systemd-analyze");
    let said = succeeds(verify.args(["verify", "--man=no"]).args(&units));
    assert_eq!(said, "");
}

#[test]
#[ignore = "needs root"]
fn the_units_give_two_capabilities_and_the_sandbox_is_tight() {
    let directory = Daemon::directory();
    let unit = directory.path().join("probe.service");
    fs::copy(dist("probe.service"), &unit).expect("copied");
    let service = fs::read_to_string(&unit).expect("there");
    for set in ["AmbientCapabilities", "CapabilityBoundingSet"] {
        let line = format!("\n{set}=CAP_BPF CAP_PERFMON\n");
        assert!(service.contains(&line), "{set}");
    }
    let mut security = requirements::tool("systemd-analyze");
    security.args(["security", "--offline=yes", "--threshold=15"]);
    let said = succeeds(security.arg(&unit));
    assert!(said.contains("OK"), "{said}");
}

#[test]
#[ignore = "needs root"]
fn the_user_and_its_group_are_made() {
    let root = Daemon::directory();
    fs::create_dir(root.path().join("etc")).expect("made");
    let mut sysusers = requirements::tool("systemd-sysusers");
    sysusers.arg("--root").arg(root.path());
    let _said = succeeds(sysusers.arg(dist("probe.sysusers")));
    for file in ["etc/passwd", "etc/group"] {
        let entries = fs::read_to_string(root.path().join(file)).expect("made");
        let mut lines = entries.lines();
        assert!(
            lines.any(|it| it.starts_with("probe:")),
            "{file}: {entries}"
        );
    }
}

/// `systemd-socket-activate` with these arguments and a daemon behind it.
fn activated(args: &[&str]) -> Command {
    let probe =
        conditions::unrestricted(&["daemon", "--socket", "/not/this/one", "--mode", "0600"]);
    let mut command = requirements::tool("systemd-socket-activate");
    command.args(args).arg(probe.get_program());
    command.args(probe.get_args());
    command
}

#[test]
#[ignore = "needs root"]
fn a_socket_that_is_handed_over_is_served_and_left() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let daemon = Daemon::start_in(&mut activated(&["-l", text(&socket)]), &socket);
    assert_eq!(daemon.get("/healthz").status, 200);
    assert_eq!(daemon.status("NoNewPrivs"), "1", "it is the daemon itself");
    daemon.signal(Signal::TERM);
    let output = daemon.finish();
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert!(socket.exists(), "it is the supervisor's to remove");
}

#[test]
#[ignore = "needs root"]
fn what_is_no_listening_stream_is_refused() {
    let directory = Daemon::directory();
    let place = |name: &str| directory.path().join(name);
    let run = |args: &[&str], address: &Path, knock: &dyn Fn(&Path) -> bool| {
        let daemon = Daemon::spawn(&mut activated(args), address);
        // systemd-socket-activate starts it when somebody comes.
        probe_tests::Deadline::start().until("it listens", || knock(address));
        daemon.finish()
    };
    let stream = |path: &Path| std::os::unix::net::UnixStream::connect(path).is_ok();
    let datagram = |path: &Path| {
        let socket = UnixDatagram::unbound().expect("made");
        socket.send_to(b"knock", path).is_ok()
    };
    let (one, two) = (place("one"), place("two"));
    let several = run(&["-l", text(&one), "-l", text(&two)], &one, &stream);
    assert_refused(&several, 1, &["2 sockets", "ListenStream="]);
    let datagrams = place("datagrams");
    let output = run(
        &["--datagram", "-l", text(&datagrams)],
        &datagrams,
        &datagram,
    );
    assert_refused(&output, 1, &["LISTEN_FDS", "ListenStream="]);
}

#[test]
#[ignore = "needs root"]
fn sockets_for_another_process_are_not_ours() {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let mut command = conditions::unrestricted(&["daemon", "--socket", text(&socket)]);
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let daemon = Daemon::start_in(&mut command, &socket);
    let _output = daemon.stop();
}

/// A supervisor of the test's own.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn of(socket: io::Result<UnixDatagram>) -> Self {
        let socket = socket.expect("bound");
        socket.set_read_timeout(Some(DEADLINE)).expect("set");
        Self(socket)
    }

    /// The first message with this line.
    fn hear(&self, line: &str) -> String {
        loop {
            let mut buffer = [0; 4096];
            let heard = self.0.recv(&mut buffer);
            let length = heard.unwrap_or_else(|error| panic!("no {line}: {error}"));
            let message = String::from_utf8_lossy(&buffer[..length]);
            if message.lines().any(|it| it == line) {
                return message.into_owned();
            }
        }
    }
}

fn supervised(supervisor: &Supervisor, address: &str) {
    let directory = Daemon::directory();
    let socket = directory.path().join("probe.sock");
    let args = ["daemon", "--socket", text(&socket), "--user", "4242"];
    let mut command = conditions::unrestricted(&args);
    command.env("NOTIFY_SOCKET", address);
    // Short enough to see it fed, long enough for a machine that is busy.
    let patience = Duration::from_secs(1).as_micros().to_string();
    command.env("WATCHDOG_USEC", patience);
    let daemon = Daemon::spawn(&mut command, &socket);
    let ready = supervisor.hear("READY=1");
    assert!(ready.contains("STATUS="), "{ready}");
    // Not a moment later: this is what others are started after.
    assert_eq!(daemon.get("/healthz").status, 200);
    for _ in 0..3 {
        supervisor.hear("WATCHDOG=1");
    }
    daemon.signal(Signal::TERM);
    supervisor.hear("STOPPING=1");
    let output = daemon.finish();
    assert_eq!(output.code, Some(0), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_supervisor_is_told_what_happens() {
    requirements::require_bpf();
    let directory = Daemon::directory();
    let path = directory.path().join("notify");
    let supervisor = Supervisor::of(UnixDatagram::bind(&path));
    // The daemon is another user by then.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&path, open).expect("it is ours");
    supervised(&supervisor, text(&path));
    let name = format!("probe-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("short");
    let supervisor = Supervisor::of(UnixDatagram::bind_addr(&address));
    supervised(&supervisor, &format!("@{name}"));
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_does_not_start_is_never_ready() {
    let directory = Daemon::directory();
    let path = directory.path().join("notify");
    let supervisor = Supervisor::of(UnixDatagram::bind(&path));
    let socket = directory.path().join("not/there");
    let mut command = conditions::unrestricted(&["daemon", "--socket", text(&socket)]);
    let output = probe_in(command.env("NOTIFY_SOCKET", &path));
    assert_eq!(output.code, Some(1), "{output:#?}");
    supervisor.0.set_nonblocking(true).expect("set");
    let heard = supervisor.0.recv(&mut [0; 16]);
    let error = heard.expect_err("nothing was said");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}
