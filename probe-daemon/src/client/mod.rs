//! The client of the daemon: JSON over HTTP/1.1 on a Unix socket.
//!
//! A message of the daemon is only a hint: a caller that must be sure looks at the cgroup
//! or the process itself. The client trusts only a daemon that runs as root, as the
//! caller's own user, as the user `probe` or as the user in [`Trust`], because every user
//! can listen on a socket of its own.
//!
//! A broken daemon cannot harm the client: an immediate answer must arrive within the
//! caller's timeout, a line has at most one megabyte, and an answer that violates the API
//! is a [`ClientError`]. The crate's page has an example.

mod answer;
mod connection;
mod error;
mod lines;
pub(crate) mod message;
pub(crate) mod numbers;
mod records;
mod request;
mod trust;

use std::{path::Path, time::Duration};

use http_body_util::Full;
use hyper::{HeaderMap, Request as HttpRequest, body::Bytes};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use self::{connection::Connection, lines::Lines, numbers::Numbers};
pub use self::{
    error::ClientError,
    message::{Message, Messages},
    records::{Newest, Records},
    trust::Trust,
};
use crate::api::{
    VERSION,
    container::{Container, Containers},
    info::Info,
    query, wait,
};

/// A connection to a daemon with this version of the API.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    answer_timeout: Duration,
    info: Info,
}

impl Client {
    /// Connects and reads the daemon's [`Info`]. `answer_timeout` bounds this call and
    /// every later immediate answer.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn connect(
        socket: &Path,
        trust: &Trust,
        answer_timeout: Duration,
    ) -> Result<Self, ClientError> {
        let connected = within(answer_timeout, async {
            let mut connection = Connection::open(socket, trust).await?;
            let info: Info = ask(&mut connection, request::get("/v1/info")?).await?;
            Ok((connection, info))
        });
        let (connection, info) = connected.await?;
        if info.api != VERSION {
            return Err(ClientError::Version { theirs: info.api });
        }
        Ok(Self {
            connection,
            answer_timeout,
            info,
        })
    }

    /// Version, limits and kernel of the daemon, as read by [`Client::connect`].
    #[must_use]
    pub const fn info(&self) -> &Info {
        &self.info
    }

    /// Starts a wait. [`Messages::next`] fails unless [`Message::Armed`] arrives within the
    /// answer timeout; later messages have no time limit.
    pub async fn wait(self, request: &wait::Request) -> Result<Messages, ClientError> {
        let answer_timeout = self.answer_timeout;
        let deadline = Instant::now() + answer_timeout;
        let targets = request.targets.len();
        let (lines, _) = self.stream(request::post("/v1/wait", request)?).await?;
        Ok(Messages::new(lines, targets, deadline, answer_timeout))
    }

    /// Exits as they happen, from now on.
    pub async fn events(self, query: &query::Records) -> Result<Records, ClientError> {
        let request = request::query("/v1/events", query)?;
        let (lines, _) = self.stream(request).await?;
        Ok(Records::new(lines, None))
    }

    /// Exits in the daemon's history, oldest first, and the container that the query means.
    pub async fn exits(
        self,
        query: &query::Exits,
    ) -> Result<(Records, Option<Newest>), ClientError> {
        let request = request::query("/v1/exits", query)?;
        let line_timeout = Some(self.answer_timeout);
        let (lines, headers) = self.stream(request).await?;
        Ok((Records::new(lines, line_timeout), Newest::of(&headers)))
    }

    /// Containers with live processes.
    pub async fn containers(&mut self) -> Result<Vec<Container>, ClientError> {
        let answer: Containers = self.prompt(request::get("/v1/containers")?).await?;
        Ok(answer.containers)
    }

    /// One container with its processes, by id, unique prefix of the id, or name. An error if the
    /// daemon is in another pid namespace, because the pids of the processes are not known here.
    pub async fn container(&mut self, name: &str) -> Result<Container, ClientError> {
        if matches!(Numbers::of(&self.info), Numbers::Other(_)) {
            return Err(ClientError::OtherPids);
        }
        let path = request::below("/v1/containers", name);
        self.prompt(request::get(&path)?).await
    }

    async fn prompt<T: DeserializeOwned>(
        &mut self,
        request: HttpRequest<Full<Bytes>>,
    ) -> Result<T, ClientError> {
        within(self.answer_timeout, ask(&mut self.connection, request)).await
    }

    async fn stream(
        mut self,
        request: HttpRequest<Full<Bytes>>,
    ) -> Result<(Lines, HeaderMap), ClientError> {
        let response = within(self.answer_timeout, async {
            let response = self.connection.send(request).await?;
            answer::stream(response).await
        });
        let (head, body) = response.await?.into_parts();
        let numbers = Numbers::of(&self.info);
        Ok((Lines::new(body, self.connection, numbers), head.headers))
    }
}

async fn within<T>(
    after: Duration,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let answer = timeout(after, answer).await;
    answer.unwrap_or(Err(ClientError::Late { after }))
}

async fn ask<T: DeserializeOwned>(
    connection: &mut Connection,
    request: HttpRequest<Full<Bytes>>,
) -> Result<T, ClientError> {
    let response = connection.send(request).await?;
    answer::value(response).await
}
