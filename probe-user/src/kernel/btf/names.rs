//! The names in the kernel's BTF: of types, members, functions and enumerators.
//!
//! The kernel copies a page for each read of the file, so reading the names alone takes a quarter
//! of the time of the whole file. Whether the kernel has a function or a member with a rare name is
//! known from them.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use super::{BtfError, blob, unreadable};

/// Every name in the BTF of a kernel, each between two NUL bytes.
pub(in crate::kernel) struct Names(Vec<u8>);

impl Names {
    /// Reads the names of the running kernel.
    pub(in crate::kernel) fn read() -> Result<Self, BtfError> {
        let path = Path::new(super::VMLINUX);
        let unreadable = |error| unreadable(path, error);
        let file = File::open(path).map_err(unreadable)?;
        let mut header = [0; blob::HEADER_BYTES];
        file.read_exact_at(&mut header, 0).map_err(unreadable)?;
        let (at, length) = blob::names_section(&header)?;
        let mut names = Vec::new();
        names
            .try_reserve_exact(length)
            .map_err(|error| unreadable(io::Error::other(error)))?;
        names.resize(length, 0);
        file.read_exact_at(&mut names, at).map_err(unreadable)?;
        Ok(Self(names))
    }

    /// Whether anything has this name.
    pub(in crate::kernel) fn contain(&self, name: &[u8]) -> bool {
        self.0.split(|&byte| byte == 0).any(|it| it == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_compared_as_a_whole() {
        let names = Names(b"\0cgroup_exit\0x\0".to_vec());
        assert!(names.contain(b"cgroup_exit") && names.contain(b"x"));
        assert!(!names.contain(b"cgroup") && !names.contain(b"exit"));
    }

    #[test]
    fn the_names_of_this_kernel_are_read() {
        let names = Names::read().expect("this machine has BTF");
        assert!(names.contain(b"task_struct") && names.contain(b"do_exit"));
        assert!(!names.contain(b"no_such_name_in_any_kernel"));
    }
}
