//! Who owns the user namespaces that a task lives in.

use probe_ebpf::event::UNKNOWN;

use crate::{
    globals::offset,
    map_value::Remembered,
    memory::{PROBED, read},
};

/// `init_user_ns`, in which almost every task lives. Static in the kernel, so
/// once found it never changes.
static INITIAL: Remembered = Remembered::new();

/// None lies deeper:
/// <https://elixir.bootlin.com/linux/v6.12/source/kernel/user_namespace.c#L95>
const MAX_LEVEL: u32 = 33;

const NOBODY: [u32; 2] = [UNKNOWN; 2];

/// Owners of the namespace of a `cred` and of its ancestor directly below the
/// initial one; nobody for the initial one.
///
/// Probed, whatever the pointer: one more typed pointer costs the verifier
/// 10 ms (see [`crate::task::Task::group`]), one probe a task 20 ns.
#[inline(always)]
pub(crate) fn owners(cred: u64) -> [u32; 2] {
    if offset!(cred_user_ns) == UNKNOWN || offset!(user_ns_level) == UNKNOWN {
        return NOBODY;
    }
    let mut namespace: u64 = read::<PROBED, _>(cred, offset!(cred_user_ns));
    if namespace == INITIAL.get() {
        return NOBODY;
    }
    let level: u32 = read::<PROBED, _>(namespace, offset!(user_ns_level));
    if level == 0 {
        INITIAL.set(namespace);
        return NOBODY;
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
