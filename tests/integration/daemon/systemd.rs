//! The daemon under a supervisor: units, passed sockets, notifications.

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

use probe_tests::{
    DEADLINE, Daemon, Deadline, conditions, probe_in, requirements, started_by, words,
};
use rustix::process::Signal;

use super::{Place, assert_refused, text};

fn dist(name: &str) -> PathBuf {
    requirements::checkout_file("dist/systemd").join(name)
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("systemd is installed");
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {printed}");
    printed
}

#[test]
#[ignore = "needs root"]
fn systemd_analyze_accepts_the_units() {
    let place = Place::new();
    let probe = conditions::unrestricted(&[]);
    let service = fs::read_to_string(dist("probe.service")).expect("the file exists");
    // The tests install no probe, so the unit names the one under test.
    let program = probe.get_program().to_str().expect("UTF-8");
    assert!(service.contains("ExecStart=/usr/bin/probe daemon\n"));
    let service = service.replace("/usr/bin/probe", program);
    let units = ["probe.service", "probe.socket"].map(|it| place.path(it));
    fs::write(&units[0], service).expect("the file is writable");
    fs::copy(dist("probe.socket"), &units[1]).expect("the file is copied");
    let mut verify = requirements::tool("systemd-analyze");
    let printed = succeeds(verify.args(["verify", "--man=no"]).args(&units));
    assert_eq!(printed, "");
}

#[test]
#[ignore = "needs root"]
fn the_service_grants_two_capabilities_and_is_sandboxed() {
    let unit = dist("probe.service");
    let service = fs::read_to_string(&unit).expect("the file exists");
    for set in ["AmbientCapabilities", "CapabilityBoundingSet"] {
        let line = format!("\n{set}=CAP_BPF CAP_PERFMON\n");
        assert!(service.contains(&line), "{set}");
    }
    let mut security = requirements::tool("systemd-analyze");
    security.args(["security", "--offline=yes", "--threshold=15"]);
    let printed = succeeds(security.arg(&unit));
    assert!(printed.contains("OK"), "{printed}");
}

#[test]
#[ignore = "needs root"]
fn systemd_sysusers_creates_the_user_and_its_group() {
    let root = Daemon::directory();
    fs::create_dir(root.path().join("etc")).expect("the directory is created");
    let mut sysusers = requirements::tool("systemd-sysusers");
    sysusers.arg("--root").arg(root.path());
    let _printed = succeeds(sysusers.arg(dist("probe.sysusers")));
    for file in ["etc/passwd", "etc/group"] {
        let entries = fs::read_to_string(root.path().join(file)).expect("the file was created");
        let has_probe = entries.lines().any(|it| it.starts_with("probe:"));
        assert!(has_probe, "{file}: {entries}");
    }
}

/// `systemd-socket-activate` with these arguments and a daemon behind it.
fn activated(args: &[&str]) -> Command {
    const ACTIVATE: &str = "systemd-socket-activate";
    let _is_installed = requirements::tool(ACTIVATE);
    let daemon = words("daemon --socket /not/this/one --mode 0600");
    started_by(&[&[ACTIVATE], args].concat(), &daemon)
}

#[test]
#[ignore = "needs root"]
fn a_passed_socket_is_served_and_not_removed() {
    let place = Place::new();
    let mut command = activated(&["-l", text(&place.socket)]);
    let daemon = Daemon::start_in(&mut command, &place.socket);
    assert_eq!(daemon.get("/healthz").status, 200);
    // This process is the daemon: systemd-socket-activate has no such restriction.
    assert_eq!(daemon.status("NoNewPrivs"), "1");
    let _output = daemon.stop_keeping_socket();
    assert!(place.socket.exists(), "the supervisor removes the socket");
}

