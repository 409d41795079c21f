//! Recognizes tasks of Nomad.
//!
//! `nomad.slice/share.slice/ALLOCATION.TASK.scope` on v2 (`reserve.slice` if the task has CPUs of
//! its own; `nomad.slice` alone up to 1.6), `/nomad/ALLOCATION.TASK` on v1, with `share` or
//! `reserve` above the task in the hierarchy of `cpuset`.
//! <https://github.com/hashicorp/nomad/blob/075c42881e326004ffbb47e505ebf77c319e4f15/client/lib/cgroupslib/editor.go#L285-L296>

use crate::{
    container::layout::{PathComponent, Recognized, is_uuid},
    model::Runtime,
};

/// The id is `ALLOCATION.TASK`, so that a prefix of the allocation finds the task.
pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let is_below_nomad = component
        .above
        .iter()
        .any(|it| matches!(*it, "nomad" | "nomad.slice"));
    let id = component
        .name
        .strip_suffix(".scope")
        .unwrap_or(component.name);
    let (allocation, task) = id.split_once('.')?;
    (is_below_nomad && is_uuid(allocation) && !task.is_empty())
        .then(|| Recognized::certain(Runtime::Nomad, id))
}
