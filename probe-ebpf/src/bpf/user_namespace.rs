//! The owners of the user namespaces in which a task lives.

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

const NO_OWNERS: [u32; 2] = [UNKNOWN; 2];

/// Owners of the namespace of a `cred` and of its ancestor directly below the
/// initial one; [`NO_OWNERS`] for the initial namespace.
///
/// The reads are probed: one more typed pointer would cost the verifier 10 ms (see
/// [`crate::task::Task::group`]), and one probe costs a task 20 ns.
#[inline(always)]
pub(crate) fn owners(cred: u64) -> [u32; 2] {
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
    let own = read::<PROBED, _>(namespace, offset!(user_ns_owner));
    for step in 1..MAX_LEVEL {
        if step >= level {
            break;
        }
        namespace = read::<PROBED, _>(namespace, offset!(user_ns_parent));
    }
    [own, read::<PROBED, _>(namespace, offset!(user_ns_owner))]
}
