//! The pass over a kernel's BTF.

use probe_ebpf::{config::MEMBERS, event::UNKNOWN};
use probe_user::unstable::kernel::btf;
use zerocopy::IntoBytes;

/// Any bytes as BTF. A member is found or missing, never both, and an answer
/// comes soon: libFuzzer stops an input that takes long.
///
/// # Panics
///
/// If that does not hold.
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
