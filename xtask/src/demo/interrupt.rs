//! Ctrl-C and SIGTERM: the command ends in order, so that what it made is
//! removed.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// Whether one came.
pub(super) struct Interrupt {
    came: Arc<AtomicBool>,
    waiting: Arc<AtomicU32>,
}

impl Interrupt {
    /// From now on these signals end nothing by themselves.
    pub(super) fn arm() -> Result<Self> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("listen to signals")?;
        let interrupt = Self {
            came: Arc::default(),
            waiting: Arc::default(),
        };
        let (came, waiting) = (interrupt.came.clone(), interrupt.waiting.clone());
        thread::spawn(move || {
            for _ in signals.forever() {
                came.store(true, Ordering::SeqCst);
                terminate(waiting.load(Ordering::SeqCst));
            }
        });
        Ok(interrupt)
    }

    /// Who is waited for: it is told too, since a signal from elsewhere than
    /// the terminal reaches us alone. 0 is nobody.
    pub(super) fn forward_to(&self, pid: u32) {
        self.waiting.store(pid, Ordering::SeqCst);
        if self.came.load(Ordering::SeqCst) {
            terminate(pid);
        }
    }

    /// Fails if one came.
    pub(super) fn check(&self) -> Result<()> {
        if self.came.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        Ok(())
    }
}

fn terminate(pid: u32) {
    if pid != 0 {
        // It may have ended: then there is nobody to tell.
        let _told = Command::new("kill").arg(pid.to_string()).output();
    }
}
