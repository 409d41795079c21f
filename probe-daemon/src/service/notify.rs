//! Notifications to the supervisor: `sd_notify(3)` and its watchdog.
//!
//! The crate `sd-notify` (0.5) does not fit: it lacks addresses in the abstract namespace,
//! its send blocks the runtime's thread while the supervisor's queue is full, and it
//! reads the environment, which only the command may do.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};

use tracing::{debug, warn};

/// The environment variables of the protocol.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `NOTIFY_SOCKET`.
    pub socket: Option<OsString>,
    /// `WATCHDOG_USEC`.
    pub watchdog_usec: Option<OsString>,
    /// `WATCHDOG_PID`.
    pub watchdog_pid: Option<OsString>,
}

/// The supervisor that started the daemon. Without a supervisor every method does nothing.
#[derive(Debug, Default)]
pub struct Supervisor {
    address: Option<SocketAddr>,
    watchdog_timeout: Option<Duration>,
}

impl Supervisor {
    /// The supervisor that the environment names.
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        let address = environment.socket.as_deref().and_then(|text| {
            address(text)
                .inspect_err(|error| warn!(%error, "invalid NOTIFY_SOCKET {text:?}"))
                .ok()
        });
        Self {
            watchdog_timeout: address.as_ref().and_then(|_| watchdog_timeout(environment)),
            address,
        }
    }

    /// Period of [`Supervisor::alive`]: half of the watchdog's timeout. `None` if there is no
    /// watchdog.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog_timeout.map(|timeout| timeout / 2)
    }

    /// Reports that the daemon serves requests.
    pub fn ready(&self, status: &str) {
        let status = status.replace('\n', " ");
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// Reports that the daemon stops.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Feeds the watchdog. The thread that serves must call this every
    /// [`Supervisor::watchdog`], so that the supervisor notices when the thread hangs.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// Calls [`Supervisor::alive`] periodically; never returns.
    pub(crate) async fn keep_alive(&self) {
        let Some(period) = self.watchdog() else {
            return std::future::pending().await;
        };
        let mut ticks = tokio::time::interval(period);
        loop {
            ticks.tick().await;
            self.alive();
        }
    }

    /// Sends a message. Each message has a new socket, because systemd replaces its own
    /// socket when systemd is restarted. The send does not block, because a full queue must
    /// not stop the daemon.
    fn send(&self, message: &str) {
        let Some(address) = &self.address else {
            return;
        };
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to_addr(message.as_bytes(), address)
        });
        if let Err(error) = sent {
            debug!(%error, message, "cannot notify the supervisor");
        }
    }
}

/// Parses `/path`, or `@name` in the abstract namespace.
fn address(text: &OsStr) -> io::Result<SocketAddr> {
    match text.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(text),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// The timeout in `WATCHDOG_USEC`; `None` if `WATCHDOG_PID` names another process, because
/// child processes inherit the variables.
fn watchdog_timeout(environment: &Environment) -> Option<Duration> {
    let number = |text: &OsString| text.to_str()?.parse::<u64>().ok();
    let is_ours = match &environment.watchdog_pid {
        Some(pid) => number(pid) == Some(process::id().into()),
        None => true,
    };
    let microseconds = number(environment.watchdog_usec.as_ref()?)?;
    // 0 means that there is no watchdog.
    (is_ours && microseconds > 1).then(|| Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(socket: &str) -> Environment {
        Environment {
            socket: Some(socket.into()),
            watchdog_usec: Some("3000000".into()),
            watchdog_pid: None,
        }
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_supervisor_at_a_path_receives_every_notification() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let supervisor = Supervisor::new(&environment(path.to_str().expect("text")));
        supervisor.ready("serving\nall");
        assert_eq!(received(&socket), "READY=1\nSTATUS=serving all");
        supervisor.alive();
        assert_eq!(received(&socket), "WATCHDOG=1");
        supervisor.stopping();
        assert_eq!(received(&socket), "STOPPING=1");
    }

    #[test]
    fn a_supervisor_in_the_abstract_namespace_is_notified() {
        let name = format!("probe-notify-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("short");
        let socket = UnixDatagram::bind_addr(&address).expect("bound");
        Supervisor::new(&environment(&format!("@{name}"))).stopping();
        assert_eq!(received(&socket), "STOPPING=1");
    }

    #[test]
    fn the_watchdog_period_is_half_of_its_timeout() {
        let supervisor = Supervisor::new(&environment("/nowhere"));
        assert_eq!(supervisor.watchdog(), Some(Duration::from_millis(1500)));
        let with_pid = |pid: u32| Environment {
            watchdog_pid: Some(pid.to_string().into()),
            ..environment("/nowhere")
        };
        let ours = Supervisor::new(&with_pid(process::id()));
        assert!(ours.watchdog().is_some());
        let of_another_process = Supervisor::new(&with_pid(1));
        assert_eq!(of_another_process.watchdog(), None);
    }

    #[test]
    fn without_a_usable_address_nothing_is_sent() {
        let none = Supervisor::new(&Environment::default());
        none.ready("serving");
        assert_eq!(none.watchdog(), None);
        // systemd uses this kind of address only for virtual machines.
        let unknown = Supervisor::new(&environment("vsock:2:1234"));
        unknown.ready("serving");
        assert_eq!(unknown.watchdog(), None);
        let zero = Environment {
            watchdog_usec: Some("0".into()),
            ..environment("/nowhere")
        };
        assert_eq!(Supervisor::new(&zero).watchdog(), None);
    }

    #[test]
    fn a_supervisor_that_is_gone_is_ignored() {
        Supervisor::new(&environment("/nowhere/at/all")).ready("serving");
    }
}
