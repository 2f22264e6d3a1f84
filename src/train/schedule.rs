//! The learning rate as a function of time. Pure: nothing is remembered between two calls, so that
//! a resumed training has the rates of one that was never interrupted. (neon's `StepSchedule`
//! remembers its last change, and starts over with the base rate.)

use std::f64::consts::PI;

use crate::config::experiment::{Changes, Course, Per, Schedule};

/// When an update takes place; all counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    pub epoch: usize,
    /// Updates of this epoch before it.
    pub step: usize,
    /// Updates of this epoch altogether; at least 1.
    pub steps: usize,
}

/// The learning rate at `time` where it is `base` without a schedule.
pub fn rate(schedule: &Schedule, base: f64, time: Time) -> f64 {
    let rate = match &schedule.course {
        Course::Constant => base,
        Course::Step(changes) => changed(changes, base, time.epoch),
        Course::Exponential { factor, per } => base * factor.powf(time.epochs(*per)),
        Course::InverseTime { decay, per } => base / (1.0 + decay * time.epochs(*per)),
        Course::Polynomial {
            power,
            end,
            total_epochs,
            per,
            integer_division,
        } => {
            let done = match integer_division {
                true => (time.epoch / (*total_epochs).max(1)) as f64,
                false => time.share(*per, *total_epochs),
            };
            base * between(*end, 1.0, (1.0 - done).powf(*power))
        }
        Course::Shift { every, bits } => {
            let shifts = *bits as f64 * (time.epoch / (*every).max(1)) as f64;
            base * 0.5f64.powf(shifts)
        }
        Course::Cosine {
            end,
            total_epochs,
            per,
        } => base * between(*end, 1.0, half_cosine(time.share(*per, *total_epochs))),
        Course::OneCycle {
            rise,
            start,
            end,
            total_epochs,
        } => {
            let done = time.share(Per::Step, *total_epochs);
            base * match done < *rise {
                true => between(1.0, *start, half_cosine(done / rise)),
                false => between(*end, 1.0, half_cosine((done - rise) / (1.0 - rise))),
            }
        }
    };
    rate * warmth(schedule.warm_up, time)
}

impl Time {
    /// Epochs gone by.
    fn epochs(self, per: Per) -> f64 {
        match per {
            Per::Epoch => self.epoch as f64,
            Per::Step => self.epoch as f64 + self.step as f64 / self.steps as f64,
        }
    }

    /// Share of `epochs` gone by, 1 at most.
    fn share(self, per: Per, epochs: usize) -> f64 {
        let done = match per {
            Per::Epoch => self.epoch as f64 / epochs as f64,
            Per::Step => {
                let done = self.epoch as f64 * self.steps as f64 + self.step as f64;
                done / (epochs as f64 * self.steps as f64)
            }
        };
        done.min(1.0)
    }
}

fn changed(changes: &Changes, base: f64, epoch: usize) -> f64 {
    let reached = |at: &[usize]| at.iter().filter(|start| **start <= epoch).count();
    let times = |factor: f64, count: usize| base * factor.powi(count as i32);
    match changes {
        Changes::Every { every, factor } => times(*factor, epoch / (*every).max(1)),
        Changes::At { at, factor } => times(*factor, reached(at)),
        Changes::Rates { at, rates } => {
            let last = reached(at).checked_sub(1);
            let rate = last.and_then(|last| rates.get(last));
            rate.copied().unwrap_or(base)
        }
    }
}

/// From `high` at share 1 to `low` at 0.
fn between(low: f64, high: f64, share: f64) -> f64 {
    low + (high - low) * share
}

/// 1 at 0, 0 at 1.
fn half_cosine(done: f64) -> f64 {
    0.5 * (1.0 + (PI * done).cos())
}

/// Linear from the first update, which is not wasted on a rate of 0, to 1 at the end of `warm_up`
/// epochs.
fn warmth(warm_up: f64, time: Time) -> f64 {
    let done = time.epoch as f64 + (time.step + 1) as f64 / time.steps as f64;
    match done < warm_up {
        true => done / warm_up,
        false => 1.0,
    }
}

#[cfg(test)]
mod tests;
