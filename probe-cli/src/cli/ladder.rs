//! From `--backend` to what serves a session: which is asked first, and what
//! joins where that cannot be had.

use std::time::Duration;

use probe_daemon::client::ClientError;
use probe_user::unstable::bpf::load::Plan;

use super::{
    Failure,
    choice::Asked,
    failure::without_bpf,
    socket::{PATIENCE, Socket, without_daemon},
};
use crate::session::{Asking, Session, say_without};

/// What a verb asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ladder<'a> {
    pub(super) backend: Asked,
    pub(super) socket: &'a Socket,
    pub(super) timeout: Option<Duration>,
}

/// How long a daemon that nobody named may take to answer: until then nobody
/// serves but what needs no privilege.
const UNNAMED: Duration = Duration::from_secs(1);
/// The same while something else waits for it.
const HURRIED: Duration = Duration::from_millis(250);

impl Ladder<'_> {
    /// A backend that was named serves from now on, or that is an error.
    pub(super) async fn named(
        self,
        session: &mut Session,
        plan: &mut Option<Plan>,
        needed: usize,
    ) -> Result<(), Failure> {
        match self.backend {
            Asked::Bpf => {
                if let Some(plan) = plan.take() {
                    session.load(plan);
                    session.joined().await.map_err(without_bpf)?;
                }
            }
            Asked::Daemon => {
                if let Some(plan) = plan.take() {
                    session.ask(self.asking(plan, PATIENCE, Duration::ZERO)?);
                    match session.answered().await? {
                        Ok(()) => {}
                        // It serves, and knows nothing of what went away just now.
                        Err(ClientError::Refused(_)) if session.look()? >= needed => {}
                        Err(error) => return Err(without_daemon(error)),
                    }
                }
            }
            Asked::Auto | Asked::Pidfd | Asked::Poll => {}
        }
        Ok(())
    }

    /// Where nothing was named: the best that works joins while the session runs.
    pub(super) fn best(
        self,
        session: &mut Session,
        plan: &mut Option<Plan>,
    ) -> Result<(), Failure> {
        if let Some(plan) = plan.take_if(|_| self.backend == Asked::Auto) {
            session.ask(self.asking(plan, UNNAMED, Duration::ZERO)?);
        }
        Ok(())
    }

    /// The same for who waits for it: a daemon that answers is armed afterwards.
    /// Otherwise BPF joins after `delay`; with none it has joined, or that is an
    /// error.
    pub(super) async fn best_now(
        self,
        session: &mut Session,
        plan: &mut Option<Plan>,
        delay: Option<Duration>,
    ) -> Result<(), Failure> {
        let Some(plan) = plan.take_if(|_| self.backend == Asked::Auto) else {
            return Ok(());
        };
        let asking = self.asking(plan, HURRIED, delay.unwrap_or_default())?;
        let is_named = asking.is_named;
        session.ask(asking);
        if let Err(error) = session.answered().await? {
            say_without(error, is_named);
            if delay.is_none() {
                session.load_now().await.map_err(without_bpf)?;
            }
        }
        Ok(())
    }

    fn asking(self, plan: Plan, patience: Duration, delay: Duration) -> Result<Asking, Failure> {
        let daemon = self.socket.daemon()?;
        Ok(Asking {
            socket: daemon.socket,
            trust: daemon.trust,
            patience,
            is_named: daemon.is_named,
            timeout: self.timeout,
            fallback: (plan, delay),
        })
    }
}
