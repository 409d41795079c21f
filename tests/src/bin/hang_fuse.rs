//! A FUSE server that never answers one kind of request: `hang_fuse DIRECTORY read|flush`.
//!
//! Its file system has one file, `f`. The server prints a line when the file system is mounted,
//! and serves until it is killed.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::fd::AsRawFd,
};

use rustix::mount::{MountFlags, mount};

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// Size of `struct fuse_in_header`.
const HEADER: usize = 40;
/// Larger than any request.
const BUFFER: usize = 1 << 20;
/// Inode numbers of the directory and of its file.
const TOP: u64 = 1;
const ONLY_FILE: u64 = 2;
/// A validity of attributes that no test outlives, in seconds.
const LONG: u64 = 1000;

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(directory), Some(hangs)) = (args.next(), args.next()) else {
        panic!("usage: hang_fuse DIRECTORY read|flush");
    };
    let hangs = match hangs.as_str() {
        "read" => READ,
        "flush" => FLUSH,
        other => panic!("no such request: {other}"),
    };
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    let device = device.expect("this kernel has FUSE");
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
        device.as_raw_fd()
    );
    let options = std::ffi::CString::new(options).expect("no NUL");
    mount(
        "hang_fuse",
        &directory,
        "fuse.hang",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .expect("root may mount");
    let announced = std::io::stdout().write_all(b"mounted\n");
    announced.expect("the test reads");
    serve(&device, hangs);
}

fn serve(device: &File, hangs: u32) {
    let mut buffer = vec![0; BUFFER];
    // The kernel ends the device when the file system is unmounted.
    while let Ok(size) = (&mut &*device).read(&mut buffer) {
        let request = &buffer[..size];
        let word = |at: usize| {
            let bytes = request[at..at + 4].try_into().expect("four bytes");
            u32::from_ne_bytes(bytes)
        };
        let long = |at: usize| {
            let bytes = request[at..at + 8].try_into().expect("eight bytes");
            u64::from_ne_bytes(bytes)
        };
        let (operation, unique, node) = (word(4), long(8), long(16));
        if operation == hangs || matches!(operation, FORGET | BATCH_FORGET | INTERRUPT) {
            continue;
        }
        let answer = match operation {
            INIT => Ok(init()),
            LOOKUP => Ok(entry()),
            GETATTR => Ok([&LONG.to_ne_bytes()[..], &[0; 8], &attributes(node)].concat()),
            OPEN | OPENDIR => Ok(vec![0; 16]),
            READ => Ok(vec![0; word(HEADER + 16) as usize]),
            FLUSH | RELEASE | RELEASEDIR => Ok(Vec::new()),
            _ => Err(libc::ENOSYS),
        };
        reply(device, unique, answer);
    }
}

fn reply(mut device: &File, unique: u64, answer: Result<Vec<u8>, i32>) {
    let (error, body) = match answer {
        Ok(body) => (0, body),
        Err(errno) => (-errno, Vec::new()),
    };
    let size = u32::try_from(16 + body.len()).expect("a short answer");
    let header = [
        &size.to_ne_bytes()[..],
        &error.to_ne_bytes(),
        &unique.to_ne_bytes(),
    ];
    // The request may have been interrupted meanwhile.
    let _answered = device.write(&[&header.concat()[..], &body].concat());
}

/// `struct fuse_init_out`, version 7.31.
fn init() -> Vec<u8> {
    let mut out = Vec::new();
    for word in [7_u32, 31, 65536, 0] {
        out.extend(word.to_ne_bytes());
    }
    for half in [12_u16, 9] {
        out.extend(half.to_ne_bytes());
    }
    out.extend(65536_u32.to_ne_bytes());
    out.resize(64, 0);
    out
}

/// `struct fuse_entry_out` of the file.
fn entry() -> Vec<u8> {
    let mut out = Vec::new();
    for long in [ONLY_FILE, 0, LONG, LONG, 0] {
        out.extend(long.to_ne_bytes());
    }
    out.extend(attributes(ONLY_FILE));
    out
}

/// `struct fuse_attr`.
fn attributes(node: u64) -> Vec<u8> {
    let (mode, size) = if node == TOP {
        (libc::S_IFDIR | 0o755, 0)
    } else {
        (libc::S_IFREG | 0o755, 65536_u64)
    };
    let mut out = Vec::new();
    for long in [node, size, 0, 0, 0, 0] {
        out.extend(long.to_ne_bytes());
    }
    for word in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        out.extend(word.to_ne_bytes());
    }
    out
}
