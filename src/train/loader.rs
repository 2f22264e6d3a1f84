//! Batches of samples on their way into the trained layers: as pixels, which have to pass the frozen
//! prefix, or as what the prefix gives for them, where that is kept.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::Split;
use super::features::Features;
use crate::data::batches::{self, Batches};
use crate::error::{Error, Result};
use crate::numbers::Numbers;

/// Batches of a file of features that wait ready while the training loop works on another.
const AHEAD: usize = 2;

/// Some samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Which samples of the file these are.
    pub samples: Vec<usize>,
    /// The class of each.
    pub labels: Vec<u32>,
    pub entering: Entering,
}

/// What is known of the samples, one after another in C order.
#[derive(Debug, Clone, PartialEq)]
pub enum Entering {
    Pixels(Numbers),
    Features(Numbers),
}

impl Batch {
    /// Of samples whose pixels have been read, with labels out of all `labels` of the file.
    fn of_pixels(batch: batches::Batch, labels: &[u32]) -> Self {
        Self {
            labels: labels_of(&batch.samples, labels),
            samples: batch.samples,
            entering: Entering::Pixels(batch.pixels),
        }
    }
}

/// Batches, one after another; the first are read before they are asked for.
pub type Loading = Box<dyn Iterator<Item = Result<Batch>> + Send>;

/// Goes through the samples of `split` in this order, `size` at a time.
///
/// # Errors
/// As [`Batches::new`].
pub fn batches(split: &Split, order: Vec<usize>, size: usize) -> Result<Loading> {
    match &split.features {
        None => {
            let (data, transform) = (split.data.clone(), split.transform.clone());
            let batches = Batches::new(data, order, size, transform)?;
            let labels = split.labels.clone();
            let labelled = move |batch| Batch::of_pixels(batch, &labels);
            Ok(Box::new(batches.map(move |batch| batch.map(&labelled))))
        }
        Some(features) => {
            let labels = &split.labels;
            let chunks = order.chunks(size);
            let batch = |samples: &[usize]| (samples.to_vec(), labels_of(samples, labels));
            let parts: Vec<_> = chunks.map(batch).collect();
            match features.are_in_memory() {
                true => {
                    let features = features.clone();
                    Ok(Box::new(
                        parts.into_iter().map(move |part| kept(&features, part)),
                    ))
                }
                false => Ok(Box::new(Ahead::new(features.clone(), parts)?)),
            }
        }
    }
}

/// Samples and their labels.
type Part = (Vec<usize>, Vec<u32>);

/// Reads features from a file, ahead of the training loop, on a thread of its own.
struct Ahead {
    ready: Option<Receiver<Result<Batch>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Ahead {
    fn new(features: Arc<Features>, parts: Vec<Part>) -> Result<Self> {
        let (sender, ready) = sync_channel(AHEAD);
        let read = move || {
            for part in parts {
                let batch = kept(&features, part);
                let failed = batch.is_err();
                if sender.send(batch).is_err() || failed {
                    return;
                }
            }
        };
        let reader = thread::Builder::new().name("features".to_owned());
        Ok(Self {
            ready: Some(ready),
            reader: Some(reader.spawn(read)?),
        })
    }

    fn join(&mut self) -> Result<()> {
        // Without a receiver the thread's next send fails, and it returns.
        self.ready = None;
        match self.reader.take().map(thread::JoinHandle::join) {
            Some(Err(_)) => Err(Error::new("the thread that reads features panicked")),
            _ => Ok(()),
        }
    }
}

impl Iterator for Ahead {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.ready.as_ref()?.recv() {
            Ok(batch) => Some(batch),
            Err(_) => self.join().err().map(Err),
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // A panic of the thread has been handed out as an error, or nobody waits for it any more.
        let _ = self.join();
    }
}

fn kept(features: &Features, (samples, labels): Part) -> Result<Batch> {
    Ok(Batch {
        entering: Entering::Features(features.read(&samples)?),
        samples,
        labels,
    })
}

fn labels_of(samples: &[usize], labels: &[u32]) -> Vec<u32> {
    samples.iter().map(|&sample| labels[sample]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Cache, Making};
    use crate::numbers::Dtype;
    use crate::train::features::{Form, Rows};

    /// Sixteen rows of one value, in a file, of which the one at `damaged` is changed.
    fn features(directory: &std::path::Path, damaged: Option<usize>) -> Arc<Features> {
        let form = Form {
            shape: vec![1],
            dtype: Dtype::F32,
            kept_in: Dtype::F32,
        };
        let making = Cache::new(directory, 1 << 20).make(&[0; 32], 16, 4, &|| false);
        let Ok(Making::Begun(mut filling)) = making else {
            panic!("it is to be filled");
        };
        let values = Numbers::new(Dtype::F32, (0..16).map(f64::from));
        filling.push(&form.bytes(values)).unwrap();
        let entry = filling.finish().unwrap();
        if let Some(row) = damaged {
            let path = std::fs::read_dir(directory)
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .path();
            let mut bytes = std::fs::read(&path).unwrap();
            let end = bytes.len();
            bytes[end - 8 * (16 - row)] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }
        Arc::new(Features::new(form, Rows::File(entry)))
    }

    fn parts() -> Vec<Part> {
        (0..8)
            .map(|part| (vec![15 - part, part], vec![0, part as u32]))
            .collect()
    }

    #[test]
    fn a_file_is_read_ahead_in_the_order_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let ahead = Ahead::new(features(directory.path(), None), parts()).unwrap();
        for ((samples, labels), batch) in parts().into_iter().zip(ahead) {
            let values = samples.iter().map(|&sample| sample as f64);
            let entering = Entering::Features(Numbers::new(Dtype::F32, values));
            let expected = Batch {
                samples,
                labels,
                entering,
            };
            assert_eq!(batch.unwrap(), expected);
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_ends_the_batches_with_its_error() {
        let directory = tempfile::tempdir().unwrap();
        let ahead = Ahead::new(features(directory.path(), Some(3)), parts()).unwrap();
        let batches: Vec<_> = ahead.collect();
        assert_eq!(batches.len(), 4, "three, and the error");
        let error = batches[3].as_ref().unwrap_err().to_string();
        assert!(error.contains("row 3 has changed"), "{error}");
    }
}
