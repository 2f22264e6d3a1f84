//! Batches of samples, read and preprocessed ahead of the training loop by a thread of their own.
//!
//! It does not know what an epoch is: the order of the samples is given, and each iterator goes
//! through it once.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::dataset::{Dataset, Pixel};
use super::transform::Transform;
use crate::error::{Error, Result};
use crate::numbers::{Dtype, Numbers};

/// Batches that wait ready while the training loop works on another.
const AHEAD: usize = 2;

/// Some samples, ready for the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Which samples of the dataset these are.
    pub samples: Vec<usize>,
    /// Preprocessed values, (samples, channels, height, width) in row-major order.
    pub pixels: Numbers,
    /// The class of each sample.
    pub labels: Vec<u32>,
}

/// Iterator over batches. Dropping it ends its thread.
pub struct Batches {
    /// `None` once the last batch or an error has been handed out.
    ready: Option<Receiver<Result<Batch>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Batches {
    /// Goes through the samples in this order, `batch_size` at a time; the last batch may be
    /// smaller. A failure to read ends the iteration with that error.
    ///
    /// # Errors
    /// If the batch size is 0, the transform is for samples of another shape, or there can be no
    /// thread.
    pub fn new(
        dataset: Arc<Dataset>,
        order: Vec<usize>,
        batch_size: usize,
        transform: Transform,
    ) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::new("a batch of 0 samples").help("set `batch_size` to 1 or more"));
        }
        let (shape, wanted) = (dataset.shape(), transform.steps().from);
        if shape != wanted {
            let problem = format!("samples of {shape:?} where {wanted:?} are prepared");
            return Err(Error::new(problem).at(dataset.path().display()));
        }
        let (sender, ready) = sync_channel(AHEAD);
        let reader = thread::Builder::new()
            .name("batches".to_owned())
            .spawn(move || read_all(&dataset, &order, batch_size, &transform, &sender))?;
        Ok(Self {
            ready: Some(ready),
            reader: Some(reader),
        })
    }

    /// Waits for the thread to end.
    ///
    /// # Errors
    /// If it panicked.
    fn join(&mut self) -> Result<()> {
        // Without a receiver the thread's next send fails, and it returns.
        self.ready = None;
        match self.reader.take().map(thread::JoinHandle::join) {
            Some(Err(_)) => Err(Error::new("the thread that reads batches panicked")),
            _ => Ok(()),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.ready.as_ref()?.recv() {
            Ok(Ok(batch)) => Some(Ok(batch)),
            Ok(Err(error)) => {
                self.ready = None;
                Some(Err(error))
            }
            Err(_) => self.join().err().map(Err),
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // A panic of the thread has been handed out as an error, or nobody waits for it any more.
        let _ = self.join();
    }
}

fn read_all(
    dataset: &Dataset,
    order: &[usize],
    batch_size: usize,
    transform: &Transform,
    ready: &SyncSender<Result<Batch>>,
) {
    for samples in order.chunks(batch_size) {
        let batch = read_batch(dataset, samples, transform);
        let failed = batch.is_err();
        let unwanted = ready.send(batch).is_err();
        if failed || unwanted {
            return;
        }
    }
}

fn read_batch(dataset: &Dataset, samples: &[usize], transform: &Transform) -> Result<Batch> {
    let pixels = match transform.dtype() {
        Dtype::F64 => Numbers::F64(read_pixels(dataset, samples, transform)?),
        dtype => Numbers::F32(read_pixels(dataset, samples, transform)?).to(dtype),
    };
    let labels = dataset.labels();
    Ok(Batch {
        samples: samples.to_vec(),
        pixels,
        labels: samples.iter().map(|&sample| labels[sample]).collect(),
    })
}

fn read_pixels<T: Pixel>(
    dataset: &Dataset,
    samples: &[usize],
    transform: &Transform,
) -> Result<Vec<T>> {
    let mut pixels = Vec::new();
    dataset.read(samples, &mut pixels)?;
    transform.applied(pixels)
}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
