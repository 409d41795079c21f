//! `GET /v1/events`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};

use super::lines::{Piece, Told, forward};
use crate::{
    access::{peer::Peer, refusal::Refusal},
    api::{problem::Problem, query::Records, wait::Line},
    http::{
        Daemon,
        body::{Asked, Lines, stream},
        selection::Selection,
        stopping::Stopping,
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
    Asked(asked): Asked<Records>,
) -> Result<Response, Refusal> {
    let (selection, mailbox) = {
        let mut state = daemon.engine.now();
        let selection = Selection::new(&mut state, peer, &asked)?;
        let mailbox = selection.subscribe(&mut state);
        (selection, mailbox)
    };
    let (lines, response) = stream();
    let stopping = daemon.stopping.clone();
    tokio::spawn(tell(selection, mailbox, lines, stopping));
    Ok(response)
}

async fn tell(selection: Selection, mailbox: Arc<Mailbox>, lines: Lines, mut stopping: Stopping) {
    let mut told = Told::default();
    loop {
        tokio::select! {
            () = lines.closed() => return,
            () = mailbox.filled() => {}
            () = stopping.begun() => {
                if forward(&mailbox, &selection, &lines, &mut told).await.is_err() {
                    return;
                }
                let mut piece = Piece::new();
                if piece.line(&Line::Goodbye).is_ok() {
                    // Or the client has gone first.
                    let _gone = piece.send(&lines).await;
                }
                return;
            }
        }
        if forward(&mailbox, &selection, &lines, &mut told)
            .await
            .is_err()
        {
            return;
        }
    }
}
