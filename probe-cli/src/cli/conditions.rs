//! The conditions on exits: `--failed`, `--comm`, `--uid` and others.

use std::time::Duration;

use glob::Pattern;
use probe_daemon::{
    api::{
        quantity::{duration, nanoseconds},
        query,
    },
    service::Accounts,
};
use probe_user::model::Filter;

use super::{ExitCode, Failure};

/// Conditions on exits. A process must meet all of them.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Conditions {
    /// Show only processes that did not end by exit(0)
    #[arg(long)]
    pub(super) failed: bool,

    /// Show only processes that a signal ended
    #[arg(long)]
    pub(super) signaled: bool,

    /// Show only processes that the out-of-memory killer ended
    #[arg(long)]
    pub(super) oom: bool,

    /// Show only processes with a name that matches one of the patterns, such as 'nginx*'
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    pub(super) comm: Vec<Pattern>,

    /// Show only processes of these users: names or numbers of real user ids
    #[arg(long, value_name = "USER", value_delimiter = ',', value_parser = uid)]
    pub(super) uid: Vec<u32>,

    /// Show only processes that lived at least this long (250ms, 2.5 or 1m30s)
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(super) min_age: Option<Duration>,

    /// Show only processes that lived at most this long (250ms, 2.5 or 1m30s)
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(super) max_age: Option<Duration>,
}

fn glob(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|error| format!("invalid glob '{text}': {error}"))
}

/// Parses the name or the number of a user.
fn uid(text: &str) -> Result<u32, String> {
    let user = Accounts::system().user(text);
    user.map(|it| it.uid).ok_or_else(|| {
        format!("no user '{text}' in /etc/passwd (use the number of any other user: id -u NAME)")
    })
}

impl Conditions {
    /// Refuses ages that no process has.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match (self.min_age, self.max_age) {
            (Some(least), Some(most)) if least > most => {
                let message = format!("--min-age {least:?} is greater than --max-age {most:?}");
                let failure = Failure::message(ExitCode::Usage, message);
                Err(failure.hint("no process matches both; use a smaller --min-age"))
            }
            _ => Ok(()),
        }
    }

    /// A filter with these conditions, for processes anywhere.
    pub(super) fn filter(&self) -> Filter {
        Filter {
            comms: self.comm.clone(),
            uids: self.uid.clone(),
            failed: self.failed,
            signaled: self.signaled,
            oom: self.oom,
            min_age_ns: self.min_age.map(nanoseconds),
            max_age_ns: self.max_age.map(nanoseconds),
            ..Filter::default()
        }
    }

    /// The conditions as the query of a daemon has them.
    pub(super) fn query(&self) -> Result<query::Records, Failure> {
        let joined = |items: Vec<String>| Some(items.join(",")).filter(|it| !it.is_empty());
        let patterns = self.comm.iter().map(|it| it.as_str().to_owned());
        let patterns: Vec<_> = patterns.collect();
        if let Some(pattern) = patterns.iter().find(|it| it.contains(',')) {
            let message = format!("invalid pattern '{pattern}': the daemon splits it at the comma");
            let failure = Failure::message(ExitCode::Usage, message);
            return Err(failure.hint("write ? for the comma"));
        }
        // A number without a unit is in seconds.
        let age = |age: Option<Duration>| age.map(|it| format!("{}ns", nanoseconds(it)));
        Ok(query::Records {
            failed: self.failed,
            signaled: self.signaled,
            oom: self.oom,
            comm: joined(patterns),
            uid: joined(self.uid.iter().map(u32::to_string).collect()),
            min_age: age(self.min_age),
            max_age: age(self.max_age),
            ..query::Records::default()
        })
    }

    /// The options in use that need facts which a kernel without BTF does not show.
    pub(super) fn needing_btf(&self) -> Vec<&'static str> {
        let options = [
            ("--failed", self.failed),
            ("--signaled", self.signaled),
            ("--oom", self.oom),
            ("--min-age", self.min_age.is_some()),
            ("--max-age", self.max_age.is_some()),
        ];
        let used = options.into_iter().filter(|(_, is_used)| *is_used);
        used.map(|(option, _)| option).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_name_or_a_number() {
        assert_eq!(uid("root"), Ok(0));
        assert_eq!(uid("4242"), Ok(4242));
        for wrong in ["", "-1", "no-such-user", "4294967296"] {
            assert!(uid(wrong).is_err(), "{wrong}");
        }
    }
}
