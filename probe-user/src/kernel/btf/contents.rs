//! The bytes of a BTF file, mapped where the kernel can.
//!
//! The kernel copies a page for each read of its BTF, 1,400 times for the whole file, which takes
//! 10 ms. Since Linux 6.16 the file can be mapped.
//!
//! # Safety
//!
//! A mapping is read-only and private, and only a file of sysfs is mapped: the BTF of the kernel,
//! which never changes. The mapping lives as long as the value that lends its bytes.

#![expect(unsafe_code, reason = "rustix has no safe form of a mapping")]

use std::{
    ffi::c_void,
    fs::File,
    io::{self, Read},
    ops::Deref,
    path::Path,
    ptr, slice,
};

use rustix::{
    fs::{FsWord, fstatfs},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// `SYSFS_MAGIC`
const SYSFS: FsWord = 0x6265_6572;

/// The bytes of a BTF file.
pub(super) enum Contents {
    Mapped { start: *mut c_void, length: usize },
    Read(Vec<u8>),
}

impl Contents {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        if let Some(mapped) = Self::map(&file)? {
            return Ok(mapped);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Self::Read(bytes))
    }

    /// Maps the file; `None` if the kernel cannot.
    fn map(file: &File) -> io::Result<Option<Self>> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let is_sysfs = fstatfs(file).is_ok_and(|it| it.f_type == SYSFS);
        if !is_sysfs || length == 0 {
            return Ok(None);
        }
        let (prot, flags) = (ProtFlags::READ, MapFlags::PRIVATE);
        // SAFETY: without an address the kernel chooses one that is free.
        let start = unsafe { mmap(ptr::null_mut(), length, prot, flags, file, 0) };
        Ok(start.ok().map(|start| Self::Mapped { start, length }))
    }
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            // SAFETY: `mmap` mapped `length` bytes at `start`, until `self` is dropped.
            Self::Mapped { start, length } => unsafe {
                slice::from_raw_parts(start.cast(), *length)
            },
            Self::Read(bytes) => bytes,
        }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        if let Self::Mapped { start, length } = *self {
            // SAFETY: `deref` has lent the bytes for no longer than `self` lives.
            let _unmapped = unsafe { munmap(start, length) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::btf::VMLINUX;

    #[test]
    fn mapped_bytes_are_those_that_a_read_returns() {
        let path = Path::new(VMLINUX);
        let contents = Contents::of(path).expect("this machine has BTF");
        assert!(*contents == *std::fs::read(path).expect("readable"));
    }

    #[test]
    fn a_file_that_may_change_is_read() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"text").expect("writable");
        let contents = Contents::of(file.path()).expect("readable");
        assert!(matches!(contents, Contents::Read(_)));
        assert_eq!(*contents, *b"text");
    }
}
