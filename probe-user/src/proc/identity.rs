//! Reads the identity of a process: its start time distinguishes it from earlier and later
//! processes with the same pid, its thread group id from its threads.

use std::io;

use super::{
    directory::{ProcessDirectory, malformed},
    stat::Stat,
    status::Status,
};

/// Identity of a process, or of a thread by its tid.
#[derive(Debug)]
pub(super) struct Identity {
    /// Thread group id; for a thread it differs from the number that was looked up.
    pub(super) tgid: u32,
    /// Name.
    pub(super) comm: String,
    /// Start in clock ticks since boot.
    pub(super) start_ticks: u64,
}

impl Identity {
    /// Reads both files through one directory, so both are of the same process.
    pub(super) fn read(pid: u32) -> io::Result<Self> {
        let directory = ProcessDirectory::open(pid)?;
        let stat = directory.content("stat")?;
        let stat = Stat::read(&stat)?;
        let status = directory.content("status")?;
        Ok(Self {
            tgid: Status::new(&status)
                .tgid()
                .ok_or_else(|| malformed("status"))?,
            comm: String::from_utf8_lossy(stat.comm).into_owned(),
            start_ticks: stat.start_ticks,
        })
    }
}
