//! The owners of the user namespaces in which a task lives.
#![expect(unsafe_code, reason = "a global function has an unmangled name")]

use probe_ebpf::event::UNKNOWN;

use crate::{
    globals::offset,
    map_value::SharedWord,
    memory::{PROBED, read},
};

/// Address of `init_user_ns`, in which almost every task lives. It is static in the
/// kernel, so its address never changes.
static INIT_USER_NS: SharedWord = SharedWord::new();

/// Limit of the depth of a user namespace, from the kernel:
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/user_namespace.c#L95>
const MAX_LEVEL: u32 = 33;

/// Owners of the namespace of a `cred` and of its ancestor directly below the
/// initial one; [`UNKNOWN`] for the initial namespace.
///
/// The reads are probed: one more typed pointer would cost the verifier 10 ms (see
/// [`crate::task::Task::group`]), and one probe costs a task 20 ns.
#[inline(always)]
pub(crate) fn owners(cred: u64) -> [u32; 2] {
    let owners = user_namespace_owners(cred);
    [(owners >> 32) as u32, owners as u32]
}

/// The two owners in one word. The verifier walks through a global function once, and not once
/// for each path that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn user_namespace_owners(cred: u64) -> u64 {
    const NO_OWNERS: u64 = u64::MAX;
    if offset!(cred_user_ns) == UNKNOWN || offset!(user_ns_level) == UNKNOWN {
        return NO_OWNERS;
    }
    let mut namespace: u64 = read::<PROBED, _>(cred, offset!(cred_user_ns));
    if namespace == INIT_USER_NS.get() {
        return NO_OWNERS;
    }
    let level: u32 = read::<PROBED, _>(namespace, offset!(user_ns_level));
    if level == 0 {
        INIT_USER_NS.set(namespace);
        return NO_OWNERS;
    }
    let own: u32 = read::<PROBED, _>(namespace, offset!(user_ns_owner));
    for step in 1..MAX_LEVEL {
        if step >= level {
            break;
        }
        namespace = read::<PROBED, _>(namespace, offset!(user_ns_parent));
    }
    let top: u32 = read::<PROBED, _>(namespace, offset!(user_ns_owner));
    u64::from(own) << 32 | u64::from(top)
}
