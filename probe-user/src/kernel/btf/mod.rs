//! Finds the offsets of struct members of this kernel, in one pass over its BTF.
//!
//! Rust has no CO-RE relocations, and a full parse of the 5 MB takes 115 ms. A pass that
//! stores only the position of each type and reads a dozen structs takes 2 ms. `blob.rs`
//! reads the format.

mod blob;
mod contents;
pub(super) mod names;

use std::{
    io,
    path::{Path, PathBuf},
};

use probe_ebpf::{
    config::{CONTROLLERS, MEMBERS, OFFSETS_UNKNOWN, Offsets},
    event::UNKNOWN,
};
use zerocopy::{FromBytes, IntoBytes};

use self::{
    blob::{Btf, Kind},
    contents::Contents,
};

/// The file with the kernel's own BTF (5.4, `CONFIG_DEBUG_INFO_BTF`).
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Size of a pointer: BPF runs on 64-bit kernels only.
const POINTER_BYTES: u32 = 8;
const CONTROLLER_ENUM: &str = "cgroup_subsys_id";
/// The helpers of BPF, and the one that finds the registers of a task (Linux 5.15).
const HELPER_ENUM: &str = "bpf_func_id";
const REGISTERS_HELPER: &str = "BPF_FUNC_task_pt_regs";
const EXIT_TRACEPOINT: &str = "btf_trace_sched_process_exit";
/// The guard of a tracepoint that may be preempted. The kernel uses it for nothing else.
const SRCU_GUARD: &str = "class_srcu_fast_notrace_t";

/// Members that not every architecture or version has; the programs do without them.
pub const OPTIONAL: [(&str, &str); 3] = [
    ("pt_regs", "orig_ax"),
    ("pt_regs", "syscallno"),
    ("task_struct", "__state"),
];

/// Facts from the kernel's BTF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelTypes {
    /// Offsets of members; [`UNKNOWN`] for those that were not found.
    pub offsets: Offsets,
    /// Whether `sched_process_exit` has a `group_dead` argument (Linux 6.16);
    /// `None` if the BTF does not describe the tracepoint.
    pub exit_has_group_dead: Option<bool>,
    /// Whether a task may be preempted inside a tracepoint (Linux 7.0). Such tracepoints
    /// have an SRCU guard.
    pub tracepoints_are_preemptible: bool,
}

impl KernelTypes {
    /// `struct.member` of each member that was not found, and that records need.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let words = <[u32]>::ref_from_prefix_with_elems(self.offsets.as_bytes(), MEMBERS.len());
        let Ok((words, _)) = words else {
            return Vec::new();
        };
        MEMBERS
            .iter()
            .zip(words)
            .filter(|&(member, &offset)| offset == UNKNOWN && !OPTIONAL.contains(member))
            .map(|((name, member), _)| format!("{name}.{member}"))
            .collect()
    }
}

/// Why there are no offsets.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(
    feature = "unstable",
    expect(missing_docs, reason = "the messages say what the fields are")
)]
pub enum BtfError {
    /// The file cannot be read: the kernel was built without BTF, or the file is hidden.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The bytes are not BTF of this machine's byte order.
    #[error("BTF is malformed at byte {at}")]
    Malformed { at: usize },
}

/// Reads and parses the BTF of the running kernel.
pub fn read(path: &Path) -> Result<KernelTypes, BtfError> {
    let contents = Contents::of(path).map_err(|error| unreadable(path, error))?;
    parse(&contents)
}

