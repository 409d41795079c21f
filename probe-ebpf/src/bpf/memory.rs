//! Kernel and user memory, behind safe functions.
//!
//! # Safety
//!
//! `bpf_probe_read_*` checks the source address itself and returns an error, never a
//! fault, so any address may be passed to it; a wrong offset gives wrong data, not
//! undefined behaviour. The verifier accepts a direct load only from a typed pointer and
//! only within the bounds of its type.
#![expect(unsafe_code, reason = "kernel memory, see the module's Safety section")]

use core::hint::black_box;

use aya_ebpf::helpers;
use probe_ebpf::event::{ARGS_BYTES, PATH_BYTES, UNKNOWN};

/// A value that may be read from any bytes.
pub(crate) trait Plain: Copy + Default {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for i32 {}

/// How kernel memory is read.
///
/// `DIRECT` reads compile to plain loads that the kernel guards by its fault
/// table, a nanosecond each. The verifier allows them from typed pointers only:
/// `bpf_get_current_task_btf` (5.11, and a kernel with BTF) returns one to the
/// current task, and members of a typed struct are typed pointers again. All other
/// reads go through `bpf_probe_read_kernel`, which is some twenty times slower.
pub(crate) const DIRECT: bool = true;
/// Reads through `bpf_probe_read_kernel`; see [`DIRECT`].
pub(crate) const PROBED: bool = false;

/// Reads a member; zero if the offset is unknown or the memory cannot be read.
///
/// The function does not check for a null `base`: that reads as zero anyway, and
/// each check would double the paths that the verifier must follow.
#[inline(always)]
pub(crate) fn read<const ACCESS: bool, T: Plain>(base: u64, offset: u32) -> T {
    if offset == UNKNOWN {
        return T::default();
    }
    let address = base.wrapping_add(u64::from(offset)) as *const T;
    if ACCESS == DIRECT {
        // SAFETY: the verifier accepts the load only if it knows the struct
        // that `base` points to and that `offset` is inside it; a fault reads
        // as zero.
        unsafe { address.read_volatile() }
    } else {
        let mut value = T::default();
        let destination = (&raw mut value).cast();
        // The result does not matter, because a helper that fails writes zeros:
        // https://elixir.bootlin.com/linux/v6.12/source/kernel/trace/bpf_trace.c#L213
        // SAFETY: `value` is valid for size_of::<T>() bytes, and any bytes are a
        // `Plain`; the helper checks the source.
        let _zero_or_error = unsafe {
            helpers::generated::bpf_probe_read_kernel(
                destination,
                size_of::<T>() as u32,
                address.cast(),
            )
        };
        value
    }
}

/// Reads a pointer, then a member of what it points to.
#[inline(always)]
pub(crate) fn follow<const ACCESS: bool, T: Plain>(base: u64, pointer: u32, offset: u32) -> T {
    if pointer == UNKNOWN {
        return T::default();
    }
    read::<ACCESS, T>(read::<ACCESS, u64>(base, pointer), offset)
}

/// All bits if the top bit of a number is set, else none. The compiler cannot make a branch of it,
/// which in a loop would make the verifier walk through every combination of outcomes.
#[inline(always)]
pub(crate) fn sign(number: u64) -> u64 {
    black_box(black_box(number).cast_signed() >> 63).cast_unsigned()
}

const PATH_BYTES_WITH_NUL: u32 = PATH_BYTES as u32;

/// Copies a NUL-terminated path and returns its length; 0 if it did not fit or could
/// not be read.
#[inline(always)]
pub(crate) fn read_path(address: u64, path: &mut [u8; PATH_BYTES]) -> u32 {
    let destination = path.as_mut_ptr().cast();
    // SAFETY: `path` is valid for PATH_BYTES; the helper checks the source.
    let copied = unsafe {
        helpers::generated::bpf_probe_read_kernel_str(
            destination,
            PATH_BYTES as u32,
            address as *const _,
        )
    };
    // The count includes the NUL; a full buffer means that the path was cut off.
    match u32::try_from(copied) {
        Ok(copied @ 1..PATH_BYTES_WITH_NUL) => copied - 1,
        _ => 0,
    }
}

/// Copies `len` bytes, at most all of `to`, from the current task's memory, and
/// returns whether they could be read.
#[inline(always)]
pub(crate) fn read_user(from: u64, to: &mut [u8; ARGS_BYTES], len: u32) -> bool {
    let len = len.min(ARGS_BYTES as u32);
    let destination = to.as_mut_ptr().cast();
    // SAFETY: `to` is valid for `len` bytes, which the verifier checks again;
    // the helper checks the user address.
    let result =
        unsafe { helpers::generated::bpf_probe_read_user(destination, len, from as *const _) };
    result == 0
}
