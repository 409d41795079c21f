//! The socket of the daemon: created here, or inherited from a supervisor.
//!
//! No client can connect before the socket has the configured permissions, two
//! daemons never share a path, and only a socket without a listener is replaced.

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
use tracing::{debug, info, warn};

pub use self::error::SocketError;
use self::lock::Lock;
use super::{
    accounts::{Account, Group},
    config::Config,
};

/// Number of connections that may wait to be accepted; the kernel limits it to
/// `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Directories are created only below this one, because it is empty after every boot.
const RUN: &str = "/run";

/// Permission bit with which every user may connect: connecting needs write permission.
const WORLD_WRITABLE: u32 = 0o002;

/// Path, owner and permissions of a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketOptions<'a> {
    pub(crate) path: &'a Path,
    pub(crate) mode: u32,
    /// `None` keeps the group of the process.
    pub(crate) group: Option<&'a Group>,
    /// `None` keeps the user of the process.
    pub(crate) account: Option<&'a Account>,
}

impl<'a> SocketOptions<'a> {
    /// The options in the configuration.
    pub(crate) fn of(config: &'a Config) -> Self {
        Self {
            path: &config.socket,
            mode: config.mode,
            group: config.group.as_ref(),
            account: config.account.as_ref(),
        }
    }
}

/// A listening socket. A socket that was created here is removed on drop.
#[derive(Debug)]
pub(crate) struct Listening {
    socket: UnixListener,
    /// `None` if a supervisor created the socket and removes it.
    file: Option<SocketFile>,
}

/// The file of a socket that was created here. It is removed on drop, unless another
/// file has its path by then.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Held until the file is removed.
    _lock: Lock,
}

impl Listening {
    /// Takes over a socket from a supervisor. Owner and permissions are not changed.
    pub(crate) fn passed(socket: UnixListener) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Passed { source };
        if !sockopt::socket_acceptconn(&socket).map_err(|errno| failed(errno.into()))? {
            return Err(SocketError::NotListening);
        }
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(Self { socket, file: None })
    }

    /// Creates a socket.
    pub(crate) fn bind(options: SocketOptions<'_>) -> Result<Self, SocketError> {
        let path = options.path;
        make_directory(path, options.account)?;
        let lock = Lock::take(path, options.account).map_err(|error| with_listener(error, path))?;
        remove_if_dead(path)?;
        let socket = closed_socket(path)?;
        let (descriptor, file) = open_socket_file(path, lock)?;
        set_permissions(&descriptor, options)?;
        listen(&socket, BACKLOG).map_err(|source| SocketError::Bind {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            socket: socket.into(),
            file: Some(file),
        })
    }

    /// Another descriptor of the socket, for accepting; the socket is non-blocking.
    pub(crate) fn socket(&self) -> io::Result<UnixListener> {
        self.socket.try_clone()
    }

    /// The path of the socket; `None` if it is not in a file system.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let address = self.socket.local_addr().ok()?;
        address.as_pathname().map(Path::to_owned)
    }

    /// Logs where the daemon listens, and whether every user may connect.
    pub(crate) fn log(&self, options: SocketOptions<'_>) {
        let user = match options.account {
            Some(account) => format!("user {} (uid {})", account.name, account.uid),
            None => format!("uid {}", geteuid().as_raw()),
        };
        let path = self.path().map(|it| it.display().to_string());
        let path = path.unwrap_or_else(|| "an unnamed socket".to_owned());
        info!("listening on {path} as {user}");
        let SocketOptions { mode, .. } = options;
        if self.file.is_some() && mode & WORLD_WRITABLE != 0 {
            warn!(
                "every user may connect to {path} (mode {mode:04o}): a user sees only its own \
                 processes, but can use up all connections"
            );
        }
    }

    /// The directory of the socket, if its file is removed on drop.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.file.as_ref().and_then(|file| file.path.parent())
    }
}

impl Drop for SocketFile {
    /// Removes the file, unless another file has replaced it: for example the socket of a
    /// daemon that was started after an administrator removed this file.
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|it| (it.dev(), it.ino()) == (self.device, self.inode));
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            debug!(%error, "cannot remove {}; the next daemon replaces it", self.path.display());
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
    // Clients must be able to enter the directory, whatever the umask is.
    fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(failed)?;
    if let Some(account) = account {
        // The daemon removes the socket as this user.
        std::os::unix::fs::chown(directory, Some(account.uid), None).map_err(failed)?;
    }
    Ok(())
}

/// Removes a socket without a listener. Any other file at the path is an error.
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
    match connect_to(path) {
        Err(Errno::CONNREFUSED) => {
            debug!("removing {}, which has no listener", path.display());
            fs::remove_file(path).map_err(failed)
        }
        Err(Errno::NOENT) => Ok(()),
        // EAGAIN: the queue of a busy listener is full. EPROTOTYPE: the socket is of
        // another type, so it does not belong to a daemon.
        Ok(_) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(in_use(path)),
        Err(errno) => Err(failed(errno.into())),
    }
}

fn connect_to(path: &Path) -> Result<OwnedFd, Errno> {
    let socket = unix_stream()?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn in_use(path: &Path) -> SocketError {
    let peer = connect_to(path).and_then(sockopt::socket_peercred);
    SocketError::InUse {
        path: path.to_owned(),
        pid: peer.ok().map(|it| it.pid.as_raw_nonzero().get()),
    }
}

/// Adds the pid of the listener to the error that the lock is held.
fn with_listener(error: SocketError, path: &Path) -> SocketError {
    match error {
        SocketError::InUse { .. } => in_use(path),
        error => error,
    }
}

fn unix_stream() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Binds a socket to which only root can connect: the file gets the permissions that
/// the socket has before bind(2), less the umask.
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

/// Opens the socket file, so that the caller changes the same file that was checked here.
/// Dropping the returned [`SocketFile`] removes the file.
fn open_socket_file(path: &Path, lock: Lock) -> Result<(OwnedFd, SocketFile), SocketError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = open(path, flags, Mode::empty()).and_then(|file| Ok((fstat(&file)?, file)));
    let (stat, file) = found.map_err(|errno| permissions(path, errno.into()))?;
    let is_socket = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_socket();
    if !is_socket || stat.st_uid != geteuid().as_raw() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    let socket_file = SocketFile {
        path: path.to_owned(),
        device: stat.st_dev,
        inode: stat.st_ino,
        _lock: lock,
    };
    Ok((file, socket_file))
}

/// Sets user, group and permissions. The permissions are last, so that no client can
/// connect before that.
fn set_permissions(file: &OwnedFd, options: SocketOptions<'_>) -> Result<(), SocketError> {
    let user = options.account.map(|it| Uid::from_raw(it.uid));
    let group = options.group.map(|it| Gid::from_raw(it.gid));
    if user.is_some() || group.is_some() {
        chownat(file, "", user, group, AtFlags::EMPTY_PATH).map_err(|errno| {
            match (errno, user, options.group) {
                (Errno::PERM, None, Some(group)) => SocketError::Group {
                    path: options.path.to_owned(),
                    group: group.name.clone(),
                },
                _ => permissions(options.path, errno.into()),
            }
        })?;
    }
    let by_descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::set_permissions(by_descriptor, Permissions::from_mode(options.mode))
        .map_err(|error| permissions(options.path, error))
}

fn permissions(path: &Path, source: io::Error) -> SocketError {
    SocketError::Permissions {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
