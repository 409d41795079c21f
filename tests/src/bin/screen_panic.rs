//! Opens the screen of `probe top`, and panics without running destructors, as in a release
//! build.

use std::{io::Read, panic, process, sync::Arc};

use anyhow::Result;
use probe_cli::top::{Model, Options, Screen};

fn main() -> Result<()> {
    panic::set_hook(Box::new(|_| process::abort()));
    let mut screen = Screen::enter(Arc::default())?;
    screen.draw(&Model::new(Options::default()))?;
    std::io::stdin().read_exact(&mut [0])?;
    panic!("a key was pressed");
}
