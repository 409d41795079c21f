//! A member of a trial: its resources and its behaviour.

use std::{
    fs,
    io::{self, PipeReader, PipeWriter, Read, Write},
    net::{SocketAddrV4, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    path::PathBuf,
    process, thread,
};

use rustix::process::{WaitOptions, wait};

use super::{order::Batch, sys};
use crate::plan::Behaviour;

/// Limit of generations of a relay.
const GENERATIONS: u32 = 100;

/// Makes the members of one cgroup: the first joins it, and the others inherit it, which is
/// faster than joining.
pub(crate) fn lead(
    batch: &Batch,
    index: usize,
    directories: &[PathBuf],
    pipes: (PipeWriter, PipeReader),
) -> ! {
    for directory in directories {
        fs::write(directory.join("cgroup.procs"), "0").expect("the cgroup was made for us");
    }
    let places = batch.places.len();
    let share = batch.processes / places + usize::from(index < batch.processes % places);
    let early = (index == 0 && batch.shares_sockets).then(|| Sockets::open(batch));
    let is_leader = (1..share).all(|_| sys::fork() != 0);
    let late = (index == 0 && is_leader && early.is_none()).then(|| Sockets::open(batch));
    settle(batch, pipes);
    drop((early, late));
    sys::exit(0)
}

struct Sockets {
    _tcp: Vec<TcpListener>,
    _unix: Vec<UnixListener>,
}

impl Sockets {
    fn open(batch: &Batch) -> Self {
        let tcp = |address: &SocketAddrV4| {
            TcpListener::bind(address)
                .unwrap_or_else(|error| panic!("listen on {address}: {error}"))
        };
        let unix = |name: &String| {
            SocketAddr::from_abstract_name(name)
                .and_then(|address| UnixListener::bind_addr(&address))
                .unwrap_or_else(|error| panic!("listen on @{name}: {error}"))
        };
        Self {
            _tcp: batch.tcp.iter().map(tcp).collect(),
            _unix: batch.unix.iter().map(unix).collect(),
        }
    }
}

/// Behaves until the member may exit by itself.
fn settle(batch: &Batch, (mut tell, mut gate): (PipeWriter, PipeReader)) {
    let memory = vec![1_u8; batch.kibibytes << 10];
    for _ in 1..batch.threads {
        thread::spawn(|| {
            loop {
                thread::park();
            }
        });
    }
    let me = process::id().to_ne_bytes();
    let mut ready = || tell.write_all(&me).expect("the spawner reads it");
    match batch.behaviour {
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
        tell.write_all(&me).expect("the spawner reads it");
        until_open(&mut gate);
        sys::exit(0)
    });
    sys::exit_thread();
}

fn until_open(gate: &mut PipeReader) {
    let _end_of_file: io::Result<usize> = gate.read(&mut [0]);
}
