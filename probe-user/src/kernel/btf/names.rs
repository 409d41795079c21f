//! The names in the kernel's BTF: of types, members, functions and enumerators.
//!
//! Whether the kernel has a function or a member with a rare name is known from them, without
//! parsing the types.

use std::path::Path;

use super::{BtfError, blob, contents::Contents, unreadable};

/// Every name in the BTF of a kernel, each between two NUL bytes.
pub(in crate::kernel) struct Names(Contents);

impl Names {
    /// Reads the names of the running kernel.
    pub(in crate::kernel) fn read() -> Result<Self, BtfError> {
        let path = Path::new(super::VMLINUX);
        let contents = Contents::of(path).map_err(|error| unreadable(path, error))?;
        blob::names(&contents)?;
        Ok(Self(contents))
    }

    /// Whether anything has this name.
    pub(in crate::kernel) fn contain(&self, name: &[u8]) -> bool {
        blob::names(&self.0).is_ok_and(|names| has(names, name))
    }
}

fn has(names: &[u8], name: &[u8]) -> bool {
    names.split(|&byte| byte == 0).any(|it| it == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_compared_as_a_whole() {
        let names = b"\0cgroup_exit\0x\0";
        assert!(has(names, b"cgroup_exit") && has(names, b"x"));
        assert!(!has(names, b"cgroup") && !has(names, b"exit"));
    }

    // The kernel's BTF has the byte order of the machine, and an emulated process reads that file
    // of the machine.
    #[cfg(target_endian = "little")]
    #[test]
    fn the_names_of_this_kernel_are_read() {
        let names = Names::read().expect("this machine has BTF");
        assert!(names.contain(b"task_struct") && names.contain(b"do_exit"));
        assert!(!names.contain(b"no_such_name_in_any_kernel"));
    }
}
