//! What the daemon is told: flags win over the file, the file over defaults.
//!
//! Pure but for reading the file. Where the values come from is `cli/daemon.rs`,
//! what a number of descriptors allows is `limits.rs`.

mod value;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use self::value::{History, MaxClients, Mode};
use super::accounts::{Account, Accounts, Group};
use crate::api;

/// Exits that are kept unless somebody asks for another number.
pub const DEFAULT_HISTORY: u32 = 65_536;

/// User and group that are taken where they exist and nobody asks for others.
const OWN: &str = "probe";

/// Of the socket: its owner and its group.
const DEFAULT_MODE: u32 = 0o660;

/// What the daemon goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it listens, unless a supervisor hands it a socket.
    pub socket: PathBuf,
    /// Permissions of the socket.
    pub mode: u32,
    /// The socket's group; `None` leaves it as it comes.
    pub group: Option<Group>,
    /// Whom to become once everything is attached; `None` stays who it is.
    pub account: Option<Account>,
    /// Exits that are kept.
    pub history: usize,
    /// Connections that are served at once; `None` asks the descriptor limit.
    pub max_clients: Option<usize>,
    /// Whether to keep the right to read every runtime's state.
    pub runtime_names: bool,
}

/// What may be set; absent is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// See [`Config::socket`].
    pub socket: Option<PathBuf>,
    /// See [`Config::mode`].
    pub mode: Option<Mode>,
    /// Name or number of the socket's group.
    pub group: Option<String>,
    /// Name or number of the user to become.
    pub user: Option<String>,
    /// See [`Config::history`].
    pub history: Option<History>,
    /// See [`Config::max_clients`].
    pub max_clients: Option<MaxClients>,
    /// See [`Config::runtime_names`].
    pub runtime_names: Option<bool>,
}

/// Why the daemon cannot be what it was told to be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or not to be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the file says is not understood.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
        /// What about it.
        message: String,
    },
    /// A path in the file that depends on where the daemon was started.
    #[error("{}: socket is not an absolute path: {}", path.display(), socket.display())]
    Relative {
        /// Which file.
        path: PathBuf,
        /// What it says.
        socket: PathBuf,
    },
    /// Nobody has that name.
    #[error("there is no {kind} '{name}'")]
    Unknown {
        /// `user` or `group`.
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Somebody else was asked for by somebody who is not root.
    #[error("only root can become user '{name}'")]
    NotRoot {
        /// Who was asked for.
        name: String,
    },
    /// The directory that a relative path starts from is gone.
    #[error("the working directory is not to be found")]
    WorkingDirectory {
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ConfigError {
    /// What to do.
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
    /// What a file says.
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

    /// These, and where they are silent those.
    #[must_use]
    pub fn or(self, those: Self) -> Self {
        Self {
            socket: self.socket.or(those.socket),
            mode: self.mode.or(those.mode),
            group: self.group.or(those.group),
            user: self.user.or(those.user),
            history: self.history.or(those.history),
            max_clients: self.max_clients.or(those.max_clients),
            runtime_names: self.runtime_names.or(those.runtime_names),
        }
    }

    /// With defaults where they are silent, for a daemon that `uid` starts.
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

/// Only root can give a socket to a group that it is not in, so nobody else does
/// unasked.
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
