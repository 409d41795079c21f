//! Whether a task leaves its cgroup only after its end, as since Linux 6.19.
//!
//! Where it does, who is dying may be in a cgroup though no list shows it: from
//! 7.0 on (and late 6.19) a v1 list hides a process as soon as its last thread
//! has begun to exit, and from 7.1 on `rmdir` of a cgroup succeeds that nobody
//! else is in. `populated` of v2 is right everywhere.
//! <https://git.kernel.org/torvalds/c/d245698d727a>,
//! <https://git.kernel.org/torvalds/c/a72f73c4dd9b>

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::OnceLock,
};

use super::btf;

/// What unlinks a task from its cgroup where it does so after the final switch.
pub(super) const LATE: &[u8] = b"cgroup_task_dead";
/// And where it did so before its parent was told.
pub(super) const EARLY: &[u8] = b"cgroup_exit";

const SYMBOLS: &str = "/proc/kallsyms";

/// Whether it is so on this kernel, by which of two functions it has: its BTF
/// tells, else its symbols, whose names everybody may read. If neither does it is
/// taken to be so, which costs time and no truth. The first call takes some
/// milliseconds.
#[must_use]
pub fn is_late() -> bool {
    static IS_LATE: OnceLock<bool> = OnceLock::new();
    *IS_LATE.get_or_init(|| {
        let types = btf::read(Path::new(btf::VMLINUX)).ok();
        let told = types.and_then(|types| types.tasks_depart_late);
        told.or_else(|| in_symbols(BufReader::new(File::open(SYMBOLS).ok()?)))
            .unwrap_or(true)
    })
}

/// `ffffffff81000000 T name`, then perhaps a module.
fn in_symbols(symbols: impl BufRead) -> Option<bool> {
    symbols.split(b'\n').map_while(Result::ok).find_map(|line| {
        match line.split(|&byte| byte == b' ').nth(2)? {
            LATE => Some(true),
            EARLY => Some(false),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbols_tell_by_their_whole_names() {
        let early: &[u8] =
            b"0000000000000000 t cgroup_exit_cftypes\n0000000000000000 T cgroup_exit\n";
        assert_eq!(in_symbols(early), Some(false));
        let late: &[u8] = b"0 T cgroup_task_exit\n0 T cgroup_task_dead\n";
        assert_eq!(in_symbols(late), Some(true));
        assert_eq!(in_symbols(b"0 T do_exit\n0 t\n".as_slice()), None);
    }

    #[test]
    fn btf_and_symbols_agree_on_this_kernel() {
        let types = btf::read(Path::new(btf::VMLINUX)).expect("this machine has BTF");
        let symbols = File::open(SYMBOLS).expect("everybody reads it");
        assert_eq!(types.tasks_depart_late, in_symbols(BufReader::new(symbols)));
    }
}
