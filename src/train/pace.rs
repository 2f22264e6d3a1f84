//! When a checkpoint is worth its time.
//!
//! It knows a clock and how long writing took, not what a checkpoint holds. Nothing that a run
//! leaves depends on it.

use std::time::{Duration, Instant};

/// Writing takes at most this part of the time in which a run trains: a twentieth.
const TRAINING_FOR_WRITING: u32 = 20;
/// A kill loses at most so much training, or what [`TRAINING_FOR_WRITING`] says where that is more.
const LONGEST: Duration = Duration::from_secs(300);
/// Bytes a second at which the first checkpoint is taken to be written.
const ASSUMED_SPEED: f64 = 0.5e9;

/// When the last checkpoint was written, and how long that took.
#[derive(Debug)]
pub struct Pace {
    since: Instant,
    writing: Duration,
}

impl Pace {
    /// From now on, with checkpoints of about so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self {
            since: Instant::now(),
            writing: Duration::from_secs_f64(bytes as f64 / ASSUMED_SPEED),
        }
    }

    /// Whether there was enough training since the last checkpoint to write one now.
    pub fn allows(&self) -> bool {
        self.since.elapsed() >= self.writing * TRAINING_FOR_WRITING
    }

    /// Whether one is due whatever the epoch.
    pub fn is_overdue(&self) -> bool {
        self.since.elapsed() >= LONGEST && self.allows()
    }

    /// Has `write` write one.
    pub fn written<T>(&mut self, write: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let written = write();
        self.writing = begun.elapsed();
        self.since = Instant::now();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_waits_for_twenty_times_as_much_training() {
        let mut pace = Pace::new(0);
        assert!(pace.allows() && !pace.is_overdue());
        pace.written(|| std::thread::sleep(Duration::from_millis(20)));
        assert!(!pace.allows(), "0.4 s of training are not over yet");
        assert!(!Pace::new(1 << 30).allows(), "a large first one waits");
    }
}
