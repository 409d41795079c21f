//! Tells whether a task leaves its cgroup only after its end, as since Linux 6.19.
//!
//! On such a kernel a dying process may be in a cgroup although no list shows it: from
//! 7.0 on (and late 6.19) a v1 list hides a process as soon as its last thread has begun
//! to exit, and from 7.1 on `rmdir` succeeds for a cgroup in which all processes are
//! dying. `populated` of v2 is right on every kernel.
//! <https://git.kernel.org/torvalds/c/d245698d727a>,
//! <https://git.kernel.org/torvalds/c/a72f73c4dd9b>

use std::{
    fs::File,
    io::{BufRead, BufReader},
    sync::OnceLock,
};

use super::btf::names::Names;

/// The kernel function that removes a task from its cgroup after its final context switch.
const LATE: &[u8] = b"cgroup_task_dead";
/// The function of older kernels, which runs before the parent is notified.
const EARLY: &[u8] = b"cgroup_exit";

const SYMBOLS: &str = "/proc/kallsyms";

/// Whether tasks of this kernel leave their cgroups late, by which of two functions the
/// kernel has. The BTF names its functions, and so does the list of symbols, of which all
/// users may read the names. Without either the answer is `true`, which makes waits slower
/// but not wrong. The first call takes some milliseconds.
#[must_use]
pub fn is_late() -> bool {
    static IS_LATE: OnceLock<bool> = OnceLock::new();
    *IS_LATE.get_or_init(|| {
        let by_names = Names::read().ok().and_then(|names| in_names(&names));
        by_names
            .or_else(|| in_symbols(BufReader::new(File::open(SYMBOLS).ok()?)))
            .unwrap_or(true)
    })
}

fn in_names(names: &Names) -> Option<bool> {
    let is_late = names.contain(LATE);
    (is_late || names.contain(EARLY)).then_some(is_late)
}

/// Searches lines such as `ffffffff81000000 T name`, which may end with a module.
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
    fn symbols_are_compared_as_whole_names() {
        let early: &[u8] =
            b"0000000000000000 t cgroup_exit_cftypes\n0000000000000000 T cgroup_exit\n";
        assert_eq!(in_symbols(early), Some(false));
        let late: &[u8] = b"0 T cgroup_task_exit\n0 T cgroup_task_dead\n";
        assert_eq!(in_symbols(late), Some(true));
        assert_eq!(in_symbols(b"0 T do_exit\n0 t\n".as_slice()), None);
    }

    #[test]
    fn btf_and_symbols_agree_on_this_kernel() {
        let names = Names::read().expect("this machine has BTF");
        let symbols = File::open(SYMBOLS).expect("all users may read it");
        assert_eq!(in_names(&names), in_symbols(BufReader::new(symbols)));
    }
}
