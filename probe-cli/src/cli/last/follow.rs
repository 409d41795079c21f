//! `probe last --follow`: the history, then exits as they happen.

use std::{pin::pin, time::Duration};

use probe_daemon::api::query;
use probe_user::{
    model::{Filter, Record},
    unstable::{clock::boottime_ns, container::Resolver},
};

use super::{Args, Subject, history_unavailable, print_newest};
use crate::{
    cli::{
        ExitCode, Failure,
        socket::{Daemon, REQUIRED_PATIENCE, request_failed},
        stop, target,
    },
    output::{Out, reporter::ReportOptions},
    trace::{DaemonStream, Trace},
};

/// Time between two writes while records arrive.
const WRITE_EVERY: Duration = Duration::from_millis(20);

impl Args {
    /// Shows the exits of a target until a signal. The stream begins before the history is read,
    /// and each exit is shown from one of both, by its time.
    pub(super) async fn follow(
        &self,
        daemon: &Daemon,
        query: &query::Exits,
        subject: Subject,
    ) -> Result<ExitCode, Failure> {
        let (stop, flag) = stop::requested()?;
        let connect = async || {
            let client = daemon.connect(REQUIRED_PATIENCE).await;
            client.map_err(history_unavailable)
        };
        let asked = subject.query(query);
        let live = connect().await?.events(&live(&asked, &subject)).await;
        let live = live.map_err(request_failed)?;
        let begun_ns = boottime_ns();
        let (mut past, newest) = connect()
            .await?
            .exits(&asked)
            .await
            .map_err(request_failed)?;
        print_newest(&subject, newest);
        let options = ReportOptions {
            wanted: Filter {
                threads: true,
                ..Filter::default()
            },
            columns: self.format.records()?,
            mounts: target::mounts()?,
            resolver: Resolver::unwatched(self.targets.state_roots()),
            out: Out::stdout(flag)?,
        };
        let mut trace = Trace::new(options, None, WRITE_EVERY).after(begun_ns);
        trace.print_header()?;
        while let Some(record) = past.next().await.map_err(request_failed)? {
            let is_past = match &record {
                Record::Exit(exit) => exit.boottime_ns <= begun_ns,
                Record::Start(_) | Record::Lost { .. } => true,
            };
            if is_past {
                trace.print_past(&record)?;
            }
        }
        trace.flush()?;
        let stop = pin!(async {
            stop.await;
        });
        match trace.follow_daemon(live, stop).await? {
            DaemonStream::Ended => Ok(ExitCode::Done),
            DaemonStream::Cut(error) | DaemonStream::Broken(error) => Err(request_failed(error)),
        }
    }
}

/// The query for the exits from now on.
fn live(asked: &query::Exits, subject: &Subject) -> query::Records {
    query::Records {
        cgroup: asked.cgroup.clone(),
        container: asked.container.clone(),
        pid: match subject {
            Subject::Process(pid) => Some(*pid),
            _ => None,
        },
        start_ticks: None,
        failed: asked.failed,
        signaled: asked.signaled,
        oom: asked.oom,
        comm: asked.comm.clone(),
        uid: asked.uid.clone(),
        min_age: asked.min_age.clone(),
        max_age: asked.max_age.clone(),
    }
}
