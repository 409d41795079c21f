//! `GET /v1/exits`.

use std::{ops::Range, sync::Arc};

use axum::{Extension, extract::State, response::Response};
use jiff::Timestamp;
use probe_user::{
    model::{LossReason, Record},
    unstable::clock::{WallClock, boottime_ns},
};

use super::lines::{Gone, LineBuffer};
use crate::{
    access::{peer::Peer, refusal::Refusal},
    api::{
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

/// The recent exits
///
/// One JSON object a line, oldest first, as `probe trace --json` prints them. A
/// `lost` line tells a client that reads too slowly what was forgotten meanwhile.
#[utoipa::path(
    get, path = "/v1/exits", tag = "records",
    params(query::Exits),
    responses(
        (status = 200, description = "lines of type exit and lost", body = Line,
         content_type = "application/x-ndjson"),
        (status = 400, body = Problem, content_type = "application/problem+json",
         description = "the query makes no sense"),
        (status = 404, body = Problem, content_type = "application/problem+json",
         description = "no such container"),
    )
)]
pub(super) async fn exits(
    State(daemon): State<Arc<Daemon>>,
    Extension(peer): Extension<Peer>,
    QueryParams(query): QueryParams<query::Exits>,
) -> Result<Response, Refusal> {
    if query.limit == Some(0) {
        return Err(Refusal::bad("limit: at least 1"));
    }
    let since_ns = query.since.as_deref().map(since).transpose()?.unwrap_or(0);
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    let (selection, seqs) = {
        let mut state = daemon.engine.now();
        let selection = Selection::of_the_past(&mut state, peer, &query.into())?;
        let newest_first = state.history.iter().rev();
        let oldest = newest_first
            .take_while(|past| past.exit.boottime_ns >= since_ns)
            .filter(|past| selection.admits(&past.exit))
            .take(limit)
            .last();
        let end = state.history.next_seq();
        (selection, oldest.map_or(end, |past| past.seq)..end)
    };
    let (lines, response) = stream();
    let engine = Arc::clone(&daemon.engine);
    tokio::spawn(async move {
        // An error means that the client is gone, so nothing is left to do.
        let _gone = report(&engine, &selection, seqs, &lines).await;
    });
    Ok(response)
}

/// Sends the exits with these sequence numbers. It keeps no exit that the history
/// drops meanwhile, so that a slow client costs no memory.
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
            if let Err(error) = buffer.record(&record) {
                tracing::warn!(%error, "a record does not become JSON");
            }
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

/// The moment in nanoseconds of `CLOCK_BOOTTIME`.
fn since(text: &str) -> Result<u64, Refusal> {
    if let Ok(ago) = duration(text) {
        return Ok(boottime_ns().saturating_sub(nanoseconds(ago)));
    }
    let moment: Timestamp = text.parse().map_err(|_neither| {
        let detail = format!("since: '{}' is no time", text.escape_debug());
        Refusal::bad(detail).hint("write 10m, 1h30m or 2026-01-02T03:04:05Z")
    })?;
    let ago_ns = WallClock::now().unix_ns(boottime_ns()) - moment.as_nanosecond();
    let ago_ns = u64::try_from(ago_ns.max(0)).unwrap_or(u64::MAX);
    Ok(boottime_ns().saturating_sub(ago_ns))
}
