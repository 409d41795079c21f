//! The socket that is served: made here, or handed over by a supervisor.
//!
//! Nobody may connect before the permissions are those that were asked for, two
//! daemons may not share a path, and what is no dead socket is never removed.

mod error;
mod lock;

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, fstat, open},
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
        sockopt,
    },
    process::geteuid,
};
use tracing::{debug, warn};

pub use self::error::SocketError;
use self::lock::Lock;
use super::{
    accounts::{Account, Group},
    config::Config,
};

/// Connections that wait to be accepted: the kernel cuts it to
/// `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Below it directories are made: it is empty after every boot.
const RUN: &str = "/run";

/// Connecting is writing.
const WORLD_WRITABLE: u32 = 0o002;

/// Where a socket goes, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its path.
    pub path: &'a Path,
    /// Its permissions.
    pub mode: u32,
    /// Its group; `None` leaves it as it comes.
    pub group: Option<&'a Group>,
    /// Its user; `None` leaves it as it comes.
    pub account: Option<&'a Account>,
}

impl<'a> Place<'a> {
    /// As configured.
    #[must_use]
    pub fn of(config: &'a Config) -> Self {
        Self {
            path: &config.socket,
            mode: config.mode,
            group: config.group.as_ref(),
            account: config.account.as_ref(),
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    socket: UnixListener,
    /// `None` if a supervisor made it, who removes it too.
    made: Option<Made>,
}

/// What is removed at the end, unless it is somebody else's by then.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Held as long as we serve.
    _lock: Lock,
}

impl Listening {
    /// One that a supervisor made, whose permissions are its business.
    pub fn passed(socket: UnixListener) -> Result<Self, SocketError> {
        let is = |source| SocketError::Passed { source };
        if !sockopt::socket_acceptconn(&socket).map_err(|errno| is(errno.into()))? {
            return Err(SocketError::NotListening);
        }
        socket.set_nonblocking(true).map_err(is)?;
        Ok(Self { socket, made: None })
    }

    /// Makes one.
    pub fn bind(place: Place<'_>) -> Result<Self, SocketError> {
        let Place { path, mode, .. } = place;
        make_directory(path, place.account)?;
        let lock = Lock::take(path, place.account).map_err(|error| named(error, path))?;
        remove_if_dead(path)?;
        let socket = closed_socket(path)?;
        let (file, made) = find(path, lock)?;
        open_to(&file, place)?;
        if mode & WORLD_WRITABLE != 0 {
            warn!(
                "every user may connect to {} (mode {mode:04o}): each sees only what is its own, \
                 but one can take all the connections there are",
                path.display()
            );
        }
        listen(&socket, BACKLOG).map_err(|source| SocketError::Bind {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            socket: socket.into(),
            made: Some(made),
        })
    }

    /// For who accepts: another descriptor of the same socket, non-blocking.
    pub fn socket(&self) -> io::Result<UnixListener> {
        self.socket.try_clone()
    }

    /// The directory that the socket is removed from at the end.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.made.as_ref().and_then(|made| made.path.parent())
    }
}

impl Drop for Made {
    /// Whoever was told to remove what is in the way may have made another
    /// socket in its place.
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|it| (it.dev(), it.ino()) == (self.device, self.inode));
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            debug!(%error, "{} stays; the next daemon replaces it", self.path.display());
        }
    }
}

