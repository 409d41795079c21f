//! `GET /v1/exits`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use jiff::Timestamp;

use super::lines::{Gone, Piece};
use crate::{
    api::{problem::Problem, query},
    daemon::{
        Daemon,
        body::{Asked, Lines, stream},
        peer::Peer,
        refusal::Refusal,
        selection::Selection,
    },
    event::Exit,
    quantity::{duration, nanoseconds},
    record::{Placed, Record},
    source::clock::{WallClock, boottime_ns},
};

/// The recent exits
///
/// One JSON object a line, oldest first, as `probe trace --json` prints them.
#[utoipa::path(
    get, path = "/v1/exits", tag = "records",
    params(query::Exits),
    responses(
        (status = 200, description = "lines of type exit", body = String,
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
    Asked(asked): Asked<query::Exits>,
) -> Result<Response, Refusal> {
    if asked.limit == Some(0) {
        return Err(Refusal::bad("limit: at least 1"));
    }
    let since_ns = asked.since.as_deref().map(since).transpose()?.unwrap_or(0);
    let limit = asked.limit.map_or(usize::MAX, |limit| limit as usize);
    let chosen = {
        let mut state = daemon.engine.now();
        let selection = Selection::new(&mut state, peer, &asked.into())?;
        let newest_first = state.history.iter().rev();
        let mut chosen: Vec<_> = newest_first
            .map(|past| past.exit)
            .take_while(|exit| exit.boottime_ns >= since_ns)
            .filter(|exit| selection.admits(exit))
            .take(limit)
            .collect();
        chosen.reverse();
        chosen
    };
    let (lines, response) = stream();
    tokio::spawn(async move {
        // Or the client has gone.
        let _gone = tell(chosen, &lines).await;
    });
    Ok(response)
}

async fn tell(chosen: Vec<Arc<Placed<Exit>>>, lines: &Lines) -> Result<(), Gone> {
    let mut piece = Piece::new();
    for exit in chosen {
        if let Err(error) = piece.record(&Record::Exit(exit)) {
            tracing::warn!(%error, "a record does not become JSON");
        }
        if piece.is_full() {
            piece.send(lines).await?;
        }
    }
    piece.send(lines).await
}

/// A moment as `CLOCK_BOOTTIME` has it.
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
