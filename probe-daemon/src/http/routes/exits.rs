//! `GET /v1/exits`.

use std::{ops::Range, sync::Arc};

use axum::{Extension, extract::State, http::HeaderValue, response::Response};
use jiff::Timestamp;
use probe_user::{
    model::{LossReason, Record},
    unstable::clock::{WallClock, boottime_ns},
};

use super::lines::{Gone, LineBuffer};
use crate::{
    access::{peer::Peer, refusal::Refusal},
    api::{
        self,
        problem::Problem,
        quantity::{duration, nanoseconds},
        query,
        wait::Line,
    },
    http::{
        Daemon,
        body::{Lines, QueryParams, stream},
        selection::Selection,
    },
    state::engine::Engine,
};

/// Exits in the history
///
/// One JSON object per line, oldest first, as `probe trace --json` prints them. A client
/// that reads too slowly gets a `lost` line for exits that the history dropped meanwhile.
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
    let since_ns = query.since.as_deref().map(since).transpose()?.unwrap_or(0);
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    let (selection, others, seqs) = {
        let mut state = daemon.engine.now();
        let (selection, others) = Selection::in_history(&mut state, peer, &query)?;
        let newest_first = state.tables.history.iter().rev();
        let oldest = newest_first
            .take_while(|past| past.exit.boottime_ns >= since_ns)
            .filter(|past| selection.admits(&past.exit))
            .take(limit)
            .last();
        let end = state.tables.history.next_seq();
        (selection, others, oldest.map_or(end, |past| past.seq)..end)
    };
    let (lines, mut response) = stream();
    name_container(&mut response, &selection, others);
    let engine = Arc::clone(&daemon.engine);
    tokio::spawn(async move {
        // An error means that the client disconnected.
        let _gone = report(&engine, &selection, seqs, &lines).await;
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

/// Sends the exits with these sequence numbers. An exit that the history drops meanwhile
/// is reported as lost, so that a slow client costs no memory.
async fn report(
    engine: &Engine,
    selection: &Selection,
    mut seqs: Range<u64>,
    lines: &Lines,
) -> Result<(), Gone> {
    let mut buffer = LineBuffer::new();
    while !seqs.is_empty() {
        let past = engine.past(&seqs);
        let first = past.first().map_or(seqs.end, |it| it.seq);
        let found = past.iter().map(|it| &it.exit);
        let admitted = found.filter(|exit| selection.admits(exit));
        let exits = admitted.map(|exit| Record::Exit(Arc::clone(exit)));
        for record in lost(first - seqs.start).into_iter().chain(exits) {
            buffer.record(&record);
            if buffer.is_full() {
                buffer.send(lines).await?;
            }
        }
        seqs.start = past.last().map_or(seqs.end, |it| it.seq + 1);
    }
    buffer.send(lines).await
}

fn lost(count: u64) -> Option<Record> {
    let reason = LossReason::SlowReader;
    (count > 0).then_some(Record::Lost { count, reason })
}

/// Parses a time, or a duration before now, to nanoseconds of `CLOCK_BOOTTIME`.
fn since(text: &str) -> Result<u64, Refusal> {
    if let Ok(ago) = duration(text) {
        return Ok(boottime_ns().saturating_sub(nanoseconds(ago)));
    }
    let moment: Timestamp = text.parse().map_err(|_neither| {
        let detail = format!("since: invalid time '{}'", text.escape_debug());
        Refusal::bad(detail).hint("use 10m, 1h30m or 2026-01-02T03:04:05Z")
    })?;
    let ago_ns = WallClock::now().unix_ns(boottime_ns()) - moment.as_nanosecond();
    let ago_ns = u64::try_from(ago_ns.max(0)).unwrap_or(u64::MAX);
    Ok(boottime_ns().saturating_sub(ago_ns))
}
