//! Statistics over runs: pure functions of numbers.
//!
//! [`significance`] has the tests of whether two experiments differ, [`distributions`] what they
//! are looked up in. Nothing here knows a record.

pub mod distributions;
pub mod significance;

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

    /// The interval that, in `confidence` (0 to 1) of such samples, holds the mean of all the
    /// values that there could be, by Student's t (1908); absent for a single value.
    pub fn interval(&self, confidence: f64) -> Option<[f64; 2]> {
        let degrees = self.n as f64 - 1.0;
        let error = self.deviation? / (self.n as f64).sqrt();
        let half = error * significance::quantile(confidence, degrees);
        Some([self.mean - half, self.mean + half])
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
    fn the_interval_of_a_mean_is_that_of_student() {
        // Sleep gained by the ten patients of Student (1908), under the second drug less the first.
        let gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let [low, high] = Summary::of(&gained).unwrap().interval(0.95).unwrap();
        assert!((low - 0.7001142).abs() < 1e-6, "{low}");
        assert!((high - 2.4598858).abs() < 1e-6, "{high}");
        assert_eq!(Summary::of(&[0.75]).unwrap().interval(0.95), None);
    }

    #[test]
    fn a_share_of_a_half_over_100_samples_is_uncertain_by_a_twentieth() {
        assert_eq!(standard_error_of_share(0.5, 100), 0.05);
    }
}
