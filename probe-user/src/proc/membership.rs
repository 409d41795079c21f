//! Parses `/proc/PID/cgroup`.

use std::borrow::Cow;

/// A cgroup that a process is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership<'a> {
    /// 0 for v2.
    pub(crate) hierarchy: u32,
    /// Controllers or `name=…`, with commas; empty for v2.
    controllers: &'a str,
    /// Path below the root of the reader's cgroup namespace. The path of a removed v2
    /// cgroup ends with ` (deleted)`. A task that exits is shown in the root of each v1
    /// hierarchy.
    pub(crate) path: &'a str,
}

impl<'a> Membership<'a> {
    /// Each controller of the hierarchy.
    pub(crate) fn controllers(self) -> impl Iterator<Item = &'a str> {
        self.controllers.split(',')
    }

    fn parse(line: &'a str) -> Option<Self> {
        let (hierarchy, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some(Self {
            hierarchy: hierarchy.parse().ok()?,
            controllers,
            path,
        })
    }
}

/// The file as text. Bytes that are not UTF-8 become U+FFFD, so the path of such a
/// cgroup can be shown but equals no path that a user can name.
pub(crate) fn text(file: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(file)
}

/// The path in a hierarchy, byte for byte.
pub(crate) fn path_in(file: &[u8], hierarchy: u32) -> Option<&[u8]> {
    let number = hierarchy.to_string();
    file.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        (fields.next()? == number.as_bytes()).then(|| fields.nth(1))?
    })
}

/// Parses each line, the newest hierarchy first; `None` for a malformed line.
pub(crate) fn parse(text: &str) -> impl Clone + Iterator<Item = Option<Membership<'_>>> {
    text.lines().map(Membership::parse)
}
