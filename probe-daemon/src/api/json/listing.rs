//! The lines of `probe ps`.

use std::io;

use serde::Serialize;

use super::{SCHEMA, age_ns};
use crate::api::{
    container::{Container, Process},
    json,
};

/// Writes the line of a container. `has_history` says whether `recent_exits` is known.
pub fn write_container(
    out: &mut Vec<u8>,
    container: &Container,
    has_history: bool,
    now_ns: u64,
) -> io::Result<()> {
    let line = ContainerLine {
        schema: SCHEMA,
        r#type: "container",
        runtime: &container.runtime,
        id: &container.id,
        name: container.name.as_deref(),
        pod_uid: container.pod_uid.as_deref(),
        pod: container.pod.as_deref(),
        location: container.location.as_deref(),
        cgroup: &container.cgroup,
        live: container.live,
        oldest_start_boottime_ns: container.oldest_start_boottime_ns,
        age_ns: age_ns(container.oldest_start_boottime_ns, now_ns),
        recent_exits: has_history.then_some(container.recent_exits),
    };
    json::write(out, &line)
}

/// Writes the line of a process with its depth in the tree.
pub fn write_process(
    out: &mut Vec<u8>,
    (depth, process): &(usize, Process),
    now_ns: u64,
) -> io::Result<()> {
    let line = ProcessLine {
        schema: SCHEMA,
        r#type: "process",
        depth: *depth,
        process,
        age_ns: age_ns(process.start_boottime_ns, now_ns),
    };
    json::write(out, &line)
}

#[derive(Serialize)]
struct ContainerLine<'a> {
    schema: u32,
    r#type: &'static str,
    runtime: &'a str,
    id: &'a str,
    name: Option<&'a str>,
    pod_uid: Option<&'a str>,
    pod: Option<&'a str>,
    location: Option<&'a str>,
    cgroup: &'a str,
    live: u64,
    oldest_start_boottime_ns: Option<u64>,
    age_ns: Option<u64>,
    recent_exits: Option<u64>,
}

#[derive(Serialize)]
struct ProcessLine<'a> {
    schema: u32,
    r#type: &'static str,
    depth: usize,
    #[serde(flatten)]
    process: &'a Process,
    age_ns: Option<u64>,
}
