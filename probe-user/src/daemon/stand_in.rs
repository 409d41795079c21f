//! A daemon that starts, says that it is healthy, and stops.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
};

use super::{
    RunError,
    config::Config,
    confine::{self, Sight},
    limits,
    notify::Supervisor,
    socket::{Listening, Place},
};
use crate::{
    cgroup::CgroupId,
    container::StateRoots,
    source::{
        cgroupfs,
        load::{self, Plan},
    },
};

/// What a supervisor gave.
#[derive(Debug)]
pub struct Outside {
    /// Whom to tell.
    pub supervisor: Supervisor,
    /// The socket that it listens to.
    pub passed: Option<UnixListener>,
}

/// Serves until `stop`.
pub async fn run(
    config: Config,
    outside: Outside,
    stop: impl Future<Output = i32>,
) -> Result<(), RunError> {
    let max_clients = limits::max_clients(config.max_clients)?;
    let listening = match outside.passed {
        Some(socket) => Listening::passed(socket)?,
        None => Listening::bind(Place::of(&config))?,
    };
    let mounts = cgroupfs::mounts()?;
    let roots = StateRoots::system(None, Vec::new());
    let (mut attached, _rings) = load::load(&Plan::decisive())?;
    let sight = Sight {
        mounts: &mounts,
        roots: &roots,
        socket_directory: listening.directory(),
    };
    confine::confine(&config, sight, || {
        let nobodys = CgroupId {
            hierarchy: u32::MAX,
            id: u64::MAX,
        };
        let works = attached.watch(nobodys).is_ok();
        attached.unwatch(nobodys);
        works
    })?;
    let socket = tokio::net::UnixListener::from_std(listening.socket()?)?;
    outside
        .supervisor
        .ready(&format!("serving at most {max_clients} clients"));
    let serve = async {
        loop {
            let Ok((client, _)) = socket.accept().await else {
                continue;
            };
            let Ok(mut client) = client.into_std() else {
                continue;
            };
            let _blocking = client.set_nonblocking(false);
            let mut request = [0; 4096];
            let _closed = client.read(&mut request);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _closed = client.write_all(answer);
        }
    };
    tokio::select! {
        () = serve => {}
        () = outside.supervisor.keep_alive() => {}
        _ = stop => {}
    }
    outside.supervisor.stopping();
    Ok(())
}
