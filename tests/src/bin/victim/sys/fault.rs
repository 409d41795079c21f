//! Faults of the processor.

use std::{arch::asm, hint::black_box, os::fd::AsRawFd, ptr};

/// SIGSEGV: reads an unmapped page.
pub(crate) fn segv() {
    let nowhere: *const u8 = black_box(ptr::without_provenance(8));
    // SAFETY: the first page is never mapped, so the read does not return.
    unsafe { nowhere.read_volatile() };
}

/// SIGSEGV: reads a non-canonical address.
pub(crate) fn protection() {
    let never: *const u8 = black_box(ptr::without_provenance(1 << (usize::BITS - 2)));
    // SAFETY: the address is invalid, so the read does not return.
    unsafe { never.read_volatile() };
}

/// SIGILL.
pub(crate) fn ill() {
    // SAFETY: the instruction is defined as invalid; it does not return.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("ud2");
    };
    // SAFETY: the instruction is defined as invalid; it does not return.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("udf #0");
    };
}

/// SIGTRAP.
pub(crate) fn trap() {
    // SAFETY: the instruction changes nothing; without a debugger it does not return.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("int3");
    };
    // SAFETY: the instruction changes nothing; without a debugger it does not return.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("brk #0");
    };
}

/// SIGFPE on processors that fault on a division by zero.
pub(crate) fn fpe() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a division by zero does not return; the registers are declared.
    unsafe {
        asm!("div {0:e}", in(reg) 0_u32, inout("eax") 1_u32 => _, inout("edx") 0_u32 => _);
    };
}

/// SIGBUS: reads a mapping beyond the end of its file.
pub(crate) fn bus() {
    let empty = tempfile::tempfile_in("/dev/shm").expect("/dev/shm is mounted");
    let (protection, flags) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: the kernel chooses an unused address.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            4096,
            protection,
            flags,
            empty.as_raw_fd(),
            0,
        )
    };
    assert_ne!(page, libc::MAP_FAILED, "mmap");
    // SAFETY: the address is mapped by us. The file has no such page, so the read does not
    // return.
    unsafe { page.cast::<u8>().read_volatile() };
}
