//! placeholder
use crate::process::{Comm, Scanned};
pub(super) fn scan() -> Vec<(Scanned, Vec<(u32, String)>)> {
    let mut all = Vec::new();
    for process in procfs::process::all_processes()
        .into_iter()
        .flatten()
        .flatten()
    {
        let (Ok(stat), Ok(status), Ok(groups)) =
            (process.stat(), process.status(), process.cgroups())
        else {
            continue;
        };
        let mut comm = [0u8; 16];
        for (to, from) in comm.iter_mut().take(15).zip(stat.comm.bytes()) {
            *to = from;
        }
        all.push((
            Scanned {
                tgid: stat.pid as u32,
                start_ticks: stat.starttime,
                ppid: stat.ppid as u32,
                uid: status.ruid,
                comm: Comm::new(comm),
                is_dead: matches!(stat.state, 'Z' | 'X'),
                ns_pid: None,
                owners: None,
                cgroup: None,
            },
            groups
                .0
                .into_iter()
                .map(|g| (g.hierarchy, g.pathname))
                .collect(),
        ));
    }
    all
}
