//! Why a process is still there: looks at each of its threads, and names the object that the
//! process waits for and what would free it.
//!
//! Every reason is a fact that the kernel shows at one moment: in the files of `/proc/PID`, of
//! the cgroups and of `/sys/fs/fuse`. Where the facts do not decide, the reason says what was
//! seen and nothing more. No file is read that may block on a hung process, such as `cmdline`.

mod busy;
mod cause;
mod filesystem;
mod frozen;
mod fuse;
mod memory;
mod observer;
mod quota;
mod reason;
mod release;
mod search;
mod signals;
mod summary;
mod survivor;
mod task;
mod words;

pub use self::{
    busy::{Obstacle, obstacles},
    cause::{Cause, ProcessName, SignalFate, Thaw},
    observer::Observer,
    reason::{Phase, Reason},
    release::{abort_fuse, thaw},
    search::stuck,
    summary::{Summary, headline, summary},
    survivor::{Survivor, describe},
};
