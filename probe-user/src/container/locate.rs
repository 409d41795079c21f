//! Finds the container of a cgroup by its path and the index, without reading the disk.

use std::sync::Arc;

use super::{
    index::Index,
    layout::{self, Layout, delegated_to},
    record::Record,
};
use crate::{cgroup::path::ancestors, model::Runtime};

/// A container, its cgroup and the source that named it.
#[derive(Clone, Debug)]
pub(super) struct Located<'a> {
    /// The container's own cgroup.
    pub(super) top: &'a str,
    pub(super) source: Source<'a>,
    /// Whether no state that a runtime may still write can change the answer.
    pub(super) is_final: bool,
}

/// The source that named a container.
#[derive(Clone, Debug)]
pub(super) enum Source<'a> {
    /// The path, and the state of the OCI runtime if there is any.
    Path(Layout<'a>, Option<Arc<Record>>),
    /// State on disk alone.
    Recorded(Arc<Record>),
}

impl<'a> Located<'a> {
    pub(super) fn record(&self) -> Option<&Arc<Record>> {
        match &self.source {
            Source::Path(_, record) => record.as_ref(),
            Source::Recorded(record) => Some(record),
        }
    }

    const fn new(top: &'a str, source: Source<'a>) -> Self {
        Self {
            top,
            source,
            is_final: true,
        }
    }

    /// Joins a layout and a state that claims the layout's cgroup or a descendant. Mostly
    /// both name one container, such as docker's, which runc runs. Then the outer cgroup is
    /// its top, because crun records a sub-cgroup. Otherwise the inner container wins. For
    /// one cgroup root's state wins over the name: a user may give any cgroup a name that
    /// looks like that of another container, and the container must still be found in it.
    fn joined(layout: Layout<'a>, claimed: &'a str, record: Arc<Record>) -> Self {
        let is_one = record.container.id == layout.id;
        let is_inner = claimed.len() > layout.top.len();
        if !is_one && (is_inner || !layout.is_certain || record.owner == 0) {
            return Self::new(claimed, Source::Recorded(record));
        }
        Self::new(layout.top, Source::Path(layout, is_one.then_some(record)))
    }
}

/// Finds the container of a cgroup.
pub(super) fn locate<'a>(index: &Index, path: &'a str) -> Option<Located<'a>> {
    let layout = layout::identify(path);
    let least = layout.as_ref().map_or(0, |it| it.top.len());
    let claim = ancestors(path)
        .take_while(|it| it.len() >= least)
        .find_map(|it| Some((it, Arc::clone(index.by_cgroup.get(it)?))));
    match (layout, claim) {
        (Some(layout), Some((top, record))) => Some(Located::joined(layout, top, record)),
        (Some(layout), None) => unclaimed(index, layout),
        (None, Some((top, record))) => Some(Located::new(top, Source::Recorded(record))),
        (None, None) => machine(index, path).or_else(|| pending(index, path)),
    }
}

fn unclaimed<'a>(index: &Index, layout: Layout<'a>) -> Option<Located<'a>> {
    let mut record = None;
    if layout.runtime == Runtime::Nspawn {
        let unit = last(layout.top.strip_suffix("/payload").unwrap_or(layout.top));
        if index.virtual_machines.contains(unit) {
            return None;
        }
        record = index.by_unit.get(unit).cloned();
    }
    Some(Located::new(layout.top, Source::Path(layout, record)))
}

/// The machine of machined with a unit in the path.
fn machine<'a>(index: &Index, path: &'a str) -> Option<Located<'a>> {
    if delegated_to(path).is_some() {
        return None;
    }
    ancestors(path).find_map(|unit| {
        let record = index.by_unit.get(last(unit))?;
        let top = match path[unit.len()..].split('/').nth(1) {
            Some("supervisor") => return None,
            Some("payload") => &path[..unit.len() + "/payload".len()],
            _ => unit,
        };
        Some(Located::new(top, Source::Recorded(Arc::clone(record))))
    })
}

/// A container with the name of a state directory that has no state yet: the runtime is
/// setting it up, or it has ended before the state could be read.
fn pending<'a>(index: &Index, path: &'a str) -> Option<Located<'a>> {
    if delegated_to(path).is_some() {
        return None;
    }
    ancestors(path).find_map(|top| {
        let record = index.pending.get(last(top))?;
        Some(Located {
            is_final: false,
            ..Located::new(top, Source::Recorded(Arc::clone(record)))
        })
    })
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
