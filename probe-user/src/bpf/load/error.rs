//! Why BPF is not available, from the errors of the kernel and its verifier.

use std::{error::Error, fmt, io};

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use rustix::io::Errno;
use tracing::debug;

use crate::bpf::hook::Hook;

/// Why BPF is not available.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum LoadError {
    /// The kernel refused a map or a program for lack of privilege.
    #[error("not permitted to {operation}")]
    NotPermitted {
        operation: String,
        #[source]
        source: io::Error,
    },
    /// Before Linux 5.11 maps count against a limit, and this process may not raise it.
    #[error("cannot {operation} within the {limit} bytes of RLIMIT_MEMLOCK")]
    Memlock {
        operation: String,
        limit: u64,
        #[source]
        source: io::Error,
    },
    /// Programs must not read the kernel's memory.
    #[error("the kernel is locked down: programs for {} must not read its memory", hook.tracepoint())]
    LockedDown { hook: Hook },
    /// Ring buffers need Linux 5.8.
    #[error("this kernel has no BPF ring buffer")]
    NoRingBuffer,
    /// A map could not be created.
    #[error("cannot create the BPF maps")]
    Maps(#[source] Box<EbpfError>),
    /// A map could not be opened, read or written.
    #[error("cannot fill BPF map {map}")]
    Fill {
        map: &'static str,
        #[source]
        source: MapError,
    },
    /// The verifier refused a program, which is a bug of probe on this kernel.
    #[error("the verifier refuses the program for {}: {reason}", hook.tracepoint())]
    Refused {
        hook: Hook,
        /// Last line of the verifier's message; all of it is in the log (`-vv`).
        reason: String,
    },
    /// The kernel lacks the tracepoint, or refused the program for another reason.
    #[error("cannot attach to tracepoint {}", hook.tracepoint())]
    Attach {
        hook: Hook,
        #[source]
        source: Box<ProgramError>,
    },
    /// The object lacks a part that the loader names, which is a build error.
    #[error("the BPF object has no {0}")]
    Incomplete(&'static str),
}

impl LoadError {
    /// Adds to an error the map that caused it.
    pub(in crate::bpf) const fn fill(map: &'static str) -> impl Fn(MapError) -> Self {
        move |source| Self::Fill { map, source }
    }
}

/// The maps that are ring buffers. aya decides which of them is created first.
const RINGS: [&str; 3] = ["STREAM", "DECISIVE", "AYA_LOGS"];

pub(super) fn map_error(error: EbpfError) -> LoadError {
    let EbpfError::MapError(MapError::CreateError { name, io_error }) = error else {
        return LoadError::Maps(Box::new(error));
    };
    match Errno::from_io_error(&io_error) {
        Some(Errno::PERM | Errno::NOSYS) => LoadError::NotPermitted {
            // Which map aya creates first is random, so its name tells a user nothing.
            operation: "create BPF maps".to_owned(),
            source: io_error,
        },
        // A kernel without ring buffers refuses the first of these that aya creates.
        Some(Errno::INVAL) if RINGS.contains(&name.as_str()) => LoadError::NoRingBuffer,
        _ => LoadError::Maps(Box::new(EbpfError::MapError(MapError::CreateError {
            name,
            io_error,
        }))),
    }
}

pub(super) fn attach_error(hook: Hook, source: ProgramError) -> LoadError {
    let io_error = match &source {
        // A verifier that refuses a program returns EACCES or EINVAL, with a log.
        ProgramError::LoadError { verifier_log, .. } if verifier_log.to_string().contains('\n') => {
            let log = verifier_log.to_string();
            debug!("{}: {log}", hook.tracepoint());
            let reason = reason_in(&log);
            if is_locked_down(reason) {
                return LoadError::LockedDown { hook };
            }
            return LoadError::Refused {
                hook,
                reason: reason.to_owned(),
            };
        }
        ProgramError::LoadError { io_error, .. } => Some(io_error),
        ProgramError::SyscallError(error) => Some(&error.io_error),
        _ => None,
    };
    let denied = io_error.filter(|error| {
        matches!(
            Errno::from_io_error(error),
            Some(Errno::PERM | Errno::ACCESS)
        )
    });
    match denied {
        Some(error) => LoadError::NotPermitted {
            operation: format!("load the program for {}", hook.tracepoint()),
            source: io::Error::from(error.kind()),
        },
        None => LoadError::Attach {
            hook,
            source: Box::new(source),
        },
    }
}

/// Whether the verifier refuses `bpf_probe_read*`. These helpers are older than ring
/// buffers, so every kernel that gets here has them, but with
/// `lockdown=confidentiality` the verifier refuses them, in one of these wordings.
fn is_locked_down(reason: &str) -> bool {
    let wordings = ["unknown func", "cannot use helper"];
    reason.contains("bpf_probe_read") && wordings.iter().any(|it| reason.contains(it))
}

/// The reason in a verifier's log: the last line before the statistics, and before the
/// explanation that Linux 7.3 adds.
fn reason_in(log: &str) -> &str {
    let is_statistics = |line: &&str| {
        let line = line.trim();
        let prefixes = ["verification time", "stack depth", "subprog ", "processed "];
        line.is_empty() || prefixes.iter().any(|it| line.starts_with(it))
    };
    let before_explanation = log.split("\nVerification failed:").next();
    before_explanation
        .unwrap_or_default()
        .lines()
        .rev()
        .find(|line| !is_statistics(line))
        .unwrap_or("no reason")
        .trim()
}

/// An error and its causes, in one line.
pub(super) struct Chain<'a>(pub(super) &'a LoadError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_line_before_the_statistics() {
        let log = "0: R1=ctx()\n477: (7b) *(u64 *)(r10 -104) = r5\nR5 !read_ok\n\
                   verification time 549 usec\nstack depth 96+0\nprocessed 375 insns\n\n";
        assert_eq!(reason_in(log), "R5 !read_ok");
        assert_eq!(reason_in(""), "no reason");
    }

    /// The log is from Linux 7.3, shortened.
    #[test]
    fn the_reason_is_the_last_line_before_the_explanation() {
        let log = "52: (85) call bpf_probe_read#4\n\
                   program of this type cannot use helper bpf_probe_read#4\n\n\
                   Verification failed: Policy: Operation is not allowed\n\n\
                   Suggestion:\n  Use a helper allowed for this program type.\n\n\
                   verification time 16121 usec\nstack depth max 0\n\
                   subprog 0 (cgroup_mkdir) main insns_self 48 insns_total 48 stack 32\n\
                   subprog 1 (memset) static insns_self 0 insns_total 0 stack 0\n\
                   processed 48 insns (limit 1000000) max_states_per_insn 0\n\n";
        let reason = reason_in(log);
        assert!(is_locked_down(reason), "{reason}");
    }

    use crate::bpf::OBJECT;

    fn refused(map: &str, errno: Errno) -> LoadError {
        map_error(EbpfError::MapError(MapError::CreateError {
            name: map.to_owned(),
            io_error: errno.into(),
        }))
    }

    #[test]
    fn a_locked_down_kernel_is_distinguished_from_a_faulty_program() {
        for reason in [
            "unknown func bpf_probe_read#4",
            "unknown func bpf_probe_read_str#45",
            "program of this type cannot use helper bpf_probe_read_kernel#113",
        ] {
            assert!(is_locked_down(reason), "{reason}");
        }
        for reason in [
            "invalid func unknown#158",
            "85: (85) call bpf_probe_read_kernel#113",
        ] {
            assert!(!is_locked_down(reason), "{reason}");
        }
    }

    /// The errors are those of kernels before 5.8, on which the tests do not run.
    #[test]
    fn a_kernel_without_ring_buffers_is_distinguished_from_one_that_forbids_them() {
        let kind = |map, errno| match refused(map, errno) {
            LoadError::NoRingBuffer => "no ring buffer",
            LoadError::NotPermitted { .. } => "not permitted",
            LoadError::Maps(_) => "maps",
            error => panic!("{map}: {error}"),
        };
        for map in RINGS {
            assert_eq!(kind(map, Errno::INVAL), "no ring buffer", "{map}");
            assert_eq!(kind(map, Errno::PERM), "not permitted", "{map}");
            assert_eq!(kind(map, Errno::NOSYS), "not permitted", "{map}");
            assert_eq!(kind(map, Errno::NOMEM), "maps", "{map}");
        }
        assert_eq!(kind("WATCHED", Errno::INVAL), "maps");
    }

    #[test]
    fn every_ring_buffer_of_the_object_is_in_the_list() {
        const BPF_MAP_TYPE_RINGBUF: u32 = 27;
        let object = aya_obj::Object::parse(OBJECT).expect("the object that we ship");
        let mut rings: Vec<_> = object
            .maps
            .iter()
            .filter(|(_, map)| map.map_type() == BPF_MAP_TYPE_RINGBUF)
            .map(|(name, _)| name.as_str())
            .collect();
        let mut known = RINGS;
        rings.sort_unstable();
        known.sort_unstable();
        assert_eq!(rings, known);
    }
}
