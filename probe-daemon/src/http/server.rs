//! Connections: one task each, bounded in number, time and size.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
};
use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::{Daemon, routes, stopping::Stopping};
use crate::access::{peer::Peer, refusal::Refusal};

/// Time to send the head of a request, also of the next one on a connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Time to take the news that there is no room.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);
/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(10);
/// Least buffer that hyper allows: there may be ten thousand connections.
const BUFFER_BYTES: usize = 8 * 1024;
/// Connections that are told at one time that there is no room; what comes
/// beyond is closed.
const MOST_REFUSED: usize = 64;

/// Held by every connection.
type Present = mpsc::Sender<Infallible>;

/// Takes connections.
pub(crate) struct Server {
    daemon: Arc<Daemon>,
    listener: UnixListener,
    router: Router,
    seats: Arc<Semaphore>,
    refused: Arc<Semaphore>,
    present: Present,
}

impl Server {
    /// With a future that resolves when it and all connections are gone.
    pub(crate) fn new(
        daemon: Arc<Daemon>,
        listener: UnixListener,
    ) -> (Self, impl Future<Output = ()>) {
        let (present, mut everybody) = mpsc::channel(1);
        let server = Self {
            router: routes::router(Arc::clone(&daemon)),
            seats: Arc::new(Semaphore::new(daemon.max_clients)),
            refused: Arc::new(Semaphore::new(MOST_REFUSED)),
            daemon,
            listener,
            present,
        };
        (server, async move { _ = everybody.recv().await })
    }

    /// Until the daemon ends: then no new connection is taken.
    pub(crate) async fn run(self, mut stopping: Stopping) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stopping.begun() => return,
            };
            match accepted {
                Ok((stream, _)) => self.take(stream),
                // Out of descriptors, or the client has gone: others may be
                // served.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    if timeout(PAUSE, stopping.begun()).await.is_ok() {
                        return;
                    }
                }
            }
        }
    }

    fn take(&self, stream: UnixStream) {
        if let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() {
            let router = self.router.clone();
            let stopping = self.daemon.stopping.clone();
            let present = self.present.clone();
            let counted = self.daemon.metrics.client_connected();
            tokio::spawn(async move {
                attend(stream, router, stopping).await;
                drop((seat, present, counted));
            });
        } else if let Ok(seat) = Arc::clone(&self.refused).try_acquire_owned() {
            self.daemon.metrics.client_refused();
            let max_clients = self.daemon.max_clients;
            tokio::spawn(async move {
                let _late = timeout(REFUSED_WITHIN, refuse(stream, max_clients)).await;
                drop(seat);
            });
        } else {
            self.daemon.metrics.client_refused();
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
    let service = Introduced {
        router: TowerToHyperService::new(router),
        peer,
    };
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

/// Tells the routes who asks. A layer would be a router for each connection.
struct Introduced {
    router: TowerToHyperService<Router>,
    peer: Peer,
}

impl Service<Request<Incoming>> for Introduced {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.router.call(request)
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
