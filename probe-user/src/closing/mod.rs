//! Closes descriptors that take long to close: on a separate thread, or after the end of the
//! process.
//!
//! Closing an inotify instance with a live watch waits for a kernel worker (15 ms, up to
//! 60 ms), and closing the link of a raw tracepoint waits for an RCU grace period. Neither
//! may block a thread of the runtime, nor delay the end of a process.

mod after_exit;

use std::{
    ops::{Deref, DerefMut},
    thread,
};

pub use self::after_exit::close_after_exit;

/// A value that a separate thread drops.
#[derive(Debug)]
pub(crate) struct ClosedOnThread<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> ClosedOnThread<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T: Send + 'static> Deref for ClosedOnThread<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only drop takes the value")
    }
}

impl<T: Send + 'static> DerefMut for ClosedOnThread<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("only drop takes the value")
    }
}

impl<T: Send + 'static> Drop for ClosedOnThread<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        let closer = thread::Builder::new().name("closer".to_owned());
        // If no thread can be started, the closure is dropped here, and the value with it.
        let _thread = closer.spawn(move || drop(value));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Sender, channel},
        time::Duration,
    };

    use super::*;

    /// Sends the id of the thread that drops it.
    struct Dropped(Sender<thread::ThreadId>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0
                .send(thread::current().id())
                .expect("the test listens");
        }
    }

    #[test]
    fn another_thread_drops_the_value() {
        let (sender, receiver) = channel();
        drop(ClosedOnThread::new(Dropped(sender)));
        let dropper = receiver.recv_timeout(Duration::from_secs(30));
        assert_ne!(dropper.expect("it is dropped"), thread::current().id());
    }
}
