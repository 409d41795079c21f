//! Records the exits of a run, which name the sender of a fatal signal.
//!
//! A thread of its own reads the records, so that the supervisor waits for no timer.

use std::{collections::HashMap, io, mem, path::Path, sync::mpsc, thread, time::Duration};

use probe_user::{
    ExitStream, Filter, OpenError, close_after_exit,
    model::{KilledBy, Record},
};
use tokio::{sync::oneshot, time::timeout};

/// Time in which the records of all exits before arrive; the ring is drained every 20 ms.
const LAST_DRAIN: Duration = Duration::from_millis(50);

/// The senders of the signals that ended processes, by the pids of the processes.
pub(super) type Killers = HashMap<u32, KilledBy>;

/// A thread that records exits.
pub(super) struct Recorder {
    thread: thread::JoinHandle<Killers>,
    stop: oneshot::Sender<()>,
}

impl Recorder {
    /// Returns when the exits of a cgroup are recorded, which takes about 50 ms.
    pub(super) fn start(cgroup: &Path) -> Result<Self, OpenError> {
        let filter = Filter {
            directories: vec![cgroup.to_owned()],
            signaled: true,
            ..Filter::default()
        };
        let (stop, stopped) = oneshot::channel();
        let (report, opened) = mpsc::channel();
        let failed = |source| OpenError::OpenCgroup {
            path: cgroup.to_owned(),
            source,
        };
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || record(filter, &report, stopped).unwrap_or_default())
            .map_err(failed)?;
        let opened = opened.recv();
        opened.map_err(|_no_runtime| failed(io::ErrorKind::Other.into()))??;
        Ok(Self { thread, stop })
    }

    /// Stops recording. Returns what was recorded.
    pub(super) fn finish(self) -> Killers {
        // The thread has ended if the stream has failed.
        let _ended = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

fn record(
    filter: Filter,
    report: &mpsc::Sender<Result<(), OpenError>>,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<Killers> {
    let runtime = crate::cli::runtime()?;
    let mut killers = Killers::new();
    runtime.block_on(async {
        let mut stream = match ExitStream::open(filter).await {
            Ok(stream) => stream,
            Err(error) => {
                let _sent = report.send(Err(error));
                return;
            }
        };
        // The caller waits for the report.
        let _sent = report.send(Ok(()));
        let mut is_stopped = false;
        loop {
            let next = if is_stopped {
                timeout(LAST_DRAIN, stream.next()).await.unwrap_or(None)
            } else {
                tokio::select! {
                    next = stream.next() => next,
                    _ = &mut stopped => {
                        is_stopped = true;
                        continue;
                    }
                }
            };
            match next {
                Some(Ok(Record::Exit(placed))) => {
                    let exit = &placed.what;
                    let killer = exit.killed_by.clone();
                    killers.extend(killer.map(|it| (exit.process.tgid, it)));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::warn!(%error, "exits are no longer recorded");
                    break;
                }
                None => break,
            }
        }
        // The process ends soon. To close the programs takes tens of milliseconds, which the
        // kernel spends after that end.
        close_after_exit();
        mem::forget(stream);
    });
    Ok(killers)
}
