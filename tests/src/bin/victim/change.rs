//! Words that change the process, before the remaining words run.

use std::{
    fs::File, hint::black_box, os::unix::process::CommandExt, process::Command, time::Duration,
};

use probe_tests::boottime_ns;
use rustix::process::{Resource, Rlimit, set_child_subreaper, setrlimit};
use serde_json::json;

use crate::{
    Words, held, number, report,
    sys::{process, signal},
};

/// Applies the first word and returns the others.
pub(crate) fn apply(words: Words) -> Option<Words> {
    let rest = match *words {
        ["held", ref rest @ ..] => {
            held();
            rest
        }
        ["ready", ref rest @ ..] => {
            report(&json!({
                "pid": process::getpid(),
                "tid": process::gettid(),
                "ppid": process::getppid(),
            }));
            rest
        }
        ["living", milliseconds, ref rest @ ..] => {
            process::sleep(Duration::from_millis(number(milliseconds)));
            rest
        }
        ["stamped", ref rest @ ..] => {
            report(&json!({"dying_ns": boottime_ns()}));
            rest
        }
        ["exec", ref rest @ ..] => exec("/proc/self/exe", rest),
        ["exec-as", path, ref rest @ ..] => exec(path, rest),
        _ => return changed_identity(words).or_else(|| changed_signals(words)),
    };
    Some(rest)
}

fn exec(path: &str, rest: Words) -> ! {
    let error = Command::new(path).args(rest).exec();
    panic!("cannot execute {path}: {error}");
}

/// Changes of identity and of resources.
fn changed_identity(words: Words) -> Option<Words> {
    let rest = match *words {
        ["as", uid, ref rest @ ..] => {
            process::set_uid(number(uid));
            rest
        }
        ["user-namespace", ref rest @ ..] => {
            process::unshare(libc::CLONE_NEWUSER);
            rest
        }
        ["named", name, ref rest @ ..] => {
            let name = std::ffi::CString::new(name).expect("a name");
            rustix::thread::set_name(&name).expect("at most 15 bytes");
            rest
        }
        ["on-cpu", cpu, ref rest @ ..] => {
            let mut cpus = rustix::thread::CpuSet::new();
            cpus.set(number(cpu));
            rustix::thread::sched_setaffinity(None, &cpus).expect("the CPU exists");
            rest
        }
        ["reaping", ref rest @ ..] => {
            become_reaper();
            rest
        }
        // The process holds a file open until it exits.
        ["opening", path, ref rest @ ..] => {
            std::mem::forget(File::open(path).expect("the file can be opened"));
            rest
        }
        ["core-in", directory, ref rest @ ..] => {
            std::env::set_current_dir(directory).expect("the harness made it");
            limit(Resource::Core, None, None);
            rest
        }
        ["limit", what, soft, hard, ref rest @ ..] => {
            limit(resource(what), Some(number(soft)), Some(number(hard)));
            rest
        }
        ["eating", mebibytes, ref rest @ ..] => {
            eat(number(mebibytes));
            rest
        }
        ["spinning", milliseconds, ref rest @ ..] => {
            spin(Duration::from_millis(number(milliseconds)));
            rest
        }
        _ => return None,
    };
    Some(rest)
}

fn limit(resource: Resource, current: Option<u64>, maximum: Option<u64>) {
    setrlimit(resource, Rlimit { current, maximum }).expect("root may do this");
}

fn resource(name: &str) -> Resource {
    match name {
        "cpu" => Resource::Cpu,
        "fsize" => Resource::Fsize,
        _ => panic!("no such limit: {name}"),
    }
}

/// Changes of signal handling.
fn changed_signals(words: Words) -> Option<Words> {
    let [word, signal, ref rest @ ..] = *words else {
        return None;
    };
    match word {
        "ignoring" => signal::ignore(number(signal)),
        "catching" => signal::catch(number(signal)),
        "blocking" => signal::block(number(signal)),
        "unblocking" => signal::unblock(number(signal)),
        "taking" => signal::take(number(signal)),
        _ => return None,
    }
    Some(rest)
}

/// Orphaned descendants become children of the process.
pub(crate) fn become_reaper() {
    set_child_subreaper(rustix::process::Pid::from_raw(1)).expect("every process may do this");
}

/// Uses memory that is never freed.
pub(crate) fn eat(mebibytes: usize) {
    let mut memory = vec![0_u8; mebibytes << 20];
    for page in memory.chunks_mut(4096) {
        page[0] = black_box(1);
    }
    black_box(memory.leak());
}

/// Uses the processor for this time, half of it in the kernel.
fn spin(time: Duration) {
    let mut zeros = File::open("/dev/zero").expect("/dev/zero exists");
    let mut page = vec![0_u8; 1 << 16];
    let used = || rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let elapsed = |now: rustix::time::Timespec| Duration::try_from(now).expect("no negative time");
    let end = elapsed(used()) + time;
    while elapsed(used()) < end {
        std::io::Read::read_exact(&mut zeros, &mut page).expect("zeros never end");
        for byte in &mut page {
            *byte = black_box(byte.wrapping_add(1));
        }
    }
}
