//! `GET /v1/exits`.

use std::{ops::Range, sync::Arc};

use axum::{Extension, extract::State, http::HeaderValue, response::Response};
use probe_user::{
    model::{LossReason, Record},
    unstable::clock::{WallClock, boottime_ns},
};

use super::lines::{Gone, LineBuffer};
use crate::{
    access::{peer::Peer, refusal::Refusal},
    api::{
        self,
        moment::{FORMATS, moment, now},
        problem::Problem,
        query,
        wait::Line,
    },
    http::{
        Daemon,
        body::{Lines, QueryParams, stream},
        selection::Selection,
    },
    state::{engine::Engine, history::PastLoss, metrics::Metrics},
};

/// Exits in the history
///
/// One JSON object per line, oldest first, as `probe trace --json` prints them. A `lost` line
/// stands where records never reached the daemon, and where the history dropped exits while
/// the client read too slowly. It counts exits before the other conditions of the query.
///
/// With `container`, the header `probe-container` is `RUNTIME/ID` of the only container of
/// which the answer has the exits, and `probe-other-containers` is the number of older containers
/// with the name that are left out without `all`.
#[utoipa::path(
    get, path = "/v1/exits", tag = "records",
    params(query::Exits),
    responses(
        (status = 200, description = "lines of type `exit` and `lost`", body = Line,
         content_type = "application/x-ndjson"),
        (status = 400, body = Problem, content_type = "application/problem+json",
         description = "the query is invalid"),
        (status = 404, body = Problem, content_type = "application/problem+json",
         description = "the container does not exist, or the client may not see it"),
    )
)]
pub(super) async fn exits(
    State(daemon): State<Arc<Daemon>>,
    Extension(peer): Extension<Peer>,
    QueryParams(query): QueryParams<query::Exits>,
) -> Result<Response, Refusal> {
    if query.limit == Some(0) {
        return Err(Refusal::bad("invalid limit 0 (expected a positive number)"));
    }
    let time = |field, text: Option<&str>| text.map(|it| boottime(field, it)).transpose();
    let since_ns = time("since", query.since.as_deref())?.unwrap_or(0);
    let until_ns = time("until", query.until.as_deref())?.unwrap_or(u64::MAX);
    if since_ns > until_ns {
        return Err(Refusal::bad("since is later than until"));
    }
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    let (selection, others, past) = {
        let mut state = daemon.engine.now();
        state.read_counters(&daemon.hub);
        let (selection, others) = Selection::in_history(&mut state, peer, &query)?;
        let selection = selection.until(until_ns);
        let history = &state.tables.history;
        let mut past = Past {
            seqs: history.next_seq()..history.next_seq(),
            losses: history.losses_since(since_ns),
        };
        past.losses.retain(|it| it.boottime_ns <= until_ns);
        let mut admitted = 0;
        for exit in history.iter().rev() {
            if admitted == limit || exit.exit.boottime_ns < since_ns {
                break;
            }
            admitted += usize::from(selection.admits(&exit.exit));
            past.seqs.start = exit.seq;
        }
        if admitted == limit {
            past.losses.retain(|it| it.before > past.seqs.start);
        }
        (selection, others, past)
    };
    let (lines, mut response) = stream();
    name_container(&mut response, &selection, others);
    tokio::spawn(async move {
        // An error means that the client disconnected.
        let state = (&*daemon.engine, &*daemon.metrics);
        let _gone = report(state, &selection, past, &lines).await;
    });
    Ok(response)
}

/// Adds the headers that name the container of which the answer has the exits.
fn name_container(response: &mut Response, selection: &Selection, others: usize) {
    let Some(container) = selection.only_container() else {
        return;
    };
    let name = format!("{}/{}", container.runtime.as_str(), container.id);
    let headers = response.headers_mut();
    // An id that no header can have is left out.
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(api::CONTAINER, name);
    }
    headers.insert(api::OTHER_CONTAINERS, HeaderValue::from(others));
}

/// The part of the history that an answer has.
struct Past {
    /// Sequence numbers of the exits.
    seqs: Range<u64>,
    /// The losses, oldest first.
    losses: Vec<PastLoss>,
}

/// Sends the selected exits of this part. An exit that the history drops meanwhile is
/// reported as lost, so that a slow client costs no memory.
async fn report(
    (engine, metrics): (&Engine, &Metrics),
    selection: &Selection,
    Past { mut seqs, losses }: Past,
    lines: &Lines,
) -> Result<(), Gone> {
    let mut buffer = LineBuffer::new();
    let mut losses = losses.into_iter().peekable();
    while !seqs.is_empty() {
        let past = engine.past(&seqs);
        let first = past.first().map_or(seqs.end, |it| it.seq);
        let dropped = first - seqs.start;
        metrics.reader_lost(dropped);
        if dropped > 0 {
            buffer.record(&lost(dropped, LossReason::SlowReader));
        }
        for exit in &past {
            while let Some(loss) = losses.next_if(|it| it.before <= exit.seq) {
                buffer.record(&lost(loss.count, loss.reason));
            }
            if selection.admits(&exit.exit) {
                buffer.record(&Record::Exit(Arc::clone(&exit.exit)));
            }
            if buffer.is_full() {
                buffer.send(lines).await?;
            }
        }
        seqs.start = past.last().map_or(seqs.end, |it| it.seq + 1);
    }
    for loss in losses {
        buffer.record(&lost(loss.count, loss.reason));
    }
    buffer.send(lines).await
}

const fn lost(count: u64, reason: LossReason) -> Record {
    Record::Lost {
        count: Some(count),
        reason,
    }
}

/// Parses a moment to nanoseconds of `CLOCK_BOOTTIME`.
fn boottime(field: &str, text: &str) -> Result<u64, Refusal> {
    let moment = moment(text, &now())
        .map_err(|error| Refusal::bad(format!("{field}: {error}")).hint(FORMATS))?;
    let now_ns = boottime_ns();
    let ago_ns = WallClock::now().unix_ns(now_ns) - moment.as_nanosecond();
    let then_ns = i128::from(now_ns).saturating_sub(ago_ns).max(0);
    Ok(u64::try_from(then_ns).unwrap_or(u64::MAX))
}
