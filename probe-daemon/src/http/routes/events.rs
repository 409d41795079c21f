//! `GET /v1/events`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use probe_user::unstable::clock::initial_tick;

use super::lines::{Gone, Reported, forward, forward_rest, send_line};
use crate::{
    access::{peer::Peer, refusal::Refusal},
    api::{problem::Problem, query::Records, wait::Line},
    http::{
        Daemon,
        body::{Lines, QueryParams, stream},
        half_closed::WantsRest,
        selection::Selection,
        targets,
    },
    state::mailbox::Mailbox,
};

/// Exits as they happen
///
/// One JSON object per line, of type `exit` or `lost`, until the client disconnects. A
/// client that reads too slowly gets a `lost` line with the number of missing records,
/// and delays no other client. A client that shuts down its sending direction (`SHUT_WR`) gets
/// the records until then, and the line `end` as the last: no record is missing before it
/// that no `lost` line counts. When the daemon stops, the last line is `goodbye`.
#[utoipa::path(
    get, path = "/v1/events", tag = "records",
    params(Records),
    responses(
        (status = 200, description = "lines of type `exit`, `lost`, `end` and `goodbye`", body = Line,
         content_type = "application/x-ndjson"),
        (status = 400, body = Problem, content_type = "application/problem+json",
         description = "the query is invalid"),
        (status = 404, body = Problem, content_type = "application/problem+json",
         description = "the container or process does not exist, or the client may not see it"),
    )
)]
pub(super) async fn events(
    State(daemon): State<Arc<Daemon>>,
    Extension(peer): Extension<Peer>,
    Extension(wants_rest): Extension<WantsRest>,
    QueryParams(mut query): QueryParams<Records>,
) -> Result<Response, Refusal> {
    let mailbox = {
        let mut state = daemon.engine.now();
        if let (Some(pid), None) = (query.pid, query.start_ticks) {
            let process = targets::pin_process(peer, pid)?;
            query.start_ticks = process.start_ticks().map(initial_tick);
        }
        let selection = Selection::new(&mut state, peer, &query)?;
        selection.subscribe(&mut state)
    };
    let (lines, response) = stream();
    tokio::spawn(report(daemon, mailbox, lines, wants_rest));
    Ok(response)
}

async fn report(
    daemon: Arc<Daemon>,
    mailbox: Arc<Mailbox>,
    lines: Lines,
    wants_rest: WantsRest,
) -> Result<(), Gone> {
    let mut reported = Reported::default();
    let last = loop {
        tokio::select! {
            () = lines.closed() => return Err(Gone),
            () = wants_rest.asked() => break Line::End,
            () = daemon.shutdown.cancelled() => break Line::Goodbye,
            () = mailbox.filled() => forward(&mailbox, &lines, &mut reported).await?,
        }
    };
    daemon.engine.complete(&mailbox, &daemon.hub);
    forward_rest(&mailbox, &lines, &mut reported).await?;
    send_line(&lines, &last).await
}
