//! Where this kernel's structs keep their members: one streaming pass over its
//! BTF.
//!
//! Rust has no CO-RE relocations, and a full parse of the 5 MB takes 115 ms; a
//! pass that remembers only where each type begins and looks into a dozen
//! structs takes 2 ms. The format:
//! <https://docs.kernel.org/bpf/btf.html#btf-type-encoding>

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use probe_ebpf::{
    config::{CONTROLLERS, MEMBERS, OFFSETS_UNKNOWN, Offsets},
    event::UNKNOWN,
};
use zerocopy::{FromBytes, IntoBytes};

/// Where the kernel shows its own BTF (5.4, `CONFIG_DEBUG_INFO_BTF`).
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
/// The kernels that BPF serves are 64-bit ones.
const POINTER_BYTES: u32 = 8;
const CONTROLLER_ENUM: &str = "cgroup_subsys_id";
const EXIT_TRACEPOINT: &str = "btf_trace_sched_process_exit";

/// What the BTF says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelTypes {
    /// Members that were not found are [`UNKNOWN`].
    pub offsets: Offsets,
    /// Whether `sched_process_exit` has a `group_dead` argument (Linux 6.16);
    /// `None` if the BTF does not describe the tracepoint.
    pub exit_has_group_dead: Option<bool>,
}

impl KernelTypes {
    /// `struct.member` of everything that was not found.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let words = <[u32]>::ref_from_prefix_with_elems(self.offsets.as_bytes(), MEMBERS.len());
        let Ok((words, _)) = words else {
            return Vec::new();
        };
        MEMBERS
            .iter()
            .zip(words)
            .filter(|&(_, &offset)| offset == UNKNOWN)
            .map(|((name, member), _)| format!("{name}.{member}"))
            .collect()
    }
}

/// Why there are no offsets.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// No such file: the kernel was built without BTF, or it is hidden.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes are not BTF of this machine's byte order.
    #[error("BTF is malformed at byte {at}")]
    Malformed {
        /// Where it stopped making sense.
        at: usize,
    },
}

/// Reads and parses the BTF of the running kernel.
pub fn read(path: &Path) -> Result<KernelTypes, BtfError> {
    let bytes = fs::read(path).map_err(|source| BtfError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&bytes)
}

/// Parses BTF as the kernel shows it.
pub fn parse(bytes: &[u8]) -> Result<KernelTypes, BtfError> {
    let btf = Btf::new(bytes)?;
    let mut types = KernelTypes {
        offsets: OFFSETS_UNKNOWN,
        exit_has_group_dead: None,
    };
    let mut found = vec![UNKNOWN; MEMBERS.len()];
    let mut controllers = CONTROLLERS.map(|_| None);
    for (index, &start) in btf.starts.iter().enumerate() {
        let Some(kind) = btf.kind(start) else {
            continue;
        };
        match kind {
            Kind::Struct => btf.find_members(start, &mut found),
            Kind::Enum if btf.name(start) == Some(CONTROLLER_ENUM.as_bytes()) => {
                controllers = CONTROLLERS.map(|name| btf.enumerator(start, name));
            }
            Kind::Typedef if btf.name(start) == Some(EXIT_TRACEPOINT.as_bytes()) => {
                types.exit_has_group_dead = btf.tracepoint_args(index).map(|args| args > 1);
            }
            _ => {}
        }
    }
    let members = types.offsets.as_mut_bytes();
    members[..found.len() * 4].copy_from_slice(found.as_bytes());
    types.offsets.css_set_subsys = controllers.map(|index| {
        let array = types.offsets.css_set_subsys_array;
        let index = index.filter(|_| array != UNKNOWN);
        index.map_or(UNKNOWN, |index| array + index * POINTER_BYTES)
    });
    types.offsets.upid_bytes = btf.struct_size(b"upid").unwrap_or(UNKNOWN);
    Ok(types)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pointer,
    Struct,
    Enum,
    Typedef,
    Modifier,
    Prototype,
    Other,
}

/// A BTF blob and where each of its types begins; type id 1 is `starts[0]`.
struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    starts: Vec<u32>,
}

