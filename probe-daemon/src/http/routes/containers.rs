//! `GET /v1/containers` and `/v1/containers/{id}`.

use std::{collections::HashMap, sync::Arc};

use axum::{Extension, Json, extract::State};
use probe_user::{
    model::{self, CgroupId, Comm},
    unstable::{
        clock::tick_of,
        proc::{directory::ProcessDirectory, stat::Stat},
    },
};

use crate::{
    access::{directory, peer::Peer, refusal::Refusal},
    api::{
        container::{Container, Containers, Process, State as ProcessState},
        problem::Problem,
    },
    http::{Daemon, body::PathSegment, resolve},
    state::{
        state::{self, Tables},
        table::Row,
    },
};

/// Containers with at least one live process
#[utoipa::path(
    get, path = "/v1/containers", tag = "containers",
    responses((status = 200, description = "the containers that the client may see", body = Containers))
)]
pub(super) async fn list(
    State(daemon): State<Arc<Daemon>>,
    Extension(peer): Extension<Peer>,
) -> Json<Containers> {
    let mut state = daemon.engine.now();
    let mut containers = collect(&mut state, peer, |_| true);
    for container in &mut containers {
        container.processes = None;
    }
    containers
        .sort_by(|a, b| (&a.id, &a.runtime, &a.location).cmp(&(&b.id, &b.runtime, &b.location)));
    Json(Containers { containers })
}

/// One container and its live processes
#[utoipa::path(
    get, path = "/v1/containers/{id}", tag = "containers",
    params(("id" = String, Path, description = "id, unique prefix of an id, or name; `pod:NAMESPACE/NAME` for all containers of a pod")),
    responses(
        (status = 200, description = "the container", body = Container),
        (status = 400, body = Problem, content_type = "application/problem+json",
         description = "the name is ambiguous or invalid"),
        (status = 404, body = Problem, content_type = "application/problem+json",
         description = "the container does not exist, or the client may not see it"),
    )
)]
pub(super) async fn one(
    State(daemon): State<Arc<Daemon>>,
    Extension(peer): Extension<Peer>,
    PathSegment(name): PathSegment,
) -> Result<Json<Container>, Refusal> {
    let mut all = {
        let mut state = daemon.engine.now();
        let (found, directories) = resolve::container(&mut state, peer, &name)?;
        let is_member =
            |it: &model::Container| found.members.iter().any(|member| member.is_same(it));
        let path = directories.first().map_or("", |it| &it.path);
        let mut all = Container::empty(&found.container, path);
        for member in collect(&mut state, peer, is_member) {
            add_member(&mut all, member);
        }
        all
    };
    // The lock of the engine is released before `/proc` is read.
    let processes = all.processes.get_or_insert_default();
    processes.iter_mut().for_each(refresh);
    Ok(Json(all))
}

/// Adds the processes of a container to its pod, or to the same container without them.
fn add_member(all: &mut Container, member: Container) {
    all.live += member.live;
    all.recent_exits += member.recent_exits;
    let starts = [
        all.oldest_start_boottime_ns,
        member.oldest_start_boottime_ns,
    ];
    all.oldest_start_boottime_ns = starts.into_iter().flatten().min();
    let processes = member.processes.unwrap_or_default();
    all.processes.get_or_insert_default().extend(processes);
}

/// Reads the values that no event reports: a process may change its name by `prctl`, and gets
/// another parent when its parent exits.
fn refresh(process: &mut Process) {
    let content = ProcessDirectory::open(process.pid).and_then(|it| it.content("stat"));
    let content = content.unwrap_or_default();
    let Some(stat) = Stat::parse(&content) else {
        return;
    };
    let start_ticks = process.start_boottime_ns.map(tick_of);
    // A later process may have the pid.
    if start_ticks.is_none_or(|it| it == stat.start_ticks) {
        process.comm = Comm::cut(stat.comm).to_str().into_owned();
        process.ppid = Some(stat.ppid);
        process.start_boottime_ns.get_or_insert(stat.start_ns());
    }
}

/// Containers by id. Several may have one id, of different runtimes or in different places.
type Collected = HashMap<String, Vec<(Arc<model::Container>, Container)>>;

/// The wanted containers with their live processes, as far as the peer may see them.
fn collect(
    state: &mut state::State,
    peer: Peer,
    is_wanted: impl Fn(&model::Container) -> bool,
) -> Vec<Container> {
    let mut owners: HashMap<CgroupId, Option<u32>> = HashMap::new();
    let mut found = Collected::new();
    let Tables {
        processes,
        tracker,
        lookup,
        owners: exit_owners,
        history,
        v1,
        ..
    } = &mut state.tables;
    for row in processes.iter() {
        let v1 = v1.and_then(|hierarchy| {
            let id = row.v1_cgroup_id()?;
            Some(CgroupId { hierarchy, id })
        });
        let cgroups = [row.cgroup(), v1].into_iter().flatten();
        let cgroups = cgroups.filter_map(|id| Some((id, tracker.path(id)?)));
        let cgroups: Vec<_> = cgroups.collect();
        let in_container = cgroups.iter().find_map(|(_, path)| {
            let container = lookup.resolver.container_of(path)?;
            Some((container, path))
        });
        let Some((container, path)) = in_container.filter(|(it, _)| is_wanted(it)) else {
            continue;
        };
        let mut owner = |(id, path): &(CgroupId, Arc<str>)| {
            let directory = || directory::at(&lookup.mounts, id.hierarchy, path);
            let owner = owners.entry(*id);
            *owner.or_insert_with(|| directory().and_then(|it| it.owner()))
        };
        let mut owners = cgroups.iter().map(&mut owner);
        if !owners.any(|owner| peer.sees_user(row.uid(), row.owners(), owner)) {
            continue;
        }
        add_process(entry(&mut found, &container, path), row, path);
    }
    let exits = history.iter().map(|past| past.exit);
    for exit in exits {
        if !peer.sees(&exit, exit_owners) {
            continue;
        }
        if let Some(container) = &exit.container
            && let Some(all) = found.get_mut(&container.id)
            && let Some((_, entry)) = all.iter_mut().find(|(it, _)| it.is_same(container))
        {
            entry.recent_exits += 1;
        }
    }
    let found = found.into_values().flatten();
    found.map(|(_, container)| container).collect()
}

/// The entry of a container, which is added if it is missing.
fn entry<'a>(
    found: &'a mut Collected,
    container: &Arc<model::Container>,
    path: &str,
) -> &'a mut Container {
    let all = found.entry(container.id.clone()).or_default();
    let known = all.iter().position(|(it, _)| it.is_same(container));
    let index = known.unwrap_or_else(|| {
        all.push((Arc::clone(container), Container::empty(container, path)));
        all.len() - 1
    });
    &mut all[index].1
}

fn add_process(entry: &mut Container, row: &Row, path: &Arc<str>) {
    entry.live += 1;
    if path.len() < entry.cgroup.len() {
        entry.cgroup = path.to_string();
    }
    let start = row.start_or_tick_ns();
    let oldest = &mut entry.oldest_start_boottime_ns;
    *oldest = match (*oldest, start) {
        (Some(old), Some(new)) => Some(old.min(new)),
        (old, new) => old.or(new),
    };
    entry.processes.get_or_insert_default().push(Process {
        pid: row.tgid(),
        ppid: row.ppid(),
        uid: row.uid(),
        comm: row.comm().to_str().into_owned(),
        start_boottime_ns: start,
        cgroup: Some(path.to_string()),
        state: ProcessState::Running,
    });
}