fn unreadable(path: &Path, source: io::Error) -> BtfError {
    BtfError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Parses the bytes of a BTF file.
pub fn parse(bytes: &[u8]) -> Result<KernelTypes, BtfError> {
    let btf = Btf::new(bytes)?;
    let mut types = KernelTypes {
        offsets: OFFSETS_UNKNOWN,
        exit_has_group_dead: None,
        tracepoints_are_preemptible: false,
    };
    let mut structs: Vec<_> = MEMBERS.iter().map(|&(name, _)| name).collect();
    structs.dedup();
    let mut found = vec![UNKNOWN; MEMBERS.len()];
    let mut controllers = CONTROLLERS.map(|_| None);
    let mut finds_registers = false;
    for (index, &start) in btf.starts.iter().enumerate() {
        let Some(kind) = btf.kind(start) else {
            continue;
        };
        match kind {
            Kind::Struct => {
                for name in &structs {
                    btf.find_members(start, name, &mut found);
                }
            }
            Kind::Enum if btf.is_named(start, CONTROLLER_ENUM.as_bytes()) => {
                controllers = CONTROLLERS.map(|name| btf.enumerator(start, name));
            }
            Kind::Enum if btf.is_named(start, HELPER_ENUM.as_bytes()) => {
                finds_registers |= btf.enumerator(start, REGISTERS_HELPER).is_some();
            }
            Kind::Typedef if btf.is_named(start, EXIT_TRACEPOINT.as_bytes()) => {
                types.exit_has_group_dead = btf.tracepoint_args(index).map(|args| args > 1);
            }
            Kind::Typedef if btf.is_named(start, SRCU_GUARD.as_bytes()) => {
                types.tracepoints_are_preemptible = true;
            }
            _ => {}
        }
    }
    let members = types.offsets.as_mut_bytes();
    members[..found.len() * 4].copy_from_slice(found.as_bytes());
    types.offsets.css_set_subsys = controllers.map(|index| {
        let array = types.offsets.css_set_subsys_array;
        let index = index.filter(|_| array != UNKNOWN);
        let offset = index.and_then(|index| index.checked_mul(POINTER_BYTES)?.checked_add(array));
        offset.unwrap_or(UNKNOWN)
    });
    types.offsets.upid_bytes = btf.struct_size(b"upid").unwrap_or(UNKNOWN);
    types.offsets.sigaction_bytes = btf.struct_size(b"k_sigaction").unwrap_or(UNKNOWN);
    if finds_registers {
        let offsets = &types.offsets;
        types.offsets.syscall_number = offsets.pt_regs_orig_ax.min(offsets.pt_regs_syscallno);
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{blob::MAGIC, *};

    /// BTF of `struct upid { int nr; struct { int ns; }; }`: an int, an anonymous struct,
    /// the struct and a pointer.
    fn small_btf() -> Vec<u8> {
        let strings = b"\0int\0upid\0nr\0ns\0";
        let types = [
            [1, 1 << 24, 4, 32].as_slice(), // [1] int
            &[0, 4 << 24 | 1, 4],           // [2] an anonymous struct
            &[13, 1, 0],                    // … int ns
            &[5, 4 << 24 | 2, 16],          // [3] struct upid
            &[10, 1, 0, 0, 2, 64],          // … int nr and [2], 8 bytes in
            &[0, 2 << 24, 1],               // [4] a pointer
        ];
        btf(&types.concat(), strings)
    }

    fn btf(types: &[u32], strings: &[u8]) -> Vec<u8> {
        let types = types.as_bytes();
        let mut btf = Vec::new();
        btf.extend(MAGIC.to_ne_bytes());
        btf.extend([1, 0]);
        let strings_at = u32::try_from(types.len()).expect("small");
        let strings_len = u32::try_from(strings.len()).expect("small");
        for word in [24, 0, strings_at, strings_at, strings_len] {
            btf.extend(word.to_ne_bytes());
        }
        btf.extend(types);
        btf.extend(strings);
        btf
    }

    #[test]
    fn a_member_of_an_anonymous_struct_is_found() {
        let types = parse(&small_btf()).expect("BTF");
        assert_eq!(types.offsets.upid_nr, 0);
        assert_eq!(types.offsets.upid_ns, 8);
        assert_eq!(types.offsets.upid_bytes, 16);
        assert_eq!(types.offsets.task_pid, UNKNOWN);
        assert!(types.missing().contains(&"task_struct.pid".to_owned()));
        assert!(!types.missing().contains(&"pt_regs.orig_ax".to_owned()));
    }

    #[test]
    fn a_struct_that_contains_itself_has_no_offsets() {
        let name = MEMBERS[0].0;
        let strings = [b"\0", name.as_bytes(), b"\0"].concat();
        let members = (0..50).flat_map(|_| [0, 1, 0]);
        let types: Vec<u32> = [1, 4 << 24 | 0x32, 8].into_iter().chain(members).collect();
        let types = parse(&btf(&types, &strings)).expect("BTF");
        assert_eq!(types.offsets.task_pid, UNKNOWN);
    }

    #[test]
    fn an_index_that_overflows_the_array_is_unknown() {
        let strings = [
            b"\0css_set\0subsys\0cgroup_subsys_id\0",
            CONTROLLERS[0].as_bytes(),
            b"\0",
        ]
        .concat();
        let types = [
            [1, 4 << 24 | 1, 8].as_slice(), // struct css_set
            &[9, 0, 64],                    // … subsys, 8 bytes in
            &[16, 6 << 24 | 1, 4],          // enum cgroup_subsys_id
            &[33, 1 << 29],                 // … the first controller
        ];
        let types = parse(&btf(&types.concat(), &strings)).expect("BTF");
        assert_eq!(types.offsets.css_set_subsys_array, 8);
        assert_eq!(types.offsets.css_set_subsys[0], UNKNOWN);
    }

    #[test]
    fn bytes_that_are_not_btf_are_an_error() {
        assert!(matches!(parse(b"ELF"), Err(BtfError::Malformed { at: 0 })));
        assert!(matches!(parse(&[]), Err(BtfError::Malformed { at: 0 })));
        let mut cut = small_btf();
        cut.truncate(60);
        assert!(parse(&cut).is_err());
    }

    proptest! {
        #[test]
        fn damaged_btf_never_panics(at in 0_usize..120, value in any::<u8>()) {
            let mut btf = small_btf();
            if let Some(byte) = btf.get_mut(at) {
                *byte = value;
            }
            let _parsed = parse(&btf);
        }
    }
}
