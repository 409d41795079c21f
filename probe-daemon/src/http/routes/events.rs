//! `GET /v1/events`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use tokio_util::sync::CancellationToken;

use super::lines::{LineBuffer, Reported, forward};
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
/// One JSON object a line, of type `exit` or `lost`, for as long as the client
/// reads. A reader that is too slow is told how many it lost, and slows nobody
/// else. When the daemon ends, the last line is `goodbye`.
#[utoipa::path(
    get, path = "/v1/events", tag = "records",
    params(Records),
    responses(
        (status = 200, description = "lines of type exit, lost and goodbye", body = Line,
         content_type = "application/x-ndjson"),
        (status = 400, body = Problem, content_type = "application/problem+json",
         description = "the query makes no sense"),
        (status = 404, body = Problem, content_type = "application/problem+json",
         description = "no such container"),
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
) {
    loop {
        tokio::select! {
            () = lines.closed() => return,
            () = mailbox.filled() => {}
            () = shutdown.cancelled() => {
                if forward(&mailbox, &selection, &lines, &mut reported).await.is_err() {
                    return;
                }
                let mut buffer = LineBuffer::new();
                if buffer.line(&Line::Goodbye).is_ok() {
                    // An error means that the client is gone, so nothing is left to do.
                    let _gone = buffer.send(&lines).await;
                }
                return;
            }
        }
        if forward(&mailbox, &selection, &lines, &mut reported)
            .await
            .is_err()
        {
            return;
        }
    }
}
