//! A member of a trial: its resources and its behaviour.

use std::{
    fs,
    io::{self, PipeReader, PipeWriter, Read, Write},
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    process, thread,
};

use anyhow::Context;
use rustix::process::{WaitOptions, wait};
use serde_json::Value;

use crate::sys;

/// Limit of generations of a relay.
const GENERATIONS: u32 = 100;

/// An order to make members.
pub(crate) struct Members {
    /// For each cgroup its directory in every hierarchy.
    pub(crate) places: Vec<Vec<String>>,
    pub(crate) processes: usize,
    threads: usize,
    /// Memory of each process.
    kibibytes: usize,
    tcp: Vec<String>,
    unix: Vec<String>,
    /// Whether every member of the first cgroup holds the sockets, not only one.
    shares_sockets: bool,
    behaviour: Behaviour,
}

/// The behaviour of a member until it dies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Still,
    /// Makes children that exit, repeatedly.
    Forks,
    /// Exits as soon as it has a child with the same behaviour.
    Relays,
    /// Its first thread exits.
    Leaderless,
}

impl Members {
    pub(crate) fn read(order: &Value) -> anyhow::Result<Self> {
        let number = |name: &str| {
            let number = order[name].as_u64().and_then(|it| it.try_into().ok());
            number.with_context(|| format!("no number {name}"))
        };
        let texts = |value: &Value| -> Vec<String> {
            let texts = value.as_array().into_iter().flatten();
            texts
                .filter_map(|it| Some(it.as_str()?.to_owned()))
                .collect()
        };
        let places = order["places"].as_array().context("no places")?;
        Ok(Self {
            places: places.iter().map(texts).collect(),
            processes: number("processes")?,
            threads: number("threads")?,
            kibibytes: number("kibibytes")?,
            tcp: texts(&order["tcp"]),
            unix: texts(&order["unix"]),
            shares_sockets: order["shares_sockets"] == true,
            behaviour: match order["behaviour"].as_str() {
                Some("forks") => Behaviour::Forks,
                Some("relays") => Behaviour::Relays,
                Some("leaderless") => Behaviour::Leaderless,
                _ => Behaviour::Still,
            },
        })
    }
}

/// Makes the members of one cgroup: the first joins it, and the others inherit it, which is
/// faster than joining.
pub(crate) fn lead(
    members: &Members,
    index: usize,
    directories: &[String],
    pipes: (PipeWriter, PipeReader),
) -> ! {
    for directory in directories {
        fs::write(format!("{directory}/cgroup.procs"), "0").expect("the cgroup was made for us");
    }
    let places = members.places.len();
    let share = members.processes / places + usize::from(index < members.processes % places);
    let early = (index == 0 && members.shares_sockets).then(|| Sockets::open(members));
    let is_leader = (1..share).all(|_| sys::fork() != 0);
    let late = (index == 0 && is_leader && early.is_none()).then(|| Sockets::open(members));
    settle(members, pipes);
    drop((early, late));
    sys::exit(0)
}

struct Sockets {
    _tcp: Vec<TcpListener>,
    _unix: Vec<UnixListener>,
}

impl Sockets {
    fn open(members: &Members) -> Self {
        let tcp = |address: &String| {
            TcpListener::bind(address)
                .unwrap_or_else(|error| panic!("listen on {address}: {error}"))
        };
        let unix = |name: &String| {
            SocketAddr::from_abstract_name(name)
                .and_then(|address| UnixListener::bind_addr(&address))
                .unwrap_or_else(|error| panic!("listen on @{name}: {error}"))
        };
        Self {
            _tcp: members.tcp.iter().map(tcp).collect(),
            _unix: members.unix.iter().map(unix).collect(),
        }
    }
}

/// Behaves until the member may exit by itself.
fn settle(members: &Members, (mut tell, mut gate): (PipeWriter, PipeReader)) {
    let memory = vec![1_u8; members.kibibytes << 10];
    for _ in 1..members.threads {
        thread::spawn(|| {
            loop {
                thread::park();
            }
        });
    }
    let me = process::id().to_ne_bytes();
    let mut ready = || tell.write_all(&me).expect("soak_spawner reads it");
    match members.behaviour {
        Behaviour::Leaderless => exit_leader(tell, gate),
        Behaviour::Still => {
            ready();
            until_open(&mut gate);
        }
        Behaviour::Forks => {
            ready();
            loop {
                if sys::fork() == 0 {
                    sys::exit(0);
                }
                let _reaped = wait(WaitOptions::empty());
            }
        }
        Behaviour::Relays => {
            ready();
            let _last = (0..GENERATIONS).find(|_| sys::fork() != 0);
        }
    }
    drop(memory);
}

/// Exits the first thread. A second thread continues the process.
fn exit_leader(mut tell: PipeWriter, mut gate: PipeReader) {
    thread::spawn(move || {
        while !fs::read_to_string("/proc/self/stat").is_ok_and(|it| it.contains(") Z ")) {
            thread::yield_now();
        }
        let me = process::id().to_ne_bytes();
        tell.write_all(&me).expect("soak_spawner reads it");
        until_open(&mut gate);
        sys::exit(0)
    });
    sys::exit_thread();
}

fn until_open(gate: &mut PipeReader) {
    let _end_of_file: io::Result<usize> = gate.read(&mut [0]);
}
