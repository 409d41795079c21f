//! What is compared, and how far from each other it may be.

use anyhow::Result;

use super::{
    Extent,
    cell::{Cell, Contestant, Limit, Outcome},
    programs::{Backend, Programs, Who},
    stage::{Kill, Question, Scene, Stage},
};
use crate::bench::{report::Figure, stats::Estimate};

pub(super) const LIMIT_P50: Limit = Limit {
    name: "kill to verdict, p50",
    of: Kill::verdict_us,
    per_mille: 500,
    ratio: Some(1.10),
};
pub(super) const LIMIT_P95: Limit = Limit {
    name: "kill to verdict, p95",
    of: Kill::verdict_us,
    per_mille: 950,
    ratio: Some(1.5),
};
const TOLD_P50: Limit = Limit {
    name: "flip to verdict, p50",
    of: Kill::told_us,
    per_mille: 500,
    ratio: Some(1.3),
};
const TOLD_P95: Limit = Limit {
    name: "flip to verdict, p95",
    of: Kill::told_us,
    per_mille: 950,
    ratio: Some(1.5),
};

const fn to(ratio: f64) -> Limit {
    Limit {
        ratio: Some(ratio),
        ..LIMIT_P50
    }
}

pub(super) fn measure(
    extent: Extent,
    programs: &Programs,
    stage: &mut Stage,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(Vec<Figure>, Vec<Outcome>)> {
    let all = rested().into_iter().chain(disturbed());
    run(
        all.filter(|(cell, _)| is_wanted(&cell.name)),
        extent,
        programs,
        stage,
    )
}

pub(super) fn run(
    cells: impl IntoIterator<Item = (Cell, Limits)>,
    extent: Extent,
    programs: &Programs,
    stage: &mut Stage,
) -> Result<(Vec<Figure>, Vec<Outcome>)> {
    let mut figures = Vec::new();
    let mut outcomes = Vec::new();
    for (cell, limits) in cells {
        let outcome = cell.run(extent, programs, stage)?;
        figures.extend(
            limits
                .iter()
                .map(|&(limit, peer)| outcome.figure(limit, peer)),
        );
        if cell.name == REMOVED {
            figures.push(never(&outcome));
        }
        outcomes.push(outcome);
    }
    Ok((figures, outcomes))
}

/// One and many processes, beside the same of another version.
pub(super) fn beside_before() -> Vec<(Cell, Limits)> {
    let limit = |limit| Limit {
        ratio: Some(1.0),
        ..limit
    };
    let cells = [1, 10, 100].map(|processes| {
        let before = Contestant {
            name: "before",
            who: Who::Before,
            scene: Scene::Rested,
        };
        let mut cell = cell(
            &format!("{processes} idle"),
            vec![probe(Scene::Rested), before],
        );
        cell.processes = processes;
        (cell, vec![(limit(LIMIT_P50), 1), (limit(LIMIT_P95), 1)])
    });
    cells.into()
}

/// With the peer's index.
pub(super) type Limits = Vec<(Limit, usize)>;

fn rested() -> Vec<(Cell, Limits)> {
    let limits = [LIMIT_P50, LIMIT_P95, TOLD_P50, TOLD_P95].map(|limit| (limit, 1));
    let mut cells = Vec::new();
    for is_busy in [false, true] {
        for processes in [1, 10, 100] {
            let load = if is_busy { "busy" } else { "idle" };
            let name = format!("{processes} {load}");
            let mut cell = cell(&name, vec![probe(Scene::Rested), poll(Scene::Rested)]);
            cell.processes = processes;
            cell.is_busy = is_busy;
            cells.push((cell, limits.to_vec()));
        }
    }
    cells
}

const REMOVED: &str = "removed meanwhile";

fn disturbed() -> Vec<(Cell, Limits)> {
    let pair = |scene| vec![probe(scene), poll(scene)];
    let mut reaped = cell(
        "reaped",
        vec![
            probe(Scene::Rested),
            alive("kill -0, 10 ms", 10),
            alive("kill -0, 100 ms", 100),
        ],
    );
    reaped.question = Question::Reaped;
    let removed = vec![
        probe(Scene::Removed),
        Contestant {
            name: "probe, undisturbed",
            ..probe(Scene::Rested)
        },
        Contestant {
            who: Who::PollBriefly,
            ..poll(Scene::Removed)
        },
    ];
    vec![
        (
            cell("frozen, killed, thawed", pair(Scene::Frozen)),
            vec![(to(0.066), 1)],
        ),
        (
            cell("populated 3 ms before", pair(Scene::Repopulated)),
            vec![(to(0.066), 1)],
        ),
        (cell(REMOVED, removed), vec![(LIMIT_P95, 1)]),
        (reaped, vec![(to(0.1), 1), (to(0.01), 2)]),
    ]
}

/// Of one process, on an idle machine, until it is empty.
fn cell(name: &str, contestants: Vec<Contestant>) -> Cell {
    Cell {
        name: name.to_owned(),
        processes: 1,
        is_busy: false,
        question: Question::Empty,
        contestants,
    }
}

const fn probe(scene: Scene) -> Contestant {
    Contestant {
        name: "probe",
        who: Who::Bell(Backend::Bpf),
        scene,
    }
}

const fn poll(scene: Scene) -> Contestant {
    Contestant {
        name: "bare poll",
        who: Who::Poll,
        scene,
    }
}

const fn alive(name: &'static str, period_ms: u32) -> Contestant {
    Contestant {
        name,
        who: Who::Alive(period_ms),
        scene: Scene::Rested,
    }
}

fn never(outcome: &Outcome) -> Figure {
    let (never, all) = outcome.never_told(2);
    let share = Estimate::exact(share(never, all));
    Figure::new(format!("{REMOVED}: bare poll is never told"), "%", share)
        .note(format!("{never} of {all} kills"))
}

fn share(part: usize, all: usize) -> f64 {
    100.0 * crate::bench::stats::to_f64(part) / crate::bench::stats::to_f64(all)
}
