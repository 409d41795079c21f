//! Connections: one task each, bounded in number, time and size.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::{peer::Peer, refusal::Refusal, stopping::Stopping};

/// Time to send the head of a request, also of the next one on a connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Time to take the news that there is no room.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);
/// Least buffer that hyper allows: there may be ten thousand connections.
const BUFFER_BYTES: usize = 8 * 1024;
/// Connections that are told at one time that there is no room; what comes
/// beyond is closed.
const MOST_REFUSED: usize = 64;

/// Held by every connection.
pub(super) type Finished = mpsc::Sender<Infallible>;

/// Resolves when nobody holds the other end any more.
pub(super) fn farewell() -> (Finished, impl Future<Output = ()>) {
    let (finished, mut all) = mpsc::channel(1);
    (finished, async move { _ = all.recv().await })
}

/// Serves until `stopping` says so; then no new connection is taken.
pub(super) async fn serve(
    listener: UnixListener,
    router: Router,
    max_clients: usize,
    mut stopping: Stopping,
    finished: Finished,
) -> io::Result<()> {
    let seats = Arc::new(Semaphore::new(max_clients));
    let refused = Arc::new(Semaphore::new(MOST_REFUSED));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.begun() => return Ok(()),
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // Out of descriptors, or the client has gone: others may be served.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        if let Ok(seat) = Arc::clone(&seats).try_acquire_owned() {
            let router = router.clone();
            let stopping = stopping.clone();
            let finished = finished.clone();
            tokio::spawn(async move {
                attend(stream, router, stopping).await;
                drop((seat, finished));
            });
        } else if let Ok(seat) = Arc::clone(&refused).try_acquire_owned() {
            tokio::spawn(async move {
                let _late = timeout(REFUSED_WITHIN, refuse(stream, max_clients)).await;
                drop(seat);
            });
        }
    }
}

async fn attend(stream: UnixStream, router: Router, mut stopping: Stopping) {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::debug!(%error, "nobody vouches for the peer");
            return;
        }
    };
    let service = TowerToHyperService::new(router.layer(axum::Extension(peer)));
    let connection = http1().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopping.begun() => {
            // What is being answered is answered: a wait says goodbye.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER_BYTES);
    builder
}

async fn refuse(stream: UnixStream, max_clients: usize) {
    let router = Router::new().fallback(move || async move {
        let refusal = Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("all {max_clients} connections are taken"),
        );
        let refusal = refusal.hint("try again, or give the daemon a greater --max-clients");
        (
            [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")],
            refusal,
        )
            .into_response()
    });
    let service = TowerToHyperService::new(router);
    let served = http1()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection that was refused broke");
    }
}
