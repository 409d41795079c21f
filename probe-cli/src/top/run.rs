//! The loop: applies events, keys, seconds and signals to the model, and draws it.

use std::{future::poll_fn, io, pin::Pin, time::Duration};

use crossterm::event::{self, EventStream, KeyEventKind};
use futures_core::Stream;
use rustix::io::Errno;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use super::{Flow, Model, Screen, Source, SourceError, suspend};
use crate::output::is_closed;

/// How long a signal may follow the end of the terminal.
const SIGNAL_TIMEOUT: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const TERMINAL_STOP: i32 = rustix::process::Signal::TSTP.as_raw();
const CONTINUE: i32 = rustix::process::Signal::CONT.as_raw();

/// Why the screen ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopError {
    /// The terminal failed.
    #[error("cannot use the terminal")]
    Terminal(#[from] io::Error),
    /// The source of events ended.
    #[error("the stream of events ended")]
    Source(#[from] SourceError),
}

/// The inputs other than events.
struct Inputs {
    /// Whether events have arrived since the last drawing.
    needs_draw: bool,
    keys: EventStream,
    second: Interval,
    draw: Interval,
    stopped: Signal,
    continued: Signal,
}

/// Draws at least `every` so often while events arrive, and after each key. Runs until the user
/// quits, or `stop` resolves to a signal, which it returns.
pub(crate) async fn run(
    model: &mut Model,
    source: Source,
    screen: &mut Screen,
    every: Duration,
    mut stop: Pin<&mut impl Future<Output = i32>>,
) -> Result<Option<i32>, TopError> {
    model.set_backend(source.backend());
    match follow(model, source, screen, every, stop.as_mut()).await {
        // The terminal was closed, and SIGHUP may follow.
        Err(TopError::Terminal(error)) if is_gone(&error) => {
            Ok(timeout(SIGNAL_TIMEOUT, stop).await.ok())
        }
        result => result,
    }
}

async fn follow(
    model: &mut Model,
    mut source: Source,
    screen: &mut Screen,
    every: Duration,
    mut stop: Pin<&mut impl Future<Output = i32>>,
) -> Result<Option<i32>, TopError> {
    let mut inputs = Inputs::new(every)?;
    screen.draw(model)?;
    loop {
        let flow = tokio::select! {
            signal = &mut stop => return Ok(Some(signal)),
            events = source.next() => {
                events?.into_iter().for_each(|event| model.apply(event));
                inputs.needs_draw = true;
                continue;
            }
            flow = inputs.next(model, screen) => flow?,
        };
        match flow {
            Flow::Continue => {}
            Flow::Suspend => {
                screen.release()?;
                suspend::stop()?;
                screen.acquire()?;
            }
            Flow::Quit => return Ok(None),
        }
        screen.draw(model)?;
        inputs.needs_draw = false;
    }
}

/// Whether the terminal was closed, which EIO reports.
fn is_gone(error: &io::Error) -> bool {
    is_closed(error) || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

impl Inputs {
    fn new(draw_every: Duration) -> io::Result<Self> {
        let every = |period| {
            let mut interval = interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        Ok(Self {
            needs_draw: false,
            keys: EventStream::new(),
            second: every(SECOND),
            draw: every(draw_every),
            stopped: signal(SignalKind::from_raw(TERMINAL_STOP))?,
            continued: signal(SignalKind::from_raw(CONTINUE))?,
        })
    }

    /// Applies the next input. Resolves when the screen must be drawn.
    async fn next(&mut self, model: &mut Model, screen: &mut Screen) -> io::Result<Flow> {
        loop {
            tokio::select! {
                key = next(&mut self.keys) => match key {
                    None => return Ok(Flow::Quit),
                    Some(event::Event::Key(key)) if key.kind != KeyEventKind::Release => {
                        return Ok(model.press(key));
                    }
                    Some(event::Event::Resize(..)) => screen.resize()?,
                    Some(_) => {}
                },
                _ = self.second.tick() => {
                    model.tick();
                    self.needs_draw = true;
                    continue;
                }
                _ = self.draw.tick(), if self.needs_draw => {}
                _ = self.stopped.recv() => return Ok(Flow::Suspend),
                _ = self.continued.recv() => screen.acquire()?,
            }
            return Ok(Flow::Continue);
        }
    }
}

/// Returns the next key or change of size; `None` if the terminal is gone.
async fn next(keys: &mut EventStream) -> Option<event::Event> {
    let next = poll_fn(|context| Pin::new(&mut *keys).poll_next(context)).await;
    next.and_then(Result::ok)
}
