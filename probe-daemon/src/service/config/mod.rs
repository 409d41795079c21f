//! The configuration of the daemon: flags win over the file, the file over defaults.
//!
//! Nothing here but [`Settings::read`] touches the machine. The flags are parsed by
//! the command; the number of clients that the descriptors allow is in `limits.rs`.

mod value;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use self::value::{History, MaxClients, Mode};
use super::accounts::{Account, Accounts, Group};
use crate::api;

/// Exits that are kept by default.
const DEFAULT_HISTORY: u32 = 65_536;

/// User and group that root takes by default, where they exist.
const OWN: &str = "probe";

/// Permissions of the socket by default: its owner and its group may connect.
const DEFAULT_MODE: u32 = 0o660;

/// The configuration, complete and resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Path of the socket; not used if a supervisor hands one over.
    pub socket: PathBuf,
    /// Permissions of the socket.
    pub mode: u32,
    /// The socket's group; `None` keeps the one of the process.
    pub group: Option<Group>,
    /// The user to change to once everything is attached; `None` keeps the user.
    pub account: Option<Account>,
    /// Exits that are kept.
    pub history: usize,
    /// Connections that are served at once; `None` takes what the limit of file
    /// descriptors allows.
    pub max_clients: Option<usize>,
    /// Whether to keep the capability that reads every runtime's state.
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
    /// Name or number of the socket's group.
    pub group: Option<String>,
    /// Name or number of the user to change to.
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
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file is no TOML, or has an unknown key or an invalid value.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The file has a relative path, which would depend on the working directory.
    #[error("{}: socket is not an absolute path: {}", path.display(), socket.display())]
    Relative {
        /// The file.
        path: PathBuf,
        /// The path in it.
        socket: PathBuf,
    },
    /// No user or group has the name.
    #[error("there is no {kind} '{name}'")]
    Unknown {
        /// `user` or `group`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Another user is configured, and the daemon is not started as root.
    #[error("only root can become user '{name}'")]
    NotRoot {
        /// The configured user.
        name: String,
    },
    /// The working directory, from which a relative path starts, is gone.
    #[error("the working directory is not to be found")]
    WorkingDirectory {
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl ConfigError {
    /// What a user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "--config FILE is a TOML file; without it defaults are taken",
            Self::Syntax { .. } => {
                "the keys are socket, mode (\"0660\"), group, user, history, max-clients \
                 and runtime-names"
            }
            Self::Relative { .. } | Self::WorkingDirectory { .. } => "write the whole path",
            Self::Unknown { .. } => {
                "a name must be in /etc/passwd or /etc/group (systemd-sysusers makes one), \
                 a number need not"
            }
            Self::NotRoot { .. } => "leave --user out to stay who you are",
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

    /// These settings, and the others for those that are not set.
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

    /// The configuration of a daemon that `uid` starts, with defaults for settings that
    /// are not set.
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

/// The group of the socket. By default only root changes it, because another user can
/// give the socket only to its own groups.
fn group(
    asked: Option<String>,
    uid: u32,
    accounts: &Accounts,
) -> Result<Option<Group>, ConfigError> {
    match asked {
        None if uid == 0 => Ok(accounts.group(OWN)),
        None => Ok(None),
        Some(name) => match accounts.group(&name) {
            Some(group) => Ok(Some(group)),
            None => Err(ConfigError::Unknown {
                kind: "group",
                name,
            }),
        },
    }
}

fn account(
    asked: Option<String>,
    uid: u32,
    accounts: &Accounts,
) -> Result<Option<Account>, ConfigError> {
    let account = match asked {
        None if uid == 0 => accounts.user(OWN),
        None => None,
        Some(name) => match accounts.user(&name) {
            Some(account) => Some(account),
            None => return Err(ConfigError::Unknown { kind: "user", name }),
        },
    };
    match account {
        Some(account) if account.uid == uid => Ok(None),
        Some(account) if uid != 0 => Err(ConfigError::NotRoot { name: account.name }),
        account => Ok(account),
    }
}

fn line(text: &str, position: usize) -> usize {
    let before = text.as_bytes().iter().take(position);
    before.filter(|&&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
