//! The base learning rate as a function of time. Pure.

use crate::config::experiment::Schedule;

/// Factor on the base learning rate at `step` of `steps` in `epoch`; all counted from 0.
pub fn factor(
    schedule: Schedule,
    epoch: usize,
    step: usize,
    steps_per_epoch: usize,
    epochs: usize,
) -> f64 {
    match schedule {
        Schedule::Constant => 1.0,
        Schedule::Step { every, factor } => factor.powi((epoch / every.max(1)) as i32),
        Schedule::Cosine => {
            let done = (epoch * steps_per_epoch + step) as f64;
            let all = (epochs * steps_per_epoch) as f64;
            0.5 * (1.0 + (std::f64::consts::PI * done / all).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_schedule_multiplies_every_few_epochs() {
        let schedule = Schedule::Step {
            every: 2,
            factor: 0.1,
        };
        let factors: Vec<f64> = (0..5)
            .map(|epoch| factor(schedule, epoch, 0, 10, 5))
            .collect();
        let expected = [1.0, 1.0, 0.1, 0.1, 0.01];
        for (got, want) in factors.iter().zip(expected) {
            assert!((got - want).abs() < 1e-15, "{factors:?}");
        }
    }

    #[test]
    fn a_cosine_schedule_falls_from_one_to_nearly_zero() {
        assert_eq!(factor(Schedule::Cosine, 0, 0, 10, 4), 1.0);
        assert!((factor(Schedule::Cosine, 2, 0, 10, 4) - 0.5).abs() < 1e-12);
        assert!(factor(Schedule::Cosine, 3, 9, 10, 4) < 0.002);
    }
}
