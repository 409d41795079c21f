//! `probe trace` by a daemon: its stream, chosen once more, to the screen.

use std::{
    future::{Future, pending},
    io,
    pin::{Pin, pin},
};

use probe_daemon::{
    api::json,
    client::{ClientError, Records},
};
use probe_user::{model::Record, unstable::clock::WallClock};
use tokio::time::{Instant, sleep_until};

use super::{Settings, TraceError, closed_stdout};
use crate::output::{Out, Stdout, is_closed, reporter::Told};

/// Runs until `stop` resolves, the count is reached, stdout is closed, or the
/// daemon tells no more: then also with the reason.
pub async fn run(
    settings: &Settings,
    mut records: Records,
    out: &mut Out<Stdout>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<(Told, Option<ClientError>), TraceError> {
    let mut reader_gone = pin!(closed_stdout());
    let mut followed = Followed {
        settings,
        out,
        clock: WallClock::now(),
        told: Told::default(),
        flush_at: None,
    };
    let ended = loop {
        let done = tokio::select! {
            biased;
            () = &mut stop => break Ok(None),
            () = &mut reader_gone => break Ok(None),
            next = records.next() => match next {
                Ok(Some(record)) => followed.tell(&record),
                Ok(None) => break Ok(Some(ClientError::Gone)),
                Err(error) => break Ok(Some(error)),
            },
            () = until(followed.flush_at) => followed.flush(),
        };
        match done {
            Err(error) => break Err(error),
            Ok(()) if followed.is_enough() => break Ok(None),
            Ok(()) => {}
        }
    };
    let flushed = followed.flush();
    match ended.and_then(|broken| flushed.map(|()| broken)) {
        Err(error) if is_closed(&error) => Ok((followed.told, None)),
        Err(error) => Err(TraceError::Write(error)),
        Ok(broken) => Ok((followed.told, broken)),
    }
}

struct Followed<'a> {
    settings: &'a Settings,
    out: &'a mut Out<Stdout>,
    clock: WallClock,
    told: Told,
    flush_at: Option<Instant>,
}

impl Followed<'_> {
    fn tell(&mut self, record: &Record) -> io::Result<()> {
        let is_wanted = self.settings.wanted.admits_of_stream(record);
        if let Record::Lost { count, .. } = record {
            self.told.lost += count;
        } else {
            self.told.seen += 1;
            self.told.shown += u64::from(is_wanted);
        }
        if !is_wanted {
            return Ok(());
        }
        if self.flush_at.is_none() {
            self.clock.sync();
            self.flush_at = Some(Instant::now() + self.settings.drain_every);
        }
        let Self { out, clock, .. } = self;
        match &self.settings.columns {
            Some(columns) => out.line(|line| columns.write_record(line, record, clock)),
            None => out.line(|line| json::write_record(line, record, clock)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_at = None;
        self.out.flush()
    }

    fn is_enough(&self) -> bool {
        let count = self.settings.count;
        count.is_some_and(|count| self.told.shown >= count)
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}