impl<'a> Btf<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let malformed = |at| BtfError::Malformed { at };
        let head = |at| u32_at(bytes, at).ok_or(malformed(at));
        let magic = bytes.first_chunk().map(|&magic| u16::from_ne_bytes(magic));
        if magic != Some(MAGIC) {
            return Err(malformed(0));
        }
        let body = head(4)? as usize;
        let section = |at: usize| -> Result<&'a [u8], BtfError> {
            let start = body.saturating_add(head(at)? as usize);
            let end = start.saturating_add(head(at + 4)? as usize);
            bytes.get(start..end).ok_or(malformed(at))
        };
        let mut btf = Self {
            types: section(8)?,
            strings: section(16)?,
            starts: Vec::new(),
        };
        btf.index()?;
        Ok(btf)
    }

    fn index(&mut self) -> Result<(), BtfError> {
        self.starts.reserve(self.types.len() / 24);
        let mut at = 0_usize;
        while at < self.types.len() {
            let size = self.size_of(at).ok_or(BtfError::Malformed { at })?;
            self.starts
                .push(u32::try_from(at).map_err(|_too_large| BtfError::Malformed { at })?);
            at += size;
        }
        Ok(())
    }

    fn info(&self, at: usize) -> Option<(u32, usize)> {
        let info = u32_at(self.types, at + 4)?;
        Some((info >> 24 & 0x1f, (info & 0xffff) as usize))
    }

    /// Bytes of the type at `at`, by kind.
    fn size_of(&self, at: usize) -> Option<usize> {
        u32_at(self.types, at + 8)?;
        let (kind, vlen) = self.info(at)?;
        let extra = match kind {
            // INT, VAR, DECL_TAG; ARRAY
            1 | 14 | 17 => 4,
            3 => 12,
            // STRUCT, UNION, DATASEC, ENUM64
            4 | 5 | 15 | 19 => vlen * 12,
            // ENUM, FUNC_PROTO
            6 | 13 => vlen * 8,
            // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
            2 | 7..=12 | 16 | 18 => 0,
            _ => return None,
        };
        Some(12 + extra)
    }

    fn kind(&self, start: u32) -> Option<Kind> {
        let (kind, _) = self.info(start as usize)?;
        Some(match kind {
            2 => Kind::Pointer,
            4 | 5 => Kind::Struct,
            6 => Kind::Enum,
            8 => Kind::Typedef,
            9..=11 | 18 => Kind::Modifier,
            13 => Kind::Prototype,
            _ => Kind::Other,
        })
    }

    fn string(&self, at: u32) -> Option<&'a [u8]> {
        let rest = self.strings.get(at as usize..)?;
        rest.split(|&byte| byte == 0).next()
    }

    fn name(&self, start: u32) -> Option<&'a [u8]> {
        self.string(u32_at(self.types, start as usize)?)
    }

    /// The type that a type id stands for, typedefs and qualifiers removed.
    fn resolve(&self, id: u32) -> Option<u32> {
        let mut start = *self.starts.get((id as usize).checked_sub(1)?)?;
        // A chain is a handful long; the limit is against a cycle in bad data.
        for _ in 0..32 {
            match self.kind(start)? {
                Kind::Typedef | Kind::Modifier => {
                    let next = u32_at(self.types, start as usize + 8)?;
                    start = *self.starts.get((next as usize).checked_sub(1)?)?;
                }
                _ => return Some(start),
            }
        }
        None
    }

    /// Value of an enumerator that is not negative.
    fn enumerator(&self, start: u32, name: &str) -> Option<u32> {
        let (_, vlen) = self.info(start as usize)?;
        (0..vlen).find_map(|index| {
            let at = start as usize + 12 + index * 8;
            let found = self.string(u32_at(self.types, at)?)? == name.as_bytes();
            found.then(|| u32_at(self.types, at + 4))?
        })
    }

    fn find_members(&self, start: u32, found: &mut [u32]) {
        let Some(name) = self.name(start).filter(|name| !name.is_empty()) else {
            return;
        };
        for ((wanted, member), slot) in MEMBERS.iter().zip(found) {
            if *slot == UNKNOWN
                && wanted.as_bytes() == name
                && let Some(bits) = self.member_bits(start, member, 0)
            {
                *slot = bits / 8;
            }
        }
    }

    /// Offset in bits of a dotted path of members.
    fn member_bits(&self, start: u32, path: &str, depth: u32) -> Option<u32> {
        // Anonymous structs nest a few deep; the limit is against bad data.
        if depth > 8 || self.kind(start)? != Kind::Struct {
            return None;
        }
        let (first, rest) = path
            .split_once('.')
            .map_or((path, None), |(first, rest)| (first, Some(rest)));
        let is_bitfields = u32_at(self.types, start as usize + 4)? >> 31 != 0;
        let (_, vlen) = self.info(start as usize)?;
        (0..vlen).find_map(|index| {
            let at = start as usize + 12 + index * 12;
            let name = self.string(u32_at(self.types, at)?)?;
            let offset = u32_at(self.types, at + 8)?;
            let bits = if is_bitfields {
                offset & 0x00ff_ffff
            } else {
                offset
            };
            let inner = || self.resolve(u32_at(self.types, at + 4)?);
            let below = if name.is_empty() {
                self.member_bits(inner()?, path, depth + 1)?
            } else if name != first.as_bytes() {
                return None;
            } else if let Some(rest) = rest {
                self.member_bits(inner()?, rest, depth + 1)?
            } else {
                0
            };
            bits.checked_add(below)
        })
    }

    /// Arguments of the tracepoint whose typedef is `starts[index]`, without
    /// the private data pointer that comes first.
    fn tracepoint_args(&self, index: usize) -> Option<usize> {
        let id = u32::try_from(index + 1).ok()?;
        let pointer = self.resolve(id)?;
        if self.kind(pointer)? != Kind::Pointer {
            return None;
        }
        let prototype = self.resolve(u32_at(self.types, pointer as usize + 8)?)?;
        if self.kind(prototype)? != Kind::Prototype {
            return None;
        }
        self.info(prototype as usize)?.1.checked_sub(1)
    }

    fn struct_size(&self, name: &[u8]) -> Option<u32> {
        let start = self.starts.iter().find(|&&start| {
            self.kind(start) == Some(Kind::Struct) && self.name(start) == Some(name)
        })?;
        u32_at(self.types, *start as usize + 8)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let chunk = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `struct upid { int nr; struct { long a; } ; struct pid_namespace *ns; }`
    /// built by hand: an int, an anonymous struct, the struct.
    fn small_btf() -> Vec<u8> {
        let strings = b"\0int\0upid\0nr\0ns\0";
        let types: [u32; 23] = [
            1,
            1 << 24,
            4,
            32, // [1] int
            0,
            4 << 24 | 1,
            4,
            13,
            1,
            0, // [2] struct { int ns; }
            5,
            4 << 24 | 2,
            16,
            10,
            1,
            0,
            0,
            2,
            64, // [3] struct upid
            0,
            2 << 24,
            1,
            0, // [4] pointer and padding
        ];
        let types = &types.as_bytes()[..22 * 4];
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
    }

    #[test]
    fn what_is_not_btf_is_an_error() {
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
