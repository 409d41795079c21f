//! Figures and distributions of the samples of a group.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    groups::{Against, Course, Group, Limit},
    runner::{Sample, Samples},
};
use crate::bench::{
    report::{Figure, RATIO},
    stats::{Estimate, percentile},
    wait::quantiles,
};

pub(super) fn of(group: &Group, samples: &Samples) -> Vec<Figure> {
    let limits = group.limits.iter();
    limits.map(|it| figure(group, *it, samples)).collect()
}

fn figure(group: &Group, limit: Limit, samples: &Samples) -> Figure {
    let Limit {
        subject, percent, ..
    } = limit;
    let name = |index: usize| group.entrants[index].contender.name;
    let paired = |index: usize, peer: Option<usize>| {
        let times = samples.iter().filter_map(|round| {
            let of = |index: usize| (limit.of)(&round[index]).map(ms);
            let time = of(index)?;
            match (peer.map(of), limit.against) {
                (None, _) => Some(time),
                (Some(peer), Against::Ratio(_)) => Some(time / peer?),
                (Some(peer), _) => Some(time - peer?),
            }
        });
        Estimate::percentile(&times.collect::<Vec<_>>(), percent)
    };
    let (peer, relation, unit) = match limit.against {
        Against::Nothing => (None, "", "ms"),
        Against::Difference(peer) => (Some(peer), " - ", "ms"),
        Against::Ratio(peer) => (Some(peer), " / ", RATIO),
    };
    let beside = peer.map_or("", name);
    let title = format!(
        "{}: {}{relation}{beside}, {}, p{percent}",
        group.name,
        name(subject),
        limit.what
    );
    let mut figure = Figure::new(title, unit, paired(subject, peer));
    if let Some(most) = limit.most {
        figure = figure.at_most(most);
    }
    if let Some(peer) = peer {
        let twins = group.entrants.iter().position(|it| it.twin == Some(peer));
        if let Some(twin) = twins {
            figure = figure.noise(paired(twin, Some(peer)));
        }
        let at = |index: usize| {
            let mut times = all(index, limit.of, samples);
            format!(
                "{} {:.2} ms",
                name(index),
                percentile(&mut times, percent * 10)
            )
        };
        figure = figure.note(format!("{}, {}", at(subject), at(peer)));
    } else if group.course == Course::Repopulated {
        let mut times = all(subject, |it| Some(it.populated), samples);
        let ms = percentile(&mut times, 500);
        figure = figure.note(format!(
            "the cgroup was populated {ms:.1} ms before the kill"
        ));
    }
    figure
}

/// The distributions of each command, for the file.
pub(super) fn cells(group: &Group, samples: &Samples) -> Vec<Value> {
    let cell = |index: usize| {
        let quantiles = |of| quantiles(all(index, of, samples));
        json!({
            "group": group.name,
            "command": group.entrants[index].contender.name,
            "armed_ms": quantiles(|it| it.armed),
            "verdict_ms": quantiles(|it| it.end.verdict),
            "return_ms": quantiles(|it| Some(it.end.returned)),
            "populated_before_ms": quantiles(|it| Some(it.populated)),
        })
    };
    (0..group.entrants.len()).map(cell).collect()
}

/// A time of an entrant in all rounds.
fn all(index: usize, of: fn(&Sample) -> Option<Duration>, samples: &Samples) -> Vec<f64> {
    samples
        .iter()
        .filter_map(|round| Some(ms(of(&round[index])?)))
        .collect()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{
        command::groups::Entrant,
        contender::{Contender, End, Sign},
    };

    fn sample(ms: u64) -> Sample {
        let returned = Duration::from_millis(ms);
        Sample {
            armed: None,
            end: End {
                verdict: None,
                returned,
            },
            populated: Duration::ZERO,
        }
    }

    #[test]
    fn a_command_is_compared_with_the_peer_of_its_own_round() {
        let contender = Contender::new("it", ["it"], Sign::Stdout);
        let entrant = |twin| Entrant {
            contender: contender.clone(),
            twin,
        };
        let limit = Limit {
            subject: 0,
            what: "return",
            of: |it| Some(it.end.returned),
            percent: 50,
            against: Against::Difference(1),
            most: Some(2.0),
        };
        let group = Group {
            name: "group",
            course: Course::Cold,
            processes: 1,
            entrants: vec![entrant(None), entrant(None), entrant(Some(1))],
            limits: vec![limit],
        };
        let round = |it: [u64; 3]| it.map(sample).to_vec();
        let rounds = vec![round([4, 2, 2]), round([104, 102, 103])];
        let figure = serde_json::to_value(&of(&group, &rounds)[0]).expect("a figure");
        assert_eq!(figure["value"], 2.0);
        assert_eq!(figure["verdict"], "met");
        assert_eq!(figure["noise"]["value"], 0.5);
        assert_eq!(figure["note"], "it 54.00 ms, it 52.00 ms");
    }
}