fn make_directory(path: &Path, account: Option<&Account>) -> Result<(), SocketError> {
    let Some(directory) = path.parent() else {
        return Err(SocketError::NotASocket(path.to_owned()));
    };
    if directory.is_dir() || !directory.starts_with(RUN) {
        return Ok(());
    }
    let failed = |source| SocketError::Directory {
        directory: directory.to_owned(),
        source,
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    builder.create(directory).map_err(failed)?;
    // Whatever the umask is: clients must get through.
    fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(failed)?;
    if let Some(account) = account {
        // It removes the socket at the end.
        std::os::unix::fs::chown(directory, Some(account.uid), None).map_err(failed)?;
    }
    Ok(())
}

/// Removes a socket that nobody listens to; an error for anything else.
fn remove_if_dead(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Stale {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(it) if !it.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match ask(path) {
        Err(Errno::CONNREFUSED) => {
            debug!("{} is what a dead daemon left", path.display());
            fs::remove_file(path).map_err(failed)
        }
        Err(Errno::NOENT) => Ok(()),
        // A full queue is somebody's who is busy; another type is no daemon's.
        Ok(_) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(in_use(path)),
        Err(errno) => Err(failed(errno.into())),
    }
}

fn ask(path: &Path) -> Result<OwnedFd, Errno> {
    let socket = unix_stream()?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn in_use(path: &Path) -> SocketError {
    let peer = ask(path).and_then(sockopt::socket_peercred);
    SocketError::InUse {
        path: path.to_owned(),
        pid: peer.ok().map(|it| it.pid.as_raw_nonzero().get()),
    }
}

/// Who holds the lock may be asked who it is.
fn named(error: SocketError, path: &Path) -> SocketError {
    match error {
        SocketError::InUse { .. } => in_use(path),
        error => error,
    }
}

fn unix_stream() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Bound, and nobody but root gets in: the file takes the permissions that the
/// socket has before it is bound, less the umask.
/// <https://elixir.bootlin.com/linux/v6.12/source/net/unix/af_unix.c#L1234>
fn closed_socket(path: &Path) -> Result<OwnedFd, SocketError> {
    let failed = |source| SocketError::Bind {
        path: path.to_owned(),
        source,
    };
    let address = SocketAddrUnix::new(path).map_err(failed)?;
    let socket = unix_stream().map_err(failed)?;
    fchmod(&socket, Mode::empty()).map_err(failed)?;
    match bind(&socket, &address) {
        Ok(()) => Ok(socket),
        Err(errno @ (Errno::NOENT | Errno::ACCESS | Errno::ROFS | Errno::PERM)) => {
            Err(SocketError::Directory {
                directory: path.parent().unwrap_or(path).to_owned(),
                source: errno.into(),
            })
        }
        Err(errno) => Err(failed(errno)),
    }
}

/// What was bound, by descriptor, so that what is changed is what was looked at;
/// from now on it is removed again whatever happens.
fn find(path: &Path, lock: Lock) -> Result<(OwnedFd, Made), SocketError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = open(path, flags, Mode::empty()).and_then(|file| Ok((fstat(&file)?, file)));
    let (stat, file) = found.map_err(|errno| permissions(path, errno.into()))?;
    let is_socket = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_socket();
    if !is_socket || stat.st_uid != geteuid().as_raw() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    let made = Made {
        path: path.to_owned(),
        device: stat.st_dev,
        inode: stat.st_ino,
        _lock: lock,
    };
    Ok((file, made))
}

/// Gives it its user, group and permissions, in this order: until the last step
/// nobody gets in.
fn open_to(file: &OwnedFd, place: Place<'_>) -> Result<(), SocketError> {
    let user = place.account.map(|it| Uid::from_raw(it.uid));
    let group = place.group.map(|it| Gid::from_raw(it.gid));
    if user.is_some() || group.is_some() {
        chownat(file, "", user, group, AtFlags::EMPTY_PATH).map_err(|errno| {
            match (errno, user, place.group) {
                (Errno::PERM, None, Some(group)) => SocketError::Group {
                    path: place.path.to_owned(),
                    group: group.name.clone(),
                },
                _ => permissions(place.path, errno.into()),
            }
        })?;
    }
    let by_descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::set_permissions(by_descriptor, Permissions::from_mode(place.mode))
        .map_err(|error| permissions(place.path, error))
}

fn permissions(path: &Path, source: io::Error) -> SocketError {
    SocketError::Permissions {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
