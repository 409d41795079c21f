//! Where the daemon is what tells, and where it must not be in the way.

use anyhow::Result;

use super::super::{
    Extent,
    cell::{Cell, Contestant, Outcome},
    cells::{LIMIT_P50, LIMIT_P95},
    pen,
    programs::{Backend, Ears, Programs, Who},
    stage::{Kill, Question, Scene, Stage},
};
use crate::bench::{report::Figure, stats::Estimate};

const TOLD_P50_US: f64 = 400.0;
const TOLD_P95_US: f64 = 1000.0;

/// Beside a client without a daemon, all is well.
const NORMAL: &str = "normal";

pub(super) fn measure(
    extent: Extent,
    programs: &Programs,
    stage: &mut Stage,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(Vec<Figure>, Vec<Outcome>)> {
    let mut figures = Vec::new();
    let mut outcomes = Vec::new();
    for cell in cells().into_iter().filter(|cell| is_wanted(&cell.name)) {
        let is_v1 = cell.contestants.iter().any(|it| it.scene == Scene::V1);
        if is_v1 && pen::v1_root().is_none() {
            eprintln!("LEFT OUT: {}: no v1 hierarchy is mounted", cell.name);
            continue;
        }
        let outcome = cell.run(extent, programs, stage)?;
        if cell.name == NORMAL {
            figures.extend([LIMIT_P50, LIMIT_P95].map(|limit| outcome.figure(limit, 1)));
        } else {
            figures.extend(told(&outcome));
        }
        outcomes.push(outcome);
    }
    Ok((figures, outcomes))
}

fn cells() -> Vec<Cell> {
    let alone = |name: &str, ears, scene| cell(name, vec![client(ears, scene)]);
    vec![
        alone("deaf, at rest", Ears::Deaf, Scene::Rested),
        alone("deaf, frozen, killed, thawed", Ears::Deaf, Scene::Frozen),
        alone(
            "deaf, populated 3 ms before",
            Ears::Deaf,
            Scene::Repopulated,
        ),
        alone("frozen, killed, thawed", Ears::Own, Scene::Frozen),
        alone("populated 3 ms before", Ears::Own, Scene::Repopulated),
        alone("v1", Ears::Own, Scene::V1),
        cell(
            NORMAL,
            vec![
                client(Ears::Own, Scene::Rested),
                Contestant {
                    name: "without a daemon",
                    who: Who::Bell(Backend::Pidfd),
                    scene: Scene::Rested,
                },
            ],
        ),
    ]
}

/// Of one process, until its cgroup is empty.
fn cell(name: &str, contestants: Vec<Contestant>) -> Cell {
    Cell {
        name: name.to_owned(),
        processes: 1,
        is_busy: false,
        question: Question::Empty,
        contestants,
    }
}

const fn client(ears: Ears, scene: Scene) -> Contestant {
    Contestant {
        name: "client",
        who: Who::Client(ears),
        scene,
    }
}

/// Above the kernel's own moment.
fn told(outcome: &Outcome) -> [Figure; 2] {
    let sample = outcome.sample(0, Kill::told_us);
    let figure = |quantile, estimate, limit| {
        Figure::new(
            format!("{}: flip to verdict, {quantile}", outcome.name),
            "us",
            estimate,
        )
        .at_most(limit)
    };
    let whole = Estimate::median(&outcome.sample(0, Kill::verdict_us)).value;
    [
        figure("p50", Estimate::median(&sample), TOLD_P50_US)
            .note(format!("kill to verdict, p50 {whole:.1} us")),
        figure("p95", Estimate::p95(&sample), TOLD_P95_US),
    ]
}
