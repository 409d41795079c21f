//! `--missing`: how a command treats a target that does not exist.

use clap::ValueEnum;

/// How a target is treated that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Missing {
    /// it counts as gone
    Ok,
    /// the exit code is 4
    Error,
}

/// The arguments that say how a missing target is treated. The command has a default.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(in crate::cli) struct MissingArg {
    /// What a target means that does not exist [default: ok for wait, error for kill]
    ///
    /// A message says that the target did not exist, and names the first directory that is
    /// missing, because the name may be a typo. -e means ok, and --must-exist means error.
    #[arg(long, value_name = "WHAT", value_enum)]
    missing: Option<Missing>,

    /// Same as --missing error
    #[arg(long, hide = true, conflicts_with_all = ["missing", "exited"])]
    must_exist: bool,

    /// Same as --missing ok
    #[arg(short, long, hide = true, conflicts_with = "missing")]
    exited: bool,
}

impl MissingArg {
    /// The choice of the user, or this default.
    pub(in crate::cli) fn or(&self, default: Missing) -> Missing {
        match (self.missing, self.must_exist, self.exited) {
            (Some(missing), ..) => missing,
            (None, true, _) => Missing::Error,
            (None, _, true) => Missing::Ok,
            (None, false, false) => default,
        }
    }
}
