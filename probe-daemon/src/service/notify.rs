//! What a supervisor is told: `sd_notify(3)` and its watchdog.
//!
//! A datagram of text; the protocol is stable and small enough to speak it
//! without a library. Nothing is said where nobody asked.

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

/// What a supervisor put into the environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `NOTIFY_SOCKET`.
    pub socket: Option<OsString>,
    /// `WATCHDOG_USEC`.
    pub watchdog_usec: Option<OsString>,
    /// `WATCHDOG_PID`.
    pub watchdog_pid: Option<OsString>,
}

/// Who started us and wants to know.
#[derive(Debug, Default)]
pub struct Supervisor {
    address: Option<SocketAddr>,
    patience: Option<Duration>,
}

impl Supervisor {
    /// As the environment says; nobody if it says nothing.
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        let address = environment.socket.as_deref().and_then(|text| {
            address(text)
                .inspect_err(|error| warn!(%error, "NOTIFY_SOCKET is no address: {text:?}"))
                .ok()
        });
        Self {
            patience: address.as_ref().and_then(|_| patience(environment)),
            address,
        }
    }

    /// How often [`Supervisor::alive`] is expected: half of the time after which
    /// the supervisor ends us. `None` if it does not watch.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.patience.map(|patience| patience / 2)
    }

    /// From now on everything is served.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// What the supervisor shows to people.
    pub fn status(&self, status: &str) {
        self.say(&format!("STATUS={}", one_line(status)));
    }

    /// From now on nothing new is served.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// What is done every [`Supervisor::watchdog`], by the loop that serves, so
    /// that one that stands still is noticed.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// [`Supervisor::alive`] for ever, within the runtime that serves.
    pub async fn keep_alive(&self) {
        let Some(period) = self.watchdog() else {
            return std::future::pending().await;
        };
        let mut ticks = tokio::time::interval(period);
        loop {
            ticks.tick().await;
            self.alive();
        }
    }

    /// A new socket each time: systemd makes its own anew when it is restarted,
    /// and a full queue must not block the loop.
    fn say(&self, message: &str) {
        let Some(address) = &self.address else {
            return;
        };
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to_addr(message.as_bytes(), address)
        });
        if let Err(error) = sent {
            debug!(%error, message, "the supervisor was not told");
        }
    }
}

/// `/path`, or `@name` in the abstract namespace.
fn address(text: &OsStr) -> io::Result<SocketAddr> {
    match text.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(text),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// `WATCHDOG_PID` says whom it means: the variables are inherited by children.
fn patience(environment: &Environment) -> Option<Duration> {
    let number = |text: &OsString| text.to_str()?.parse::<u64>().ok();
    let is_ours = match &environment.watchdog_pid {
        Some(pid) => number(pid) == Some(process::id().into()),
        None => true,
    };
    let microseconds = number(environment.watchdog_usec.as_ref()?)?;
    // An interval of nothing is none.
    (is_ours && microseconds > 1).then(|| Duration::from_micros(microseconds))
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
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

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_supervisor_at_a_path_hears_every_state() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let supervisor = Supervisor::new(&environment(path.to_str().expect("text")));
        supervisor.ready("serving\nall");
        assert_eq!(heard(&socket), "READY=1\nSTATUS=serving all");
        supervisor.alive();
        assert_eq!(heard(&socket), "WATCHDOG=1");
        supervisor.status("3 waits");
        assert_eq!(heard(&socket), "STATUS=3 waits");
        supervisor.stopping();
        assert_eq!(heard(&socket), "STOPPING=1");
    }

    #[test]
    fn an_abstract_address_is_one_too() {
        let name = format!("probe-notify-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("short");
        let socket = UnixDatagram::bind_addr(&address).expect("bound");
        Supervisor::new(&environment(&format!("@{name}"))).stopping();
        assert_eq!(heard(&socket), "STOPPING=1");
    }

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_it_asks() {
        let supervisor = Supervisor::new(&environment("/nowhere"));
        assert_eq!(supervisor.watchdog(), Some(Duration::from_millis(1500)));
        let with_pid = |pid: u32| Environment {
            watchdog_pid: Some(pid.to_string().into()),
            ..environment("/nowhere")
        };
        let ours = Supervisor::new(&with_pid(process::id()));
        assert!(ours.watchdog().is_some());
        let parents = Supervisor::new(&with_pid(1));
        assert_eq!(parents.watchdog(), None);
    }

    #[test]
    fn nobody_is_told_where_nobody_asked() {
        let nobody = Supervisor::new(&Environment::default());
        nobody.ready("serving");
        assert_eq!(nobody.watchdog(), None);
        // A kind of address that systemd has for virtual machines only.
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
    fn a_supervisor_that_is_gone_is_no_failure() {
        Supervisor::new(&environment("/nowhere/at/all")).ready("serving");
    }
}
