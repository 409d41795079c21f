//! `POST /v1/wait`.
//!
//! Exits are sent as they happen, but they do not decide the wait: the wait has its own
//! wake-up sources and looks at its targets. The exit stream is drained once more before
//! the verdict, so that every exit that led to the verdict is sent first.

use std::{io, sync::Arc, time::Duration};

use axum::{Extension, extract::State, response::Response};
use probe_user::unstable::wait::{WaitSet, WokenBy};
use tokio::time::{Instant, sleep_until};

use super::lines::{Gone, Reported, forward, forward_rest, send_line};
use crate::{
    access::{peer::Peer, refusal::Refusal},
    api::{
        Outcome,
        problem::Problem,
        quantity::nanoseconds,
        wait::{Armed, Line, MAX_TARGETS, MAX_TIMEOUT_MS, Met, Request, Verdict},
    },
    http::{
        Daemon,
        body::{Json, Lines, stream},
        half_closed::WantsRest,
        selection::Selection,
        targets,
    },
    state::{mailbox::Mailbox, metrics},
};

/// Wait until cgroups, processes or containers are gone
///
/// The answer is a stream of lines: `armed` when every further exit will be reported (it
/// lists the targets of which no exits are known), an
/// `exit` line for each process that exits in the targets, `met` for each target that
/// meets its condition, and `wait` with the verdict. A `goodbye` line instead means that
/// the daemon stops, and that the client must go on without the daemon. A client that shuts
/// down its sending direction (`SHUT_WR`) gets the exits until then and the verdict, with the
/// outcome `interrupted` unless it is `done`. Exits that the client may not see are left out.
#[utoipa::path(
    post, path = "/v1/wait", tag = "wait",
    request_body = Request,
    responses(
        (status = 200, body = Line, content_type = "application/x-ndjson",
         description = "lines of type `armed`, `exit`, `lost`, `met`, `wait` and `goodbye`"),
        (status = 400, body = Problem, content_type = "application/problem+json",
         description = "the request is invalid"),
        (status = 404, body = Problem, content_type = "application/problem+json",
         description = "a target does not exist, or the client may not see it"),
        (status = 408, body = Problem, content_type = "application/problem+json",
         description = "the body did not arrive in time"),
        (status = 413, body = Problem, content_type = "application/problem+json",
         description = "the body is too large"),
        (status = 415, body = Problem, content_type = "application/problem+json",
         description = "the body is not JSON"),
        (status = 503, body = Problem, content_type = "application/problem+json",
         description = "the daemon has no free connection or file descriptor"),
    )
)]
pub(super) async fn wait(
    State(daemon): State<Arc<Daemon>>,
    Extension(peer): Extension<Peer>,
    Extension(wants_rest): Extension<WantsRest>,
    Json(request): Json<Request>,
) -> Result<Response, Refusal> {
    let started = Instant::now();
    check(&request)?;
    let needed = request
        .count
        .map_or(request.targets.len(), |it| it as usize);
    let mut waiting = {
        let mut state = daemon.engine.now();
        let mut set = WaitSet::default();
        let mailbox = Arc::new(Selection::all(&state, peer).mailbox());
        let mut is_seen = true;
        let mut without_exits = Vec::new();
        for (index, target) in (0..).zip(&request.targets) {
            let resolved = targets::resolve(&mut state, peer, target)
                .map_err(|refusal| refusal.in_part(&format!("targets[{index}]")))?;
            is_seen &= resolved.is_seen;
            without_exits.extend((!resolved.has_exits).then_some(index));
            let until = target
                .until
                .or(request.until)
                .unwrap_or(resolved.default_until);
            resolved
                .check(until)
                .map_err(|refusal| refusal.in_part(&format!("targets[{index}]")))?;
            for topic in resolved.topics {
                state.tables.topics.subscribe(topic, &mailbox);
            }
            set.arm(&daemon.hub, resolved.target, until)
                .map_err(|error| targets::cannot_arm(&error))?;
        }
        Waiting {
            daemon: Arc::clone(&daemon),
            set,
            mailbox,
            started,
            is_seen,
            without_exits,
            reported: Reported::default(),
            reported_met: vec![false; request.targets.len()],
            counted: Some(daemon.metrics.wait_began()),
        }
    };
    let deadline = request
        .timeout_ms
        .map(|it| started + Duration::from_millis(it));
    let (lines, response) = stream();
    tokio::spawn(async move {
        // An error means that the client disconnected.
        let _gone = waiting.run(needed, deadline, wants_rest, &lines).await;
    });
    Ok(response)
}

fn check(request: &Request) -> Result<(), Refusal> {
    let targets = request.targets.len();
    if targets == 0 || targets > MAX_TARGETS {
        let detail = format!("invalid number of targets {targets} (expected 1 to {MAX_TARGETS})");
        return Err(Refusal::bad(detail));
    }
    if let Some(count) = request.count
        && (count == 0 || count as usize > targets)
    {
        let detail = format!("invalid count {count} (expected 1 to {targets})");
        return Err(Refusal::bad(detail));
    }
    if let Some(timeout_ms) = request.timeout_ms
        && timeout_ms > MAX_TIMEOUT_MS
    {
        let detail = format!("invalid timeout_ms {timeout_ms} (expected at most {MAX_TIMEOUT_MS})");
        return Err(Refusal::bad(detail).hint("omit timeout_ms to wait without a time limit"));
    }
    Ok(())
}

