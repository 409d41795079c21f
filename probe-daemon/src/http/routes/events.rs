//! `GET /v1/events`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use tokio_util::sync::CancellationToken;

use super::lines::{Gone, Reported, forward, send_line};
use crate::{
    access::{peer::Peer, refusal::Refusal},
    api::{problem::Problem, query::Records, wait::Line},
    http::{
        Daemon,
        body::{Lines, QueryParams, stream},
        selection::Selection,
    },
    state::topics::Mailbox,
};

/// Exits as they happen
///
/// One JSON object per line, of type `exit` or `lost`, until the client disconnects. A
/// client that reads too slowly gets a `lost` line with the number of missing records,
/// and delays no other client. When the daemon stops, the last line is `goodbye`.
#[utoipa::path(
    get, path = "/v1/events", tag = "records",
    params(Records),
    responses(
        (status = 200, description = "lines of type `exit`, `lost` and `goodbye`", body = Line,
         content_type = "application/x-ndjson"),
        (status = 400, body = Problem, content_type = "application/problem+json",
         description = "the query is invalid"),
        (status = 404, body = Problem, content_type = "application/problem+json",
         description = "the container does not exist, or the client may not see it"),
    )
)]
pub(super) async fn events(
    State(daemon): State<Arc<Daemon>>,
    Extension(peer): Extension<Peer>,
    QueryParams(query): QueryParams<Records>,
) -> Result<Response, Refusal> {
    let (selection, mailbox) = {
        let mut state = daemon.engine.now();
        let selection = Selection::new(&mut state, peer, &query)?;
        let mailbox = selection.subscribe(&mut state);
        (selection, mailbox)
    };
    let (lines, response) = stream();
    let reported = Reported::new(Arc::clone(&daemon.metrics));
    let shutdown = daemon.shutdown.clone();
    tokio::spawn(report(selection, mailbox, lines, shutdown, reported));
    Ok(response)
}

async fn report(
    selection: Selection,
    mailbox: Arc<Mailbox>,
    lines: Lines,
    shutdown: CancellationToken,
    mut reported: Reported,
) -> Result<(), Gone> {
    loop {
        let is_over = tokio::select! {
            () = lines.closed() => return Err(Gone),
            () = mailbox.filled() => false,
            () = shutdown.cancelled() => true,
        };
        forward(&mailbox, &selection, &lines, &mut reported).await?;
        if is_over {
            return send_line(&lines, &Line::Goodbye).await;
        }
    }
}