#[test]
#[ignore = "needs root"]
fn several_sockets_and_datagram_sockets_are_refused() {
    let place = Place::new();
    let run = |args: &[&str], address: &Path, knock: &dyn Fn(&Path) -> bool| {
        let daemon = Daemon::spawn(&mut activated(args), address);
        // systemd-socket-activate starts the daemon at the first connection.
        Deadline::start().until("systemd-socket-activate listens", || knock(address));
        daemon.finish()
    };
    let stream = |path: &Path| std::os::unix::net::UnixStream::connect(path).is_ok();
    let datagram = |path: &Path| {
        let socket = UnixDatagram::unbound().expect("a socket can be created");
        socket.send_to(b"knock", path).is_ok()
    };
    let [one, two, datagrams] = ["one", "two", "datagrams"].map(|it| place.path(it));
    let several = run(&["-l", text(&one), "-l", text(&two)], &one, &stream);
    assert_refused(&several, 1, &["2 sockets", "ListenStream="]);
    let args = ["--datagram", "-l", text(&datagrams)];
    let output = run(&args, &datagrams, &datagram);
    assert_refused(&output, 1, &["LISTEN_FDS", "ListenStream="]);
}

#[test]
#[ignore = "needs root"]
fn sockets_passed_to_another_process_are_ignored() {
    let with_sockets = |args: &[&str]| {
        let mut command = conditions::unrestricted(args);
        command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
        command
    };
    let place = Place::new();
    let _output = place.serve_in(with_sockets, "").stop();
}

/// The socket of a supervisor, on which the daemon notifies it.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn of(socket: io::Result<UnixDatagram>) -> Self {
        let socket = socket.expect("the address is free");
        let set = socket.set_read_timeout(Some(DEADLINE));
        set.expect("a timeout may be set");
        Self(socket)
    }

    /// Receives messages up to the first with this line.
    fn receive(&self, line: &str) -> String {
        loop {
            let mut buffer = [0; 4096];
            let received = self.0.recv(&mut buffer);
            let length = received.unwrap_or_else(|error| panic!("no {line}: {error}"));
            let message = String::from_utf8_lossy(&buffer[..length]);
            if message.lines().any(|it| it == line) {
                return message.into_owned();
            }
        }
    }
}

fn assert_notifies(supervisor: &Supervisor, address: &str) {
    let place = Place::new();
    let line = place.line("--user 4242");
    let mut command = conditions::unrestricted(&words(&line));
    command.env("NOTIFY_SOCKET", address);
    // Short enough for the test to see several, long enough for a busy machine.
    let patience = Duration::from_secs(1).as_micros().to_string();
    command.env("WATCHDOG_USEC", patience);
    let daemon = Daemon::spawn(&mut command, &place.socket);
    let ready = supervisor.receive("READY=1");
    assert!(ready.contains("STATUS="), "{ready}");
    // A daemon that reports ready answers at once, because other units start after it.
    assert_eq!(daemon.get("/healthz").status, 200);
    for _ in 0..3 {
        supervisor.receive("WATCHDOG=1");
    }
    daemon.signal(Signal::TERM);
    supervisor.receive("STOPPING=1");
    daemon.finish().assert_ended(0, &[]);
}

#[test]
#[ignore = "needs root"]
fn a_supervisor_is_notified_of_ready_watchdog_and_stopping() {
    requirements::require_bpf();
    let place = Place::new();
    let path = place.path("notify");
    let supervisor = Supervisor::of(UnixDatagram::bind(&path));
    // The daemon has changed its user by then.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&path, open).expect("the test owns the file");
    assert_notifies(&supervisor, text(&path));
    let name = format!("probe-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("the name is short");
    let supervisor = Supervisor::of(UnixDatagram::bind_addr(&address));
    assert_notifies(&supervisor, &format!("@{name}"));
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_fails_to_start_never_reports_ready() {
    let place = Place::new();
    let path = place.path("notify");
    let supervisor = Supervisor::of(UnixDatagram::bind(&path));
    let socket = place.path("not/there");
    let mut command = conditions::unrestricted(&["daemon", "--socket", text(&socket)]);
    let output = probe_in(command.env("NOTIFY_SOCKET", &path));
    output.assert_ended(1, &[]);
    let set = supervisor.0.set_nonblocking(true);
    set.expect("the option may be set");
    let received = supervisor.0.recv(&mut [0; 16]);
    let error = received.expect_err("no message was sent");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}