/// One wait of a client.
struct Waiting {
    daemon: Arc<Daemon>,
    set: WaitSet,
    mailbox: Arc<Mailbox>,
    started: Instant,
    /// Whether the client may see the processes in the targets.
    is_seen: bool,
    /// Indices of the targets of which the exits are not known.
    without_exits: Vec<u32>,
    reported: Reported,
    /// Targets for which `met` was sent.
    reported_met: Vec<bool>,
    counted: Option<metrics::Wait>,
}

impl Waiting {
    async fn run(
        &mut self,
        needed: usize,
        deadline: Option<Instant>,
        wants_rest: WantsRest,
        lines: &Lines,
    ) -> Result<(), Gone> {
        // The first look comes before `armed`, so that a condition that becomes true after
        // `armed` is not reported as `already`.
        let done = self.look();
        let armed = Armed {
            live: self.live(),
            without_exits: std::mem::take(&mut self.without_exits),
        };
        send_line(lines, &Line::Armed(armed)).await?;
        if done >= needed {
            return self.conclude(lines, Outcome::Already).await;
        }
        let daemon = Arc::clone(&self.daemon);
        loop {
            self.report_met(lines).await?;
            if deadline.is_some_and(|it| it <= Instant::now()) {
                let outcome = match self.set.look_at_last() {
                    Ok(done) if done >= needed => Outcome::Done,
                    _ => Outcome::Timeout,
                };
                return self.conclude(lines, outcome).await;
            }
            tokio::select! {
                biased;
                () = self.set.woken() => {}
                () = lines.closed() => return Err(Gone),
                () = daemon.shutdown.cancelled() => {
                    self.report_rest(lines).await?;
                    return send_line(lines, &Line::Goodbye).await;
                }
                () = wants_rest.asked() => {
                    let is_done = self.look() >= needed;
                    let outcome = if is_done { Outcome::Done } else { Outcome::Interrupted };
                    return self.conclude(lines, outcome).await;
                }
                () = self.mailbox.filled() => {
                    self.report_new(lines).await?;
                    continue;
                }
                () = sleep_until(deadline.unwrap_or(self.started)), if deadline.is_some() => {}
            }
            if self.look() >= needed {
                return self.conclude(lines, Outcome::Done).await;
            }
        }
    }

    /// Looks at the targets; returns the number that meet their condition. A target with
    /// unreadable state does not count.
    fn look(&mut self) -> usize {
        self.set.look().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read the state of a target");
            let met = self.set.waits().filter(|(_, met)| met.is_some());
            met.count()
        })
    }

    async fn conclude(&mut self, lines: &Lines, outcome: Outcome) -> Result<(), Gone> {
        let elapsed = self.started.elapsed();
        if let Some(counted) = self.counted.take() {
            counted.ended(outcome, elapsed);
        }
        self.report_rest(lines).await?;
        self.report_met(lines).await?;
        let waits = || self.set.waits();
        let survivors = match outcome {
            _ if !self.is_seen => None,
            Outcome::Timeout | Outcome::Interrupted => self.survivors().ok(),
            _ => Some(Vec::new()),
        };
        let verdict = Verdict {
            outcome: outcome.as_str().to_owned(),
            woken_by: self.set.woken_by().map(WokenBy::as_str).map(str::to_owned),
            exact: waits().filter_map(|(_, met)| met).all(|met| met.exact),
            elapsed_ns: nanoseconds(elapsed),
            met: u32::try_from(waits().filter(|(_, met)| met.is_some()).count())
                .unwrap_or(u32::MAX),
            exits: self.reported.exits,
            lost: self.reported.lost,
            survivors,
        };
        send_line(lines, &Line::Wait(verdict)).await
    }

    fn survivors(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for (wait, _) in self.set.waits() {
            pids.extend(wait.survivors()?);
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    fn live(&self) -> Option<u64> {
        if !self.is_seen {
            return None;
        }
        Some(self.survivors().ok()?.len() as u64)
    }

    /// Sends every exit up to now.
    async fn report_exits(&mut self, lines: &Lines) -> Result<(), Gone> {
        drop(self.daemon.engine.now());
        self.report_new(lines).await
    }

    /// Sends every exit and loss up to now, and no later one.
    async fn report_rest(&mut self, lines: &Lines) -> Result<(), Gone> {
        self.daemon.engine.complete(&self.mailbox, &self.daemon.hub);
        forward_rest(&self.mailbox, lines, &mut self.reported).await
    }

    async fn report_new(&mut self, lines: &Lines) -> Result<(), Gone> {
        forward(&self.mailbox, lines, &mut self.reported).await
    }

    async fn report_met(&mut self, lines: &Lines) -> Result<(), Gone> {
        let waits = self.set.waits().map(|(_, met)| met.is_some());
        let lines_met: Vec<_> = (0..)
            .zip(self.reported_met.iter_mut().zip(waits))
            .filter_map(|(target, (reported, is_met))| {
                let is_new = is_met && !*reported;
                *reported |= is_met;
                is_new.then_some(Line::Met(Met { target }))
            })
            .collect();
        if !lines_met.is_empty() {
            // The exits that made the condition true are sent first.
            self.report_exits(lines).await?;
        }
        for line in lines_met {
            send_line(lines, &line).await?;
        }
        Ok(())
    }
}
