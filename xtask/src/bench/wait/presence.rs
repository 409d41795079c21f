//! What our presence adds to the death itself: from the kill to the moment at
//! which the kernel calls the cgroup empty, in front of a wait and of nobody.

use std::time::Duration;

use anyhow::Result;

use super::{
    Extent,
    cell::{Contestant, quantile},
    programs::{Backend, Programs, Who},
    stage::{Kill, Question, Scene, Stage},
    talker::Talker,
};
use crate::bench::{
    report::{Figure, RATIO},
    rounds::{self, Sandwich},
};

const LIMIT: f64 = 1.10;
/// What loading leaves behind in the caches is no presence.
const SETTLED_AFTER: Duration = Duration::from_millis(500);

pub(super) fn measure(
    (count, kills): Extent,
    programs: &Programs,
    stage: &mut Stage,
) -> Result<Vec<Figure>> {
    let rounds = rounds::run("presence", count, |_| {
        let before = p50(kills, stage, None)?;
        let mut bell = programs.start(Who::Bell(Backend::Bpf))?;
        rounds::window(SETTLED_AFTER);
        let subject = p50(kills, stage, Some(&mut bell))?;
        drop(bell);
        rounds::window(SETTLED_AFTER);
        let after = p50(kills, stage, None)?;
        Ok(Sandwich {
            before,
            subject,
            after,
        })
    })?;
    let ratio = rounds::median(&rounds, |round| round.ratio(|&us| us));
    let bare = rounds::median(&rounds, |round| round.before).value;
    Ok(vec![
        Figure::new("kill to flip, in front of a wait", RATIO, ratio)
            .at_most(LIMIT)
            .noise(rounds::median(&rounds, |round| round.noise(|&us| us)))
            .note(format!("p50 {bare:.1} us in front of nobody")),
    ])
}

fn p50(kills: usize, stage: &mut Stage, mut bell: Option<&mut Talker>) -> Result<f64> {
    let contestant = Contestant {
        name: "probe",
        who: Who::Bell(Backend::Bpf),
        scene: Scene::Rested,
    };
    let mut found = Vec::with_capacity(kills);
    for _ in 0..kills {
        let watcher = bell
            .as_deref_mut()
            .map(|bell| contestant.watcher(bell, Question::Empty));
        found.push(stage.kill(Scene::Rested, 1, watcher)?);
    }
    Ok(quantile(&found, Kill::flip_us, 500))
}
