//! What the processor refuses.

use std::{arch::asm, fs::File, hint::black_box, os::fd::AsRawFd, ptr};

/// SIGSEGV: nothing is mapped there.
pub(crate) fn segv() {
    let nowhere: *const u8 = black_box(ptr::without_provenance(8));
    // SAFETY: the first page is never mapped, so the read does not come back.
    unsafe { nowhere.read_volatile() };
}

/// SIGSEGV of another kind, where addresses have a hole in the middle.
pub(crate) fn protection() {
    let never: *const u8 = black_box(ptr::without_provenance(1 << (usize::BITS - 2)));
    // SAFETY: no address, so the read does not come back.
    unsafe { never.read_volatile() };
}

/// SIGILL.
pub(crate) fn ill() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: defined to be no instruction; it does not come back.
    unsafe {
        asm!("ud2");
    };
    #[cfg(target_arch = "aarch64")]
    // SAFETY: defined to be no instruction; it does not come back.
    unsafe {
        asm!("udf #0");
    };
}

/// SIGTRAP.
pub(crate) fn trap() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: changes nothing; without a debugger it does not come back.
    unsafe {
        asm!("int3");
    };
    #[cfg(target_arch = "aarch64")]
    // SAFETY: changes nothing; without a debugger it does not come back.
    unsafe {
        asm!("brk #0");
    };
}

/// SIGFPE, where the processor has such a thing.
pub(crate) fn fpe() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a division by zero does not come back; the registers are named.
    unsafe {
        asm!("div {0:e}", in(reg) 0_u32, inout("eax") 1_u32 => _, inout("edx") 0_u32 => _);
    };
}

/// SIGBUS: a mapping that reaches beyond the end of its file.
pub(crate) fn bus() {
    let empty = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(format!("/dev/shm/victim-{}", std::process::id()))
        .expect("a place for files in memory");
    let path = format!("/dev/shm/victim-{}", std::process::id());
    std::fs::remove_file(path).expect("just made");
    let (protection, flags) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: the kernel chooses a place where nothing is.
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
    // SAFETY: mapped by us; there is no page behind it, so the read does not
    // come back.
    unsafe { page.cast::<u8>().read_volatile() };
}
