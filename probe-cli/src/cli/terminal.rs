//! What stdout and stderr are: how wide, how colourful, how talkative.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

/// Messages to people, on stderr.
#[derive(Clone, Copy, Debug)]
pub(super) struct Say {
    quiet: bool,
}

impl Say {
    pub(super) const fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Whether a person reads it as it comes.
    pub(super) fn is_interactive(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Writes a line unless the user wants quiet. A closed stderr is nobody's
    /// failure.
    pub(super) fn line(self, text: &str) {
        if !self.quiet {
            Self::always(text);
        }
    }

    /// For what also those must know who want quiet.
    pub(super) fn always(text: &str) {
        let _closed = writeln!(io::stderr(), "{text}");
    }
}

/// Characters a line of stdout may have; `None` if it is no terminal.
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

/// Whether stdout shows colours: a terminal, and no `NO_COLOR`.
pub(super) fn colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Whether stderr shows colours, likewise.
pub(super) fn stderr_colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Whether a person looks at stdout as it comes.
pub(super) fn is_interactive() -> bool {
    io::stdout().is_terminal()
}

/// Whether what is written to stderr appears on a screen.
pub(super) fn is_stderr_one() -> bool {
    io::stderr().is_terminal()
}

/// Where rootless runtimes keep their state.
pub(super) fn runtime_dir() -> Option<std::path::PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the environment is read in cli/")]
    env::var_os("XDG_RUNTIME_DIR").map(Into::into)
}
