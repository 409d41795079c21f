//! Medians and tails, and how far chance can move them.

use serde::Serialize;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 10_000;

/// A statistic of a sample with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Of the sample itself.
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

    /// The median of a sample.
    pub(crate) fn median(sample: &[f64]) -> Self {
        Self::percentile(sample, 50)
    }

    /// The tail of a sample.
    pub(crate) fn p95(sample: &[f64]) -> Self {
        Self::percentile(sample, 95)
    }

    /// Bootstrap by percentiles: the statistic of many samples drawn from the
    /// sample with replacement. The draws are the same in every run, so the
    /// interval depends on the measurements alone.
    fn percentile(sample: &[f64], percent: usize) -> Self {
        let mut random = SplitMix64(1);
        let mut resampled: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let mut drawn: Vec<f64> = sample
                    .iter()
                    .map(|_| sample[random.below(sample.len())])
                    .collect();
                percentile(&mut drawn, percent * 10)
            })
            .collect();
        Self {
            value: percentile(&mut sample.to_vec(), percent * 10),
            low: percentile(&mut resampled, 25),
            high: percentile(&mut resampled, 975),
        }
    }
}

/// Interpolated between the two nearest ranks; of nothing it is not a number.
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

/// Counts that are measured here stay far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(crate) const fn to_f64(count: usize) -> f64 {
    count as f64
}

/// <https://prng.di.unimi.it/splitmix64.c>: neither a bootstrap nor a random phase
/// needs a better one.
#[derive(Debug)]
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Biased by less than one part in 2^50 for samples as small as ours.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }
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
        let estimate = Estimate::median(&sample);
        assert_eq!(estimate, Estimate::exact(1.0));
    }

    #[test]
    fn the_interval_holds_the_median_and_shrinks_with_the_sample() {
        let ramp = |count: usize| (0..count).map(|at| to_f64(at) / to_f64(count)).collect();
        let few: Vec<f64> = ramp(10);
        let many: Vec<f64> = ramp(200);
        let (few, many) = (Estimate::median(&few), Estimate::median(&many));
        assert!(few.low <= few.value && few.value <= few.high);
        assert!(many.high - many.low < (few.high - few.low) / 3.0);
        assert!(many.high > many.low);
    }

    #[test]
    fn the_tail_is_not_the_middle() {
        let sample: Vec<f64> = (0..100).map(to_f64).collect();
        assert!(Estimate::p95(&sample).value > 90.0);
        assert!(Estimate::median(&sample).value < 60.0);
    }
}
