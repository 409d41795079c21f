//! The seccomp filter: system calls by which a hijacked daemon could reach other
//! processes, load code or change the machine fail with EPERM.
//!
//! The filter lists the forbidden calls instead of the allowed ones, because the calls of
//! the async runtime and the C library change with their versions, and a daemon that
//! fails at a new call would serve no client.

use std::{collections::BTreeMap, env::consts::ARCH};

use rustix::process::getpid;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

/// Why system calls could not be forbidden.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The filter is invalid, or this architecture has none.
    #[error("cannot build a seccomp filter for this machine")]
    Filter(#[from] BackendError),
    /// The kernel refused the filter.
    #[error("cannot apply the seccomp filter")]
    Apply(#[from] seccompiler::Error),
}

/// Calls that are forbidden with any arguments.
const FORBIDDEN: &[i64] = &[
    // Calls that affect other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    // Calls that run other programs, or code in the kernel.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Calls that change the user.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    // Calls that change or evade mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    // Calls that change the machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_personality,
    // Calls on kernel keyrings.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Commands of bpf(2) that are allowed: those on maps that the daemon has open. The daemon
/// can neither create, attach nor open a map or program.
const BPF_COMMANDS: [u64; 5] = [
    1,  // BPF_MAP_LOOKUP_ELEM
    2,  // BPF_MAP_UPDATE_ELEM
    3,  // BPF_MAP_DELETE_ELEM
    4,  // BPF_MAP_GET_NEXT_KEY
    15, // BPF_OBJ_GET_INFO_BY_FD
];

/// Flag of the x32 ABI in the number of a system call.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Forbids the calls in this thread and in the threads that it starts.
pub(crate) fn forbid_calls() -> Result<(), CallError> {
    let filter = SeccompFilter::new(
        rules()?,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        TargetArch::try_from(ARCH)?,
    )?;
    Ok(apply_filter(&BpfProgram::try_from(filter)?)?)
}

fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<_, _> = FORBIDDEN.iter().map(|&call| (call, Vec::new())).collect();
    for (call, unless) in with_exceptions() {
        let conditions = unless
            .into_iter()
            .map(|(argument, value)| SeccompCondition::new(argument, Dword, Ne, value))
            .collect::<Result<_, _>>()?;
        rules.insert(call, vec![SeccompRule::new(conditions)?]);
    }
    #[cfg(target_arch = "x86_64")]
    rules.extend(
        rules
            .clone()
            .into_iter()
            .map(|(call, rule)| (call | X32, rule)),
    );
    Ok(rules)
}

/// Calls that are forbidden unless one of these arguments, by position, has this
/// value.
///
/// Signal 0 only tests whether a process exists; before Linux 6.9 a wait detects *reaped*
/// that way. abort(3) signals its own process, by `tgkill` in glibc and by `tkill` in musl.
fn with_exceptions() -> Vec<(i64, Vec<(u8, u64)>)> {
    let own = u64::from(getpid().as_raw_nonzero().get().cast_unsigned());
    let unix = u64::from(libc::AF_UNIX.cast_unsigned());
    vec![
        (libc::SYS_kill, vec![(0, own), (1, 0)]),
        (libc::SYS_tkill, vec![(0, own), (1, 0)]),
        (libc::SYS_tgkill, vec![(0, own), (2, 0)]),
        (libc::SYS_pidfd_send_signal, vec![(1, 0)]),
        (libc::SYS_socket, vec![(0, unix)]),
        (
            libc::SYS_bpf,
            BPF_COMMANDS.map(|command| (0, command)).to_vec(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io,
        net::UdpSocket,
        os::{fd::AsFd, unix::net::UnixDatagram},
        process::{Command, Stdio},
        thread,
    };

    use rustix::{
        io::Errno,
        process::{
            Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open,
            pidfd_send_signal, test_kill_process,
        },
        thread::{LinkNameSpaceType, move_into_link_name_space},
    };

    use super::*;

    /// Runs `then` under the filter, in a thread of its own.
    fn forbidden<T: Send>(then: impl FnOnce() -> T + Send) -> T {
        let run = || {
            forbid_calls().expect("this kernel has seccomp");
            then()
        };
        thread::scope(|scope| scope.spawn(run).join().expect("no panic"))
    }

    #[test]
    fn only_signal_0_can_be_sent_to_another_process() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("opened");
        forbidden(|| {
            assert_eq!(kill_process(pid, Signal::KILL), Err(Errno::PERM));
            let sent = pidfd_send_signal(&pidfd, Signal::KILL);
            assert_eq!(sent, Err(Errno::PERM));
            assert_eq!(test_kill_process(pid), Ok(()));
            assert_eq!(kill_process(getpid(), Signal::URG), Ok(()));
        });
        drop(child.stdin.take());
        assert_eq!(child.wait().expect("waited").code(), Some(0));
    }

    #[test]
    fn starting_a_program_is_forbidden() {
        let error = forbidden(|| Command::new("true").status().expect_err("forbidden"));
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn pidfd_getfd_and_setns_are_forbidden() {
        let own_pidfd = pidfd_open(getpid(), PidfdFlags::empty()).expect("opened");
        let namespace = File::open("/proc/self/ns/uts").expect("opened");
        let (taken, left) = forbidden(|| {
            let kind = Some(LinkNameSpaceType::HostNameAndNISDomainName);
            (
                pidfd_getfd(&own_pidfd, 0, PidfdGetfdFlags::empty()).map(drop),
                move_into_link_name_space(namespace.as_fd(), kind),
            )
        });
        assert_eq!((taken, left), (Err(Errno::PERM), Err(Errno::PERM)));
    }

    #[test]
    fn only_unix_sockets_are_allowed() {
        let network = forbidden(|| {
            UnixDatagram::unbound().expect("a Unix socket");
            UdpSocket::bind("127.0.0.1:0").expect_err("forbidden")
        });
        assert_eq!(network.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn the_x32_number_of_every_call_is_also_forbidden() {
        let rules = rules().expect("valid");
        let expected = if cfg!(target_arch = "x86_64") { 2 } else { 1 };
        let own = FORBIDDEN.len() + with_exceptions().len();
        assert_eq!(rules.len(), own * expected);
    }
}
