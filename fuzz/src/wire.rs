//! Records of the ring buffers, from their bytes to what a reader sees.

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
use serde_json::Value;
use zerocopy::IntoBytes;

/// Records one after the other, each behind a byte with its kind and one with
/// its length in words of eight bytes. A kind above 7 leaves the record as it
/// is.
///
/// # Panics
///
/// If a record is decoded wrongly, or a line is no JSON or could command a
/// terminal.
pub fn wire(bytes: &[u8]) {
    let mut tracker = Tracker::new();
    let mut rest = bytes;
    let mut place = None;
    while let [kind, words, tail @ ..] = rest {
        let length = (usize::from(*words) * 8).min(tail.len());
        let (bytes, next) = tail.split_at(length);
        rest = next;
        let Some(timed) = decode(*kind, bytes) else {
            continue;
        };
        if let Event::CgroupPlaced(_, Some(path)) = &timed.event {
            place = container(path);
        }
        if let Some(record) = tracker.apply(timed) {
            shown(&placed(record, place.clone()));
        }
    }
}

fn decode(kind: u8, bytes: &[u8]) -> Option<Timed> {
    // Aligned, as in the ring.
    let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
    let record = &mut aligned.as_mut_bytes()[..bytes.len()];
    record.copy_from_slice(bytes);
    if let (1..=7, Some(head)) = (kind, record.first_chunk_mut()) {
        *head = u32::from(kind).to_ne_bytes();
    }
    match decode::decode(record) {
        Ok(timed) => {
            consistent(&timed, record);
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
            assert!(!(1..=7).contains(&kind), "{kind}");
            None
        }
    }
}

/// What an event says lies in its record.
fn consistent(timed: &Timed, record: &[u8]) {
    // U+FFFD, three bytes, stands for one.
    let most = record.len() * 3;
    match &timed.event {
        Event::Exit(exit) => exit_is_consistent(exit),
        Event::Start(start) => {
            let args = start.exec.iter().filter_map(|it| it.args.as_ref());
            let length: usize = args.flatten().map(String::len).sum();
            assert!(length <= most);
        }
        Event::CgroupPlaced(_, Some(path)) => assert!(!path.is_empty() && path.len() <= most),
        _ => {}
    }
    let header = decode::header(record).expect("what was decoded has a header");
    assert_eq!(timed.boottime_ns, header.boottime_ns);
}

fn exit_is_consistent(exit: &Exit) {
    assert_eq!(exit.status.is_some(), exit.usage.is_some());
    if let Some(killed_by) = &exit.killed_by {
        let Some(ExitStatus::Signaled { signal, .. }) = exit.status else {
            panic!("killed, and no signal: {exit:?}");
        };
        assert_eq!(killed_by.signal, signal);
    }
    if let Some(usage) = exit.usage {
        assert!(usage.user_ns.checked_add(usage.system_ns).is_some());
    }
}

/// A container by its path, under a name that is as bad as the path.
fn container(path: &str) -> Option<Arc<Container>> {
    let layout = layout::identify(path)?;
    Some(Arc::new(Container {
        runtime: layout.runtime,
        id: layout.id.into_owned(),
        name: layout.pod_uid.is_none().then(|| path.to_owned()),
        pod_uid: layout.pod_uid,
    }))
}

fn placed(mut record: Record, container: Option<Arc<Container>>) -> Record {
    match &mut record {
        Record::Exit(exit) => Arc::make_mut(exit).container = container,
        Record::Start(start) => start.container = container,
        Record::Lost { .. } => {}
    }
    record
}

fn shown(record: &Record) {
    let clock = WallClock::now();
    let mut line = Vec::new();
    json::write_record(&mut line, record, &clock).expect("memory takes everything");
    assert!(!line.contains(&b'\n'), "one line");
    let value: Value = serde_json::from_slice(&line).expect("a line is JSON");
    let (process, word) = match record {
        Record::Exit(exit) => (&exit.what.process, "exit"),
        Record::Start(start) => (&start.what.process, "start"),
        Record::Lost { .. } => return,
    };
    assert_eq!(value["type"], word);
    assert_eq!(value["pid"], process.tgid);
    assert_eq!(value["comm"], *process.comm.to_str());
    for width in [None, Some(0), Some(80), Some(200)] {
        let mut line = Vec::new();
        let columns = Columns::new(width, false);
        let written = columns.write_record(&mut line, record, &clock);
        written.expect("memory takes everything");
        let line = String::from_utf8(line).expect("a line is UTF-8");
        let command = line.chars().find(|&it| commands_a_terminal(it));
        assert_eq!(command, None, "{line:?}");
    }
}

/// A control character, or one with the Unicode property `Bidi_Control`.
fn commands_a_terminal(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}
