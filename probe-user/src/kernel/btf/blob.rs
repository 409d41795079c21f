//! The binary format of BTF: the position of each type, and the fields of a type.
//! <https://docs.kernel.org/bpf/btf.html#btf-type-encoding>
//!
//! Bytes that are not BTF lead to an error or a `None`, never to a panic.

use probe_ebpf::{config::MEMBERS, event::UNKNOWN};

use super::BtfError;

pub(super) const MAGIC: u16 = 0xeb9f;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pointer,
    Struct,
    Enum,
    Typedef,
    Modifier,
    Prototype,
    Other,
}

/// The section of the names.
pub(super) fn names(bytes: &[u8]) -> Result<&[u8], BtfError> {
    section(bytes, 16)
}

/// The section of which the position and the length are at `at` in the header.
fn section(bytes: &[u8], at: usize) -> Result<&[u8], BtfError> {
    let malformed = |at| BtfError::Malformed { at };
    let head = |at| u32_at(bytes, at).ok_or(malformed(at));
    let magic = bytes.first_chunk().map(|&magic| u16::from_ne_bytes(magic));
    if magic != Some(MAGIC) {
        return Err(malformed(0));
    }
    let body = head(4)? as usize;
    let start = body.saturating_add(head(at)? as usize);
    let end = start.saturating_add(head(at + 4)? as usize);
    bytes.get(start..end).ok_or(malformed(at))
}

/// A BTF blob and the position of each of its types; type id 1 is `starts[0]`.
pub(super) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    pub(super) starts: Vec<u32>,
}

impl<'a> Btf<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let mut btf = Self {
            types: section(bytes, 8)?,
            strings: names(bytes)?,
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

    /// Size in bytes of the type at `at`, by its kind.
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

    pub(super) fn kind(&self, start: u32) -> Option<Kind> {
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

    /// Whether the type has this name. The kernel has 100,000 types, so this reads no more bytes
    /// than it must.
    pub(super) fn is_named(&self, start: u32, name: &[u8]) -> bool {
        let at = u32_at(self.types, start as usize);
        let rest = at.and_then(|at| self.strings.get(at as usize..));
        rest.and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|end| end.first() == Some(&0))
    }

    /// The type of a type id, without typedefs and qualifiers.
    fn resolve(&self, id: u32) -> Option<u32> {
        let mut start = *self.starts.get((id as usize).checked_sub(1)?)?;
        // A chain has a handful of links; the limit guards against a cycle in bad data.
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
    pub(super) fn enumerator(&self, start: u32, name: &str) -> Option<u32> {
        let (_, vlen) = self.info(start as usize)?;
        (0..vlen).find_map(|index| {
            let at = start as usize + 12 + index * 8;
            let found = self.string(u32_at(self.types, at)?)? == name.as_bytes();
            found.then(|| u32_at(self.types, at + 4))?
        })
    }

    /// Finds the wanted members of the struct at `start`, if it is `name`.
    pub(super) fn find_members(&self, start: u32, name: &str, found: &mut [u32]) {
        if !self.is_named(start, name.as_bytes()) {
            return;
        }
        for ((wanted, member), slot) in MEMBERS.iter().zip(found) {
            if *slot == UNKNOWN
                && *wanted == name
                && let Some(bits) = self.member_bits(start, member, &mut SearchLimit::new())
            {
                *slot = bits / 8;
            }
        }
    }

    /// Offset in bits of a dotted path of members.
    fn member_bits(&self, start: u32, path: &str, limit: &mut SearchLimit) -> Option<u32> {
        if self.kind(start)? != Kind::Struct {
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
                limit.descend(|limit| self.member_bits(inner()?, path, limit))?
            } else if name != first.as_bytes() {
                return None;
            } else if let Some(rest) = rest {
                limit.descend(|limit| self.member_bits(inner()?, rest, limit))?
            } else {
                0
            };
            bits.checked_add(below)
        })
    }

    /// Number of arguments of the tracepoint with the typedef `starts[index]`, without the
    /// private data pointer that comes first.
    pub(super) fn tracepoint_args(&self, index: usize) -> Option<usize> {
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

    pub(super) fn struct_size(&self, name: &[u8]) -> Option<u32> {
        let start = self
            .starts
            .iter()
            .find(|&&start| self.kind(start) == Some(Kind::Struct) && self.is_named(start, name))?;
        u32_at(self.types, *start as usize + 8)
    }
}

/// Limits one search for a member. They guard against bad data: structs that contain
/// themselves.
struct SearchLimit {
    /// Remaining depth; anonymous structs nest a few levels deep.
    depth: u32,
    /// Remaining structs to search; the wanted structs contain at most two.
    structs: u32,
}

impl SearchLimit {
    const fn new() -> Self {
        Self {
            depth: 8,
            structs: 100,
        }
    }

    fn descend<T>(&mut self, search: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.structs = self.structs.checked_sub(1)?;
        self.depth = self.depth.checked_sub(1)?;
        let found = search(self);
        self.depth += 1;
        found
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let chunk = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*chunk))
}
