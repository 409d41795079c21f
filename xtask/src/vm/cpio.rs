//! The archive that a kernel unpacks into its first file system: `newc`, the
//! one format that it reads.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;
const DEVICE: u32 = 0o020_600;

/// See the module.
pub(super) struct Cpio<W> {
    out: W,
    /// Entries so far: each has an inode of its own.
    entries: u32,
}

impl<W: Write> Cpio<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, entries: 0 }
    }

    /// Its parents first.
    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, DIRECTORY, [0, 0], b"")
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, data: &[u8]) -> io::Result<()> {
        self.entry(path, FILE | mode, [0, 0], data)
    }

    /// A copy of a program.
    pub(super) fn program(&mut self, path: &str, from: &Path) -> io::Result<()> {
        let named = |error| io::Error::other(format!("{}: {error}", from.display()));
        self.file(path, 0o755, &fs::read(from).map_err(named)?)
    }

    pub(super) fn link(&mut self, path: &str, to: &str) -> io::Result<()> {
        self.entry(path, LINK, [0, 0], to.as_bytes())
    }

    /// A character device.
    pub(super) fn device(&mut self, path: &str, number: [u32; 2]) -> io::Result<()> {
        self.entry(path, DEVICE, number, b"")
    }

    /// All of it is written.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, [0, 0], b"")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, mode: u32, device: [u32; 2], data: &[u8]) -> io::Result<()> {
        let size = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let path = path.trim_start_matches('/');
        self.entries += 1;
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            size(data.len())?,
            0,
            0,
            device[0],
            device[1],
            size(path.len() + 1)?,
            0,
        ];
        let fields = fields.map(|field| format!("{field:08x}")).concat();
        let header = format!("070701{fields}{path}\0").into_bytes();
        for part in [header.as_slice(), data] {
            self.out.write_all(part)?;
            self.out
                .write_all(&[0; 3][..part.len().next_multiple_of(4) - part.len()])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_data_end_at_multiples_of_four() {
        let mut cpio = Cpio::new(Vec::new());
        cpio.file("/a", 0o644, b"hello").expect("a vector takes it");
        let bytes = cpio.finish().expect("a vector takes it");
        let text = String::from_utf8(bytes).expect("ASCII");
        assert!(text.starts_with("07070100000001000081a4"), "{text}");
        assert_eq!(&text[110..120], "a\0hello\0\0\0");
        assert_eq!(&text[120..126], "070701");
        assert!(text.len().is_multiple_of(4));
    }
}
