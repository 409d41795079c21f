//! Which container a cgroup is, by its path and what the index holds: no look at
//! the disk.

use std::sync::Arc;

use super::{
    index::Index,
    layout::{self, Layout, delegated_to},
    record::Record,
};
use crate::{cgroup::path::ancestors, model::Runtime};

/// A container and where it was found.
#[derive(Clone, Debug)]
pub(super) struct Located<'a> {
    /// The container's own cgroup.
    pub(super) top: &'a str,
    pub(super) source: Source<'a>,
    /// Whether nothing that is still to be written can change the answer.
    pub(super) is_final: bool,
}

/// Who says so.
#[derive(Clone, Debug)]
pub(super) enum Source<'a> {
    /// The path, and maybe the state of the runtime below.
    Named(Layout<'a>, Option<Arc<Record>>),
    /// State on disk alone.
    Recorded(Arc<Record>),
}

impl<'a> Located<'a> {
    pub(super) fn record(&self) -> Option<&Arc<Record>> {
        match &self.source {
            Source::Named(_, record) => record.as_ref(),
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

    /// A name and a claim, at or below the cgroup named. Mostly they mean one
    /// container: docker's, run by runc. Then the outer cgroup is its top, as
    /// crun records a sub-cgroup. Otherwise the inner one is right, and of two
    /// words for one cgroup the more certain one.
    fn joined(layout: Layout<'a>, claimed: &'a str, record: Arc<Record>) -> Self {
        let is_one = record.container.id == layout.id;
        let is_inner = claimed.len() > layout.top.len();
        if !is_one && (is_inner || !layout.is_certain) {
            return Self::new(claimed, Source::Recorded(record));
        }
        Self::new(layout.top, Source::Named(layout, is_one.then_some(record)))
    }
}

/// Finds the container of a cgroup.
pub(super) fn locate<'a>(index: &Index, path: &'a str) -> Option<Located<'a>> {
    let layout = layout::identify(path);
    let least = layout.as_ref().map_or(0, |it| it.top.len());
    let claim = ancestors(path)
        .take_while(|it| it.len() >= least)
        .find_map(|it| Some((it, Arc::clone(index.by_cgroup(it)?))));
    match (layout, claim) {
        (Some(layout), Some((top, record))) => Some(Located::joined(layout, top, record)),
        (Some(layout), None) => unclaimed(index, layout),
        (None, Some((top, record))) => Some(Located::new(top, Source::Recorded(record))),
        (None, None) => machine(index, path).or_else(|| awaited(index, path)),
    }
}

fn unclaimed<'a>(index: &Index, layout: Layout<'a>) -> Option<Located<'a>> {
    let mut record = None;
    if layout.runtime == Runtime::Nspawn {
        let unit = last(layout.top.strip_suffix("/payload").unwrap_or(layout.top));
        if index.is_virtual_machine(unit) {
            return None;
        }
        record = index.by_unit(unit).cloned();
    }
    Some(Located::new(layout.top, Source::Named(layout, record)))
}

/// A machine with a unit of any name.
fn machine<'a>(index: &Index, path: &'a str) -> Option<Located<'a>> {
    if delegated_to(path).is_some() {
        return None;
    }
    ancestors(path).find_map(|unit| {
        let record = index.by_unit(last(unit))?;
        let top = match path[unit.len()..].split('/').nth(1) {
            Some("supervisor") => return None,
            Some("payload") => &path[..unit.len() + "/payload".len()],
            _ => unit,
        };
        Some(Located::new(top, Source::Recorded(Arc::clone(record))))
    })
}

/// A cgroup named like a state directory of runc that has no state in it yet:
/// the container is being set up, or was too short-lived.
fn awaited<'a>(index: &Index, path: &'a str) -> Option<Located<'a>> {
    if delegated_to(path).is_some() {
        return None;
    }
    ancestors(path).find_map(|top| {
        let record = index.awaited(last(top))?;
        Some(Located {
            is_final: false,
            ..Located::new(top, Source::Recorded(Arc::clone(record)))
        })
    })
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
