//! `probe man`: writes the man pages.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use super::{ExitCode, Failure};
use crate::{man, output::ignore_closed};

/// Write the man pages
///
/// With DIR, probe writes a file for each page into the directory, which it creates if
/// necessary: `probe man /usr/local/share/man/man1` installs them. Without DIR, probe prints all
/// pages.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory for the files
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let pages = man::pages(super::command())?;
    let Some(directory) = &args.directory else {
        for page in &pages {
            ignore_closed(io::stdout().write_all(&page.text))?;
        }
        return Ok(ExitCode::Done);
    };
    let failed = |error: io::Error| {
        let context = format!("cannot write to {}", directory.display());
        Failure::new(
            ExitCode::Failure,
            anyhow::Error::new(error).context(context),
        )
    };
    fs::create_dir_all(directory).map_err(failed)?;
    for page in &pages {
        fs::write(directory.join(&page.file), &page.text).map_err(failed)?;
    }
    Ok(ExitCode::Done)
}
