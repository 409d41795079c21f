//! Fuzz target for the pass over a kernel's BTF.

use probe_ebpf::{config::MEMBERS, event::UNKNOWN};
use probe_user::unstable::kernel::btf;
use zerocopy::IntoBytes;

/// Parses the bytes as BTF. libFuzzer reports an input that takes too long.
///
/// # Panics
///
/// If a member of a struct is neither found nor missing, or both.
pub fn btf(bytes: &[u8]) {
    let Ok(types) = btf::parse(bytes) else {
        return;
    };
    let (words, _rest) = types.offsets.as_bytes().as_chunks::<4>();
    let members = MEMBERS.iter().zip(words);
    let unknown = members.filter(|(_, word)| **word == UNKNOWN.to_ne_bytes());
    let missing = types.missing();
    assert_eq!(missing.len(), unknown.count(), "{missing:?}");
}
