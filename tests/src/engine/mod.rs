//! Real container engines: the namespace in which they run, their containers, and the rounds
//! in which `probe` is checked against them.

mod container;
mod namespace;
mod oci;
mod place;
mod rounds;

use std::process::Command;

pub use container::{Container, PROCESSES, script};
pub use oci::Oci;
pub use place::{Place, View};
pub use rounds::{CHECKS, Results, rounds};

/// The pid namespace of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pids {
    /// The container's own.
    Own,
    /// That of the engine.
    Host,
}

/// A container engine with containers that run [`script`].
pub trait Engine {
    /// The name that `probe` gives the runtime of its containers.
    fn runtime(&self) -> &'static str;

    /// The namespace in which the engine runs.
    fn place(&self) -> &Place;

    /// Starts a container.
    ///
    /// # Errors
    ///
    /// If the engine fails; the error is its message.
    fn start(&self, name: &str) -> Result<(), String>;

    /// The pid of the first process of a container, as this process sees it.
    fn init(&self, name: &str) -> u32;

    /// The number of processes of a container.
    fn processes(&self) -> usize {
        PROCESSES
    }

    /// Kills a container with the command of the engine.
    fn kill(&self, name: &str);

    /// Removes a container with the command of the engine, without force.
    ///
    /// # Errors
    ///
    /// If the engine refuses; the error is its message.
    fn remove(&self, name: &str) -> Result<(), String>;

    /// Returns when the engine has noticed that the container has ended, by a command that a
    /// user of the engine would run.
    fn settle(&self, _name: &str) {}

    /// Removes what is left of a container. It may not exist.
    fn clean_up(&self, name: &str);

    /// The arguments of `probe` that name this container and no other one.
    fn target(&self, name: &str) -> Vec<String> {
        let name = format!("{}/{name}", self.runtime());
        vec!["--container".to_owned(), name]
    }

    /// Arguments of `probe` that name this container and the one of the same name in
    /// [`Engine::twin`] alike; `None` if one of them is meant.
    fn ambiguous(&self, name: &str) -> Option<Vec<String>> {
        Some(vec!["--container".to_owned(), name.to_owned()])
    }

    /// An engine, or another namespace or root of this one, in which the same name is another
    /// container.
    fn twin(&self) -> Box<dyn Engine> {
        let place = self.place().clone();
        Box::new(Oci::new("runc", Pids::Own, place).as_docker())
    }
}

/// Removes a container when it is dropped.
pub struct CleanUp<'a>(pub &'a dyn Engine, pub &'a str);

impl Drop for CleanUp<'_> {
    fn drop(&mut self) {
        self.0.clean_up(self.1);
    }
}

/// Runs a command that must succeed; returns its output.
pub fn succeed(command: &mut Command) -> String {
    attempt(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command; returns its output.
///
/// # Errors
///
/// If it fails; the error is its message.
pub fn attempt(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, stderr.trim()))
}
