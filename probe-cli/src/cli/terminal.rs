//! Messages on stderr, and the properties of stdout and stderr: width, colours, whether they
//! are terminals.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use crate::output::{above_progress, human::Columns};

/// Prints messages for people to stderr.
#[derive(Clone, Copy, Debug)]
pub(super) struct Messages {
    quiet: bool,
}

impl Messages {
    pub(super) const fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Whether only errors are printed.
    pub(super) const fn are_quiet(self) -> bool {
        self.quiet
    }

    /// Whether messages go to a terminal.
    pub(super) fn is_interactive(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Prints a line unless -q is given. A closed stderr is not a failure.
    pub(super) fn print(self, text: &str) {
        if !self.quiet {
            Self::print_always(text);
        }
    }

    /// Prints a line even if -q is given.
    pub(super) fn print_always(text: &str) {
        let _closed = above_progress(|| writeln!(io::stderr(), "{text}"));
    }
}

/// When to use colours. `--help` shows the comments of the variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Color {
    /// on a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// also in a file or a pipe
    Always,
    /// not at all
    Never,
}

impl Color {
    /// Makes this the choice for stdout and stderr.
    pub(super) fn choose(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            // Without this, a file would be no place for colours.
            Self::Always => anstream::ColorChoice::AlwaysAnsi,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// Returns the width of the output: `COLUMNS`, or that of the terminal at stdout.
pub(super) fn width() -> Option<usize> {
    #[expect(clippy::disallowed_methods, reason = "the environment is read in cli/")]
    let asked = env::var("COLUMNS").ok();
    asked
        .and_then(|columns| columns.parse().ok())
        .filter(|&columns| columns > 0)
        .or_else(|| {
            let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
            Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
        })
}

/// Returns the columns for records on stdout.
pub(super) fn columns() -> Columns {
    Columns::new(width(), colour())
}

/// Whether to use colours on stdout: it is a terminal, and `NO_COLOR` is not set.
pub(super) fn colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Whether to use colours on stderr, by the same rule.
pub(super) fn stderr_colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Whether stdout is a terminal.
pub(super) fn is_interactive() -> bool {
    io::stdout().is_terminal()
}

/// Whether stderr is a terminal.
pub(super) fn is_stderr_interactive() -> bool {
    io::stderr().is_terminal()
}

/// The directory in which rootless runtimes keep their state.
pub(super) fn runtime_dir() -> Option<std::path::PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the environment is read in cli/")]
    env::var_os("XDG_RUNTIME_DIR").map(Into::into)
}
