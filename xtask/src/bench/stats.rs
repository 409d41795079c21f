//! Medians and percentiles, with the intervals in which chance can move them.

use fastrand::Rng;
use serde::Serialize;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 10_000;

/// A statistic of a sample with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// The statistic of the sample itself.
    pub(crate) value: f64,
    /// 2.5th percentile of the resamples.
    pub(crate) low: f64,
    /// 97.5th percentile of the resamples.
    pub(crate) high: f64,
}

impl Estimate {
    /// A quantity that is counted, not sampled.
    pub(crate) const fn exact(value: f64) -> Self {
        Self {
            value,
            low: value,
            high: value,
        }
    }

    pub(crate) fn median(sample: &[f64]) -> Self {
        Self::percentile(sample, 50)
    }

    /// Bootstrap by percentiles: the statistic of many samples that are drawn from the
    /// sample with replacement. Every run draws the same, so the interval depends on the
    /// measurements alone.
    pub(crate) fn percentile(sample: &[f64], percent: usize) -> Self {
        let mut random = Rng::with_seed(1);
        let mut resample = || {
            let draw = |_| sample[random.usize(..sample.len())];
            let mut drawn: Vec<f64> = sample.iter().map(draw).collect();
            percentile(&mut drawn, percent * 10)
        };
        let mut resampled: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
        Self {
            value: percentile(&mut sample.to_vec(), percent * 10),
            low: percentile(&mut resampled, 25),
            high: percentile(&mut resampled, 975),
        }
    }
}

/// Interpolates between the two nearest ranks; NaN without values.
pub(crate) fn percentile(values: &mut [f64], per_mille: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else {
        return f64::NAN;
    };
    let scaled = last * per_mille;
    let (rank, rest) = (scaled / 1000, scaled % 1000);
    let above = values[(rank + 1).min(last)];
    values[rank] + (above - values[rank]) * to_f64(rest) / 1000.0
}

/// Counts in a benchmark stay far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(crate) fn to_f64(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

pub(crate) fn mib(bytes: impl TryInto<u64>) -> f64 {
    to_f64(bytes) / f64::from(1 << 20)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_the_nearest_ranks() {
        let mut values = [40.0, 10.0, 30.0, 20.0];
        assert_eq!(percentile(&mut values, 0), 10.0);
        assert_eq!(percentile(&mut values, 500), 25.0);
        assert_eq!(percentile(&mut values, 1000), 40.0);
        assert!(percentile(&mut [], 500).is_nan());
    }

    #[test]
    fn one_outlier_moves_neither_the_median_nor_its_interval() {
        let mut sample = vec![1.0; 20];
        sample.push(1000.0);
        assert_eq!(Estimate::median(&sample), Estimate::exact(1.0));
    }

    #[test]
    fn the_interval_contains_the_median_and_shrinks_with_the_sample() {
        let ramp = |count: usize| (0..count).map(|at| to_f64(at) / to_f64(count)).collect();
        let median = |ramp: Vec<f64>| Estimate::median(&ramp);
        let [few, many] = [10, 200].map(ramp).map(median);
        assert!(few.low <= few.value && few.value <= few.high);
        assert!(many.high - many.low < (few.high - few.low) / 3.0);
        assert!(many.high > many.low);
    }
}
