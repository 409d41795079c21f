//! Fuzz target for records of the ring buffers, from their bytes to the printed line.

use std::sync::Arc;

use probe_cli::output::human::Columns;
use probe_daemon::api::json;
use probe_ebpf::event::Header;
use probe_user::{
    model::{Container, Event, Exit, ExitStatus, Record, Timed},
    unstable::{
        bpf::decode::{self, DecodeError},
        clock::WallClock,
        container::layout,
        trace::tracker::Tracker,
    },
};
use serde_json::{Value, json};
use zerocopy::IntoBytes;

/// Decodes and prints a sequence of records. A byte with the kind of the record and a byte
/// with its length, in words of eight bytes, precede each record. A kind from 1 to 8
/// overwrites the kind in the record.
///
/// # Panics
///
/// If a record is decoded wrongly, or a line is no JSON or has control characters.
pub fn wire(bytes: &[u8]) {
    let mut tracker = Tracker::new();
    let mut rest = bytes;
    let mut last_container = None;
    while let [kind, words, tail @ ..] = rest {
        let length = (usize::from(*words) * 8).min(tail.len());
        let (bytes, next) = tail.split_at(length);
        rest = next;
        let Some(timed) = decode(*kind, bytes) else {
            continue;
        };
        if let Event::CgroupPlaced(_, Some(path)) = &timed.event {
            last_container = container(path);
        }
        if let Some(record) = tracker.apply(timed) {
            print(&with_container(record, last_container.clone()));
        }
    }
}

fn decode(kind: u8, bytes: &[u8]) -> Option<Timed> {
    // The ring aligns records to eight bytes.
    let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
    let record = &mut aligned.as_mut_bytes()[..bytes.len()];
    record.copy_from_slice(bytes);
    if let (1..=8, Some(head)) = (kind, record.first_chunk_mut()) {
        *head = u32::from(kind).to_ne_bytes();
    }
    match decode::decode(record) {
        Ok(timed) => {
            assert_consistent(&timed, record);
            Some(timed)
        }
        Err(DecodeError::Short { actual, .. }) => {
            assert_eq!(actual, record.len());
            None
        }
        Err(DecodeError::NoHeader(length)) => {
            assert!(length == record.len() && length < size_of::<Header>());
            None
        }
        Err(DecodeError::UnknownKind(kind)) => {
            assert!(!(1..=8).contains(&kind), "{kind}");
            None
        }
    }
}

/// Checks that an event has no more text than its record.
fn assert_consistent(timed: &Timed, record: &[u8]) {
    // U+FFFD, which has three bytes, replaces one invalid byte.
    let most = record.len() * 3;
    match &timed.event {
        Event::Exit(exit) => assert_exit_consistent(exit),
        Event::Start(start) => {
            let args = start.exec.iter().filter_map(|it| it.args.as_ref());
            let length: usize = args.flatten().map(String::len).sum();
            assert!(length <= most);
        }
        Event::CgroupPlaced(_, Some(path)) | Event::CgroupNamed(_, _, path) => {
            assert!(!path.is_empty() && path.len() <= most);
        }
        _ => {}
    }
    let header = decode::header(record).expect("what was decoded has a header");
    assert_eq!(timed.boottime_ns, header.boottime_ns);
}

fn assert_exit_consistent(exit: &Exit) {
    assert_eq!(exit.status.is_some(), exit.usage.is_some());
    if let Some(killed_by) = &exit.killed_by {
        let Some(ExitStatus::Signaled { signal, .. }) = exit.status else {
            panic!("the exit has a sender but no signal: {exit:?}");
        };
        assert_eq!(killed_by.signal, signal);
    }
    if let Some(usage) = exit.usage {
        assert!(usage.user_ns.checked_add(usage.system_ns).is_some());
    }
}

/// The container that a path identifies, with the path as its name, so that names contain
/// any bytes as well.
fn container(path: &str) -> Option<Arc<Container>> {
    let layout = layout::identify(path)?;
    Some(Arc::new(Container {
        runtime: layout.runtime,
        id: layout.id.into_owned(),
        name: layout.pod_uid.is_none().then(|| path.to_owned()),
        pod_uid: layout.pod_uid,
        pod: None,
        location: None,
    }))
}

fn with_container(mut record: Record, container: Option<Arc<Container>>) -> Record {
    match &mut record {
        Record::Exit(exit) => Arc::make_mut(exit).container = container,
        Record::Start(start) => start.container = container,
        Record::Lost { .. } => {}
    }
    record
}

/// Prints a record as JSON and as columns, and checks both.
fn print(record: &Record) {
    let clock = WallClock::now();
    let mut line = Vec::new();
    json::write_record(&mut line, record, &clock).expect("a write to memory");
    assert!(!line.contains(&b'\n'), "one line");
    let value: Value = serde_json::from_slice(&line).expect("a line is JSON");
    let (process, kind) = match record {
        Record::Exit(exit) => (&exit.what.process, "exit"),
        Record::Start(start) => (&start.what.process, "start"),
        Record::Lost { .. } => return,
    };
    assert_eq!(value["type"], kind);
    // A process of another pid namespace has no number here.
    let pid = Some(process.tgid).filter(|&it| it != 0);
    assert_eq!(value["pid"], json!(pid));
    assert_eq!(value["comm"], *process.comm.to_str());
    for width in [None, Some(0), Some(80), Some(200)] {
        let mut line = Vec::new();
        let columns = Columns::new(width, false);
        let written = columns.write_record(&mut line, record, &clock);
        written.expect("a write to memory");
        let line = String::from_utf8(line).expect("a line is UTF-8");
        let control = line.chars().find(|&it| is_control(it));
        assert_eq!(control, None, "{line:?}");
    }
}

/// A control character, or one with the Unicode property `Bidi_Control`.
fn is_control(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}
