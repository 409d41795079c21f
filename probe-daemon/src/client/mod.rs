//! Speaking with a probe daemon: JSON over HTTP/1.1 on a Unix socket.
//!
//! A daemon is never trusted with a verdict: what it says is one more reason to
//! look, and the level decides (see [`probe_user::unstable::wait`]). Its records are believed if
//! it runs as root, as ourselves, or as who [`Trust`] names. Whatever it does, no
//! answer that should be prompt is waited for longer than the caller's patience,
//! no line may be longer than a megabyte, and every nonsense is a
//! [`ClientError`].
//!
//! ```no_run
//! use std::{error::Error, path::Path, time::Duration};
//!
//! use probe_daemon::{
//!     api::{self, wait::{Request, Target}},
//!     client::{Client, Trust, Word},
//! };
//!
//! /// Says who dies in a cgroup until it is empty.
//! async fn watch(cgroup: api::wait::Cgroup) -> Result<(), Box<dyn Error>> {
//!     let socket = Path::new(api::DEFAULT_SOCKET);
//!     let client = Client::connect(socket, &Trust::default(), Duration::from_secs(1)).await?;
//!     let target = Target {
//!         cgroup: Some(cgroup),
//!         ..Default::default()
//!     };
//!     let request = Request {
//!         targets: vec![target],
//!         until: None,
//!         timeout_ms: None,
//!         count: None,
//!     };
//!     let mut words = client.wait(&request).await?;
//!     while let Some(word) = words.next().await? {
//!         match word {
//!             Word::Record(record) => println!("{record:?}"),
//!             Word::Verdict(verdict) => println!("{}", verdict.outcome),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```

mod answer;
mod connection;
mod error;
mod lines;
mod peer;
mod records;
mod request;
pub(crate) mod word;

use std::{path::Path, time::Duration};

use http_body_util::Full;
use hyper::{Request as HttpRequest, body::Bytes};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use self::{connection::Connection, lines::Lines};
pub use self::{
    error::ClientError,
    peer::Trust,
    records::Records,
    word::{Word, Words},
};
use crate::api::{
    VERSION,
    container::{Container, Containers},
    info::Info,
    query, wait,
};

/// A daemon that answered, and speaks our version of the API.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    patience: Duration,
    info: Info,
}

impl Client {
    /// Connects, and asks who answers. `patience` is for each prompt answer: that
    /// of this call and of those that follow.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn connect(
        socket: &Path,
        trust: &Trust,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let deadline = Instant::now() + patience;
        let late = |_elapsed| ClientError::Late { after: patience };
        let connected = timeout_at(deadline, Connection::open(socket, trust));
        let mut connection = connected.await.map_err(late)??;
        let info = ask(&mut connection, request::get("/v1/info")?);
        let info: Info = timeout_at(deadline, info).await.map_err(late)??;
        if info.api != VERSION {
            return Err(ClientError::Version { theirs: info.api });
        }
        Ok(Self {
            connection,
            patience,
            info,
        })
    }

    /// Who answered.
    #[must_use]
    pub const fn info(&self) -> &Info {
        &self.info
    }

    /// Waits. [`Word::Armed`] comes within the patience, or that is an error;
    /// afterwards there is no limit.
    pub async fn wait(self, request: &wait::Request) -> Result<Words, ClientError> {
        let deadline = Instant::now() + self.patience;
        let patience = self.patience;
        let targets = request.targets.len();
        let lines = self.stream(request::post("/v1/wait", request)?).await?;
        Ok(Words::new(lines, targets, deadline, patience))
    }

    /// Records as they come, from the time of the answer on.
    pub async fn events(self, query: &query::Records) -> Result<Records, ClientError> {
        let request = request::query("/v1/events", query)?;
        Ok(Records::endless(self.stream(request).await?))
    }

    /// Recent exits, oldest first.
    pub async fn exits(self, query: &query::Exits) -> Result<Records, ClientError> {
        let request = request::query("/v1/exits", query)?;
        let patience = self.patience;
        Ok(Records::prompt(self.stream(request).await?, patience))
    }

    /// Containers with live processes.
    pub async fn containers(&mut self) -> Result<Vec<Container>, ClientError> {
        let answer: Containers = self.prompt(request::get("/v1/containers")?).await?;
        Ok(answer.containers)
    }

    /// One container with its processes: by id, the beginning of one, or name.
    pub async fn container(&mut self, name: &str) -> Result<Container, ClientError> {
        let path = request::below("/v1/containers", name);
        self.prompt(request::get(&path)?).await
    }

    async fn prompt<T: DeserializeOwned>(
        &mut self,
        request: HttpRequest<Full<Bytes>>,
    ) -> Result<T, ClientError> {
        let after = self.patience;
        let answer = tokio::time::timeout(after, ask(&mut self.connection, request));
        answer
            .await
            .map_err(|_elapsed| ClientError::Late { after })?
    }

    async fn stream(mut self, request: HttpRequest<Full<Bytes>>) -> Result<Lines, ClientError> {
        let after = self.patience;
        let head = async {
            let response = self.connection.send(request).await?;
            answer::stream(response).await
        };
        let body = tokio::time::timeout(after, head)
            .await
            .map_err(|_elapsed| ClientError::Late { after })??;
        Ok(Lines::new(body, self.connection))
    }
}

async fn ask<T: DeserializeOwned>(
    connection: &mut Connection,
    request: HttpRequest<Full<Bytes>>,
) -> Result<T, ClientError> {
    let response = connection.send(request).await?;
    answer::whole(response).await
}
