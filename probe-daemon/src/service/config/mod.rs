//! The configuration of the daemon: a flag overrides the file, and the file overrides the
//! default.
//!
//! The command parses the flags. `limits.rs` has the number of clients that the limit of
//! file descriptors allows.

mod value;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use self::value::{History, MaxClients, Mode};
use super::accounts::{Account, Accounts, Group};
use crate::api;

/// Default number of exits in the history.
const DEFAULT_HISTORY: u32 = 65_536;

/// Default user and group of a daemon that root starts, if they exist.
const DEFAULT_ACCOUNT: &str = "probe";

/// Default permissions of the socket: its owner and its group may connect.
const DEFAULT_MODE: u32 = 0o660;

/// The configuration, complete and resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Path of the socket; not used if a supervisor passes a socket.
    pub socket: PathBuf,
    /// Permissions of the socket.
    pub mode: u32,
    /// Group of the socket; `None` keeps that of the process.
    pub group: Option<Group>,
    /// User to change to once the BPF programs are attached; `None` keeps that of the process.
    pub account: Option<Account>,
    /// Maximum number of exits in the history.
    pub history: usize,
    /// Maximum number of connections at once; `None` derives it from the limit of file
    /// descriptors.
    pub max_clients: Option<usize>,
    /// Whether to keep the capability for reading every runtime's state.
    pub runtime_names: bool,
}

/// The settings of the flags or of the file; `None` where one is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// See [`Config::socket`].
    pub socket: Option<PathBuf>,
    /// See [`Config::mode`].
    pub mode: Option<Mode>,
    /// Name or gid of the socket's group.
    pub group: Option<String>,
    /// Name or uid of the user to change to.
    pub user: Option<String>,
    /// See [`Config::history`].
    pub history: Option<History>,
    /// See [`Config::max_clients`].
    pub max_clients: Option<MaxClients>,
    /// See [`Config::runtime_names`].
    pub runtime_names: Option<bool>,
}

/// Why a configuration is invalid.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant explains its fields")]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file is not TOML, or has an unknown key or an invalid value.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        message: String,
    },
    /// The file has a relative path, which would depend on the working directory.
    #[error("{}: invalid socket '{}' (expected an absolute path)", path.display(), socket.display())]
    Relative { path: PathBuf, socket: PathBuf },
    /// The user or group does not exist.
    #[error("there is no {kind} '{name}'")]
    Unknown { kind: &'static str, name: String },
    /// Another user is configured, and the daemon is not started as root.
    #[error("only root can run the daemon as user '{name}'")]
    NotRoot { name: String },
    /// The working directory, which a relative path starts from, is gone.
    #[error("cannot find the working directory")]
    WorkingDirectory {
        #[source]
        source: io::Error,
    },
}

impl ConfigError {
    /// What a user can do about the error.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "--config needs a TOML file; omit it to use the defaults",
            Self::Syntax { .. } => {
                "the keys are socket, mode (\"0660\"), group, user, history, max-clients \
                 and runtime-names"
            }
            Self::Relative { .. } | Self::WorkingDirectory { .. } => "use an absolute path",
            Self::Unknown { .. } => {
                "add the name to /etc/passwd or /etc/group (for example with \
                 systemd-sysusers), or use a number, which needs no entry"
            }
            Self::NotRoot { .. } => "omit --user to keep the current user",
        }
    }
}

impl Settings {
    /// Reads a TOML file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let settings: Self = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        match &settings.socket {
            Some(socket) if !socket.is_absolute() => Err(ConfigError::Relative {
                path: path.to_owned(),
                socket: socket.clone(),
            }),
            _ => Ok(settings),
        }
    }

    /// These settings; a setting that is not set is taken from `others`.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            socket: self.socket.or(others.socket),
            mode: self.mode.or(others.mode),
            group: self.group.or(others.group),
            user: self.user.or(others.user),
            history: self.history.or(others.history),
            max_clients: self.max_clients.or(others.max_clients),
            runtime_names: self.runtime_names.or(others.runtime_names),
        }
    }

    /// The configuration of a daemon that the user `uid` starts. A setting that is not set
    /// has its default.
    pub fn resolve(self, uid: u32, accounts: &Accounts) -> Result<Config, ConfigError> {
        let socket = self.socket.unwrap_or_else(|| api::DEFAULT_SOCKET.into());
        Ok(Config {
            socket: std::path::absolute(socket)
                .map_err(|source| ConfigError::WorkingDirectory { source })?,
            mode: self.mode.map_or(DEFAULT_MODE, |mode| mode.0),
            group: group(self.group, uid, accounts)?,
            account: account(self.user, uid, accounts)?,
            history: self.history.map_or(DEFAULT_HISTORY, |it| it.0) as usize,
            max_clients: self.max_clients.map(|it| it.0 as usize),
            runtime_names: self.runtime_names.unwrap_or(false),
        })
    }
}

/// The group of the socket. The default applies only to root, because another user can give
/// the socket only to its own groups.
fn group(
    asked: Option<String>,
    uid: u32,
    accounts: &Accounts,
) -> Result<Option<Group>, ConfigError> {
    let Some(name) = asked else {
        return Ok(accounts.group(DEFAULT_ACCOUNT).filter(|_| uid == 0));
    };
    let group = accounts.group(&name);
    let kind = "group";
    group.map(Some).ok_or(ConfigError::Unknown { kind, name })
}

fn account(
    asked: Option<String>,
    uid: u32,
    accounts: &Accounts,
) -> Result<Option<Account>, ConfigError> {
    let Some(name) = asked else {
        return Ok(accounts
            .user(DEFAULT_ACCOUNT)
            .filter(|it| uid == 0 && it.uid != 0));
    };
    match accounts.user(&name) {
        None => Err(ConfigError::Unknown { kind: "user", name }),
        Some(account) if account.uid == uid => Ok(None),
        Some(_) if uid != 0 => Err(ConfigError::NotRoot { name }),
        account => Ok(account),
    }
}

fn line(text: &str, position: usize) -> usize {
    let before = text.as_bytes().iter().take(position);
    before.filter(|&&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
