//! A member of a trial: its resources, and what it does until it ends.

use std::{
    ffi::CString,
    fs,
    io::{PipeReader, PipeWriter, Write},
    net::{SocketAddrV4, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    process,
    sync::Barrier,
    thread,
};

use rustix::thread::set_name;

use super::{
    behaviour,
    order::{Batch, Directory, Visitor},
};
use crate::{
    plan::{Behaviour, Entry, Leave},
    sys,
};

/// Makes the members of one cgroup: the first joins it, and the others inherit it, which is
/// faster than joining.
pub(crate) fn lead(
    batch: &Batch,
    index: usize,
    directories: &[Directory],
    (tell, gate): (PipeWriter, PipeReader),
) -> ! {
    join(directories);
    if !batch.name.is_empty() {
        // The kernel keeps 15 bytes.
        let name = CString::new(&*batch.name).expect("no name has a zero");
        set_name(&name).expect("the kernel cuts a long name");
    }
    let places = batch.places.len();
    let share = batch.processes / places + usize::from(index < batch.processes % places);
    let early = (index == 0 && batch.shares_sockets).then(|| Sockets::open(batch));
    let is_leader = (1..share).all(|_| sys::fork() != 0);
    let late = (index == 0 && is_leader && early.is_none()).then(|| Sockets::open(batch));
    let memory = vec![1_u8; batch.kibibytes << 10];
    let threaded = match batch.behaviour {
        Behaviour::Still => batch.children.as_slice(),
        // The process moves as a whole.
        _ => &[],
    };
    start_threads(batch.threads, threaded);
    behaviour::run(batch, Ready(tell), gate);
    drop((early, late, memory));
    sys::exit(0)
}

/// Enters the target, and leaves it again if the plan says so.
pub(crate) fn visit(visitor: &Visitor, (tell, mut gate): (PipeWriter, PipeReader)) -> ! {
    if visitor.entry == Entry::Moved || visitor.is_stranger {
        join(&visitor.refuge);
    }
    start_threads(visitor.threads, &[]);
    // A clone is in its cgroup already, but `clone3` knows no v1 cgroup.
    if visitor.entry != Entry::Moved && !visitor.is_stranger {
        join(&visitor.target);
    }
    if visitor.leave == Leave::ByItself {
        join(&visitor.refuge);
    }
    Ready(tell).report();
    if visitor.leave != Leave::Exits {
        behaviour::until_open(&mut gate);
    }
    sys::exit(0)
}

/// Moves the process to a cgroup in each hierarchy.
fn join(directories: &[Directory]) {
    for directory in directories {
        let file = directory.path().join("cgroup.procs");
        fs::write(&file, "0").unwrap_or_else(|error| panic!("join {}: {error}", file.display()));
    }
}

/// Starts threads, which move to threaded cgroups if there are any, in turn.
fn start_threads(threads: usize, cgroups: &[Vec<Directory>]) {
    // The threads never end, and so they keep the barrier.
    let barrier: &'static Barrier = Box::leak(Box::new(Barrier::new(threads)));
    for index in 1..threads {
        let cgroup = cgroups.get((index - 1) % cgroups.len().max(1));
        let cgroup = cgroup
            .and_then(|it| it.first())
            .map(|it| it.path().to_owned());
        thread::spawn(move || {
            if let Some(cgroup) = cgroup {
                fs::write(cgroup.join("cgroup.threads"), "0").expect("the cgroup is threaded");
            }
            barrier.wait();
            loop {
                thread::park();
            }
        });
    }
    barrier.wait();
}

/// Reports to the spawner that a member is ready.
pub(crate) struct Ready(PipeWriter);

impl Ready {
    pub(crate) fn report(mut self) {
        let me = process::id().to_ne_bytes();
        self.0.write_all(&me).expect("the spawner reads it");
    }
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
