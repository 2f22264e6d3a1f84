//! Which samples an epoch trains on, and in which order. Pure.

use crate::config::experiment::{Data, LastBatch};
use crate::random::Stream;

/// The samples of `epoch`, of a file of `samples`, in batches of `batch_size`, one after another.
/// It derives from its arguments alone, so that a resumed training goes on where it stopped.
///
/// With [`LastBatch::Wrap`] the last batch is filled from the start of the file, and the next epoch
/// begins behind those samples, as in neon's `HDF5Iterator`: 70 samples in batches of 16 give epochs
/// of 5, 4, 5, 4 … batches, which begin at samples 0, 10, 4, 14 …
pub fn samples(
    data: &Data,
    seed: u64,
    epoch: usize,
    samples: usize,
    batch_size: usize,
) -> Vec<usize> {
    match (data.last_batch, data.shuffle) {
        (LastBatch::Wrap, _) => {
            let (start, batches) = wrapped(epoch, samples, batch_size);
            let stream = (start..start + batches * batch_size).map(|place| place % samples);
            stream.collect()
        }
        (LastBatch::Smaller, true) => {
            Stream::new(seed, "order of samples", &[epoch as u64]).permutation(samples)
        }
        (LastBatch::Smaller, false) => (0..samples).collect(),
    }
}

/// Number of batches in `epoch`.
pub fn batches(data: &Data, epoch: usize, samples: usize, batch_size: usize) -> usize {
    match data.last_batch {
        LastBatch::Wrap => wrapped(epoch, samples, batch_size).1,
        LastBatch::Smaller => samples.div_ceil(batch_size),
    }
}

/// Where `epoch` begins, and how many batches it takes to reach the end of the file.
fn wrapped(epoch: usize, samples: usize, batch_size: usize) -> (usize, usize) {
    let batches = |start: usize| (samples - start).div_ceil(batch_size);
    let next = |start: usize| (start + batches(start) * batch_size) % samples;
    let start = (0..epoch).fold(0, |start, _| next(start));
    (start, batches(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::experiment::DataFiles;

    fn data(shuffle: bool, last_batch: LastBatch) -> Data {
        Data {
            root: ".".into(),
            files: DataFiles::Files {
                train: "train.h5".into(),
                test: "test.h5".into(),
            },
            shuffle,
            last_batch,
        }
    }

    #[test]
    fn wrapped_epochs_begin_where_those_of_neon_do() {
        let data = data(false, LastBatch::Wrap);
        let epochs = (0..4).map(|epoch| samples(&data, 1, epoch, 70, 16));
        let shape: Vec<_> = epochs.map(|order| (order.len() / 16, order[0])).collect();
        assert_eq!(shape, [(5, 0), (4, 10), (5, 4), (4, 14)]);
        assert_eq!(samples(&data, 1, 0, 70, 16)[69..72], [69, 0, 1]);
        assert_eq!(batches(&data, 2, 70, 16), 5);
    }

    #[test]
    fn a_file_that_batches_divide_is_gone_through_from_its_start() {
        let data = data(false, LastBatch::Wrap);
        let whole: Vec<usize> = (0..64).collect();
        assert_eq!(samples(&data, 1, 3, 64, 16), whole);
    }

    #[test]
    fn a_file_smaller_than_a_batch_is_repeated() {
        let data = data(false, LastBatch::Wrap);
        assert_eq!(samples(&data, 1, 0, 3, 8), [0, 1, 2, 0, 1, 2, 0, 1]);
        assert_eq!(samples(&data, 1, 1, 3, 8), [2, 0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn every_epoch_is_shuffled_in_its_own_way() {
        let data = data(true, LastBatch::Smaller);
        let (first, second) = (samples(&data, 1, 0, 50, 8), samples(&data, 1, 1, 50, 8));
        assert_ne!(first, second);
        let mut sorted = second.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..50));
        assert_eq!(batches(&data, 1, 50, 8), 7);
    }
}
