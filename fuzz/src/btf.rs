//! Fuzz target for the pass over a kernel's BTF.

use probe_ebpf::{config::MEMBERS, event::UNKNOWN};
use probe_user::unstable::kernel::btf;
use zerocopy::IntoBytes;

/// Parses the bytes as BTF. libFuzzer reports an input that takes too long.
///
/// # Panics
///
/// If a member that every kernel has is neither found nor missing, or both.
pub fn btf(bytes: &[u8]) {
    let Ok(types) = btf::parse(bytes) else {
        return;
    };
    let (words, _rest) = types.offsets.as_bytes().as_chunks::<4>();
    let members = MEMBERS.iter().zip(words);
    let is_unknown = |word: &[u8; 4]| *word == UNKNOWN.to_ne_bytes();
    let unknown =
        members.filter(|(member, word)| is_unknown(word) && !btf::OPTIONAL.contains(member));
    let missing = types.missing();
    assert_eq!(missing.len(), unknown.count(), "{missing:?}");
}
