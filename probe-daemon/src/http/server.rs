//! Connections: each has a task, and number, time and size are bounded.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Daemon,
    half_closed::{Connection, WantsRest},
    routes,
};
use crate::access::{peer::Peer, refusal::Refusal};

/// Timeout of the head of each request on a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of the answer that all connections are in use.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// The smallest buffer that hyper allows, because there may be ten thousand connections.
const BUFFER_BYTES: usize = 8 * 1024;
/// Maximum number of connections that are being refused with an answer; further
/// connections are closed without an answer.
const MAX_REFUSALS: usize = 64;

/// Accepts connections and serves each in its own task.
pub(crate) struct Server {
    daemon: Arc<Daemon>,
    listener: UnixListener,
    router: Router,
    permits: Arc<Semaphore>,
    refusal_permits: Arc<Semaphore>,
    connections: TaskTracker,
}

impl Server {
    pub(crate) fn new(daemon: Arc<Daemon>, listener: UnixListener) -> Self {
        Self {
            router: routes::router(Arc::clone(&daemon)),
            permits: Arc::new(Semaphore::new(daemon.max_clients)),
            refusal_permits: Arc::new(Semaphore::new(MAX_REFUSALS)),
            connections: TaskTracker::new(),
            daemon,
            listener,
        }
    }

    /// Accepts connections until the daemon stops; returns when all of them are
    /// closed.
    pub(crate) async fn run(self) {
        self.accept_until_shutdown().await;
        drop(self.listener);
        self.connections.close();
        self.connections.wait().await;
    }

    async fn accept_until_shutdown(&self) {
        let shutdown = &self.daemon.shutdown;
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = shutdown.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => self.spawn(stream),
                // The daemon is out of file descriptors, or the client closed the
                // connection. By the next call either may be over.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    if timeout(ACCEPT_PAUSE, shutdown.cancelled()).await.is_ok() {
                        return;
                    }
                }
            }
        }
    }

    fn spawn(&self, stream: UnixStream) {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let router = self.router.clone();
            let shutdown = self.daemon.shutdown.clone();
            let counted = self.daemon.metrics.client_connected();
            self.connections.spawn(async move {
                serve(stream, router, shutdown).await;
                drop((permit, counted));
            });
        } else if let Ok(permit) = Arc::clone(&self.refusal_permits).try_acquire_owned() {
            self.daemon.metrics.client_refused();
            let max_clients = self.daemon.max_clients;
            tokio::spawn(async move {
                let _elapsed = timeout(REFUSAL_TIMEOUT, refuse(stream, max_clients)).await;
                drop(permit);
            });
        } else {
            self.daemon.metrics.client_refused();
        }
    }
}

async fn serve(stream: UnixStream, router: Router, shutdown: CancellationToken) {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::debug!(%error, "cannot read the credentials of a peer");
            return;
        }
    };
    let wants_rest = WantsRest::default();
    let connection = Connection::new(stream, wants_rest.clone());
    let router = TowerToHyperService::new(router);
    let asked = wants_rest.clone();
    // An axum layer would need a router of its own for each connection.
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(asked.clone());
        router.call(request)
    });
    let connection = http1().serve_connection(TokioIo::new(connection), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = shutdown.cancelled() => None,
        () = wants_rest.asked() => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        // A request in progress is still answered: a wait sends `goodbye`.
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection failed");
    }
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER_BYTES);
    builder
}

async fn refuse(stream: UnixStream, max_clients: usize) {
    let router = Router::new().fallback(move || async move {
        let refusal = Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("all {max_clients} connections are in use"),
        );
        let refusal = refusal.hint("try again, or start the daemon with a higher --max-clients");
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
        tracing::debug!(%error, "a refused connection failed");
    }
}
