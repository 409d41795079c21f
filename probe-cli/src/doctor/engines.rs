//! Finds the state of container engines, and tries whether it can be read.

use std::path::PathBuf;

use probe_daemon::api::json::EngineObject;
use probe_user::unstable::container::{EngineState, StateRoots};

/// The directories with state that exist. `runtime_dir` is `XDG_RUNTIME_DIR`.
pub(super) fn examine(runtime_dir: Option<PathBuf>) -> Vec<EngineObject> {
    let roots = StateRoots::system(runtime_dir, Vec::new());
    roots.engines().into_iter().map(object).collect()
}

fn object(state: EngineState) -> EngineObject {
    let (containers, error) = match state.containers {
        Ok(count) => (Some(count), None),
        Err(error) => (None, Some(error.to_string())),
    };
    EngineObject {
        engine: state.runtime.as_str(),
        location: state.location.display().to_string(),
        tells: state.tells,
        containers,
        error,
    }
}
