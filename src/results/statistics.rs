//! Statistics over runs: pure functions of numbers.

/// What the runs of one experiment say about one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub n: usize,
    pub mean: f64,
    /// Sample standard deviation, divisor n - 1; absent for a single value.
    pub deviation: Option<f64>,
    pub min: f64,
    pub max: f64,
}

impl Summary {
    /// `None` where there are no values. A NaN among the values makes the mean NaN.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2));
        let deviation = (n > 1).then(|| (squares.sum::<f64>() / (n - 1) as f64).sqrt());
        Some(Self {
            n,
            mean,
            deviation,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// Standard error of a share `share` measured on `samples` independent samples:
/// sqrt(p (1 - p) / n). What the choice of the test samples alone leaves uncertain.
pub fn standard_error_of_share(share: f64, samples: u64) -> f64 {
    (share * (1.0 - share) / samples as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_divides_by_one_less_than_the_count() {
        // Mean 5; squares 9+1+1+1+0+0+4+16 = 32; 32 / 7.
        let summary = Summary::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!(summary.mean, 5.0);
        assert_eq!(summary.deviation, Some((32.0_f64 / 7.0).sqrt()));
        assert_eq!((summary.n, summary.min, summary.max), (8, 2.0, 9.0));
    }

    #[test]
    fn one_value_has_no_deviation_and_none_has_no_summary() {
        assert_eq!(Summary::of(&[0.75]).unwrap().deviation, None);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn a_share_of_a_half_over_100_samples_is_uncertain_by_a_twentieth() {
        assert_eq!(standard_error_of_share(0.5, 100), 0.05);
    }
}
