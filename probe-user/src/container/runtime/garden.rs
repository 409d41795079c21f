//! Recognizes containers of Garden, the engine of Cloud Foundry.
//!
//! `garden/HANDLE`, or `garden/good/HANDLE` and `garden/bad/HANDLE` if Garden throttles the CPU
//! of containers that use more than their share. The cgroup of Garden's own service may stand
//! above.
//! <https://github.com/cloudfoundry/garden-runc-release/blob/develop/docs/opsguide.md>

use crate::{
    container::layout::{PathComponent, Recognized},
    model::Runtime,
};

pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let is_gardens = matches!(
        component.above,
        [.., "garden"] | [.., "garden", "good" | "bad"]
    );
    (is_gardens && is_handle(component.name))
        .then(|| Recognized::certain(Runtime::Garden, component.name))
}

/// Whether this can be a handle that Cloud Foundry chose: parts of one or two UUIDs.
fn is_handle(name: &str) -> bool {
    const SHORTEST: usize = 18;
    let is_allowed = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it) || it == b'-';
    name.len() >= SHORTEST && name.contains('-') && name.bytes().all(is_allowed)
}
