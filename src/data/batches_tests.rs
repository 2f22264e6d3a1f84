use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::data::hdf5::Rows;
use crate::data::transform::Steps;
use crate::data::writer::DatasetWriter;

/// Of the samples of [`dataset`].
fn plain() -> Transform {
    Transform::new(Steps::none([1, 1, 2], Dtype::F32)).unwrap()
}

/// `samples` samples of shape (1, 1, 2); sample n holds [n, 100 + n] and has label n modulo 3.
fn dataset(directory: &Path, samples: usize) -> Arc<Dataset> {
    let path = directory.join("data.h5");
    let classes = ["a", "b", "c"].map(str::to_owned);
    let mut writer =
        DatasetWriter::create(&path, [1, 1, 2], &classes, Rows::Known(samples)).unwrap();
    for sample in 0..samples {
        writer
            .push(&[sample as u8, 100 + sample as u8], sample as u32 % 3)
            .unwrap();
    }
    let mean = writer.channel_mean();
    writer.finish(&mean).unwrap();
    Arc::new(Dataset::open(&path).unwrap())
}

#[test]
fn every_sample_comes_once_in_the_given_order() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = dataset(directory.path(), 7);
    let order = vec![6, 0, 3, 1, 5, 2, 4];
    let batches = Batches::new(dataset, order.clone(), 3, plain()).unwrap();
    let batches: Vec<Batch> = batches.map(Result::unwrap).collect();
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.samples.len()).collect();
    assert_eq!(sizes, [3, 3, 1]);
    let samples: Vec<usize> = batches
        .iter()
        .flat_map(|batch| batch.samples.clone())
        .collect();
    assert_eq!(samples, order);
    for batch in batches {
        for (place, &sample) in batch.samples.iter().enumerate() {
            let pixels = &batch.pixels.to_f64()[2 * place..][..2];
            assert_eq!(pixels, [sample as f64, 100.0 + sample as f64]);
            assert_eq!(batch.labels[place], sample as u32 % 3);
        }
    }
}

#[test]
fn values_are_centred_then_scaled() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = dataset(directory.path(), 2);
    let steps = Steps {
        mean: vec![1.0, 50.0],
        scale: 0.5,
        ..Steps::none([1, 1, 2], Dtype::F32)
    };
    let transform = Transform::new(steps).unwrap();
    let batch = Batches::new(dataset, vec![0, 1], 2, transform)
        .unwrap()
        .next()
        .unwrap();
    assert_eq!(
        batch.unwrap().pixels,
        Numbers::from(vec![-0.5, 25.0, 0.0, 25.5])
    );
}

#[test]
fn samples_are_resized_by_the_thread_that_reads_them_to_the_same_values_in_any_batch() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = dataset(directory.path(), 5);
    let steps = Steps {
        size: Some(3),
        ..Steps::none([1, 1, 2], Dtype::F64)
    };
    let transform = Transform::new(steps).unwrap();
    let values = |batch_size| -> Vec<f64> {
        let order = (0..5).collect();
        let batches = Batches::new(dataset.clone(), order, batch_size, transform.clone());
        let batches = batches.unwrap().map(Result::unwrap);
        batches.flat_map(|batch| batch.pixels.to_f64()).collect()
    };
    assert_eq!(values(5).len(), 5 * 3 * 3);
    assert_eq!(values(5), values(1));
    assert_eq!(values(5), values(2));
}

#[test]
fn an_error_reaches_the_consumer_and_ends_the_iteration() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = dataset(directory.path(), 4);
    let mut batches = Batches::new(dataset, vec![0, 1, 99, 2], 2, plain()).unwrap();
    assert!(batches.next().unwrap().is_ok());
    let error = batches.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("has no sample 99"), "{error}");
    assert!(batches.next().is_none());
}

#[test]
fn dropping_the_iterator_ends_its_thread() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = dataset(directory.path(), 100);
    let order = (0..100).collect();
    let mut batches = Batches::new(Arc::clone(&dataset), order, 1, plain()).unwrap();
    batches.next().unwrap().unwrap();
    let (dropped, wait) = mpsc::channel();
    thread::spawn(move || {
        drop(batches);
        dropped.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(10))
        .expect("dropping should not wait for the reader");
    // Only the thread held another reference.
    assert_eq!(Arc::strong_count(&dataset), 1);
}

#[test]
fn an_empty_order_gives_no_batch() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = dataset(directory.path(), 1);
    assert!(
        Batches::new(dataset, Vec::new(), 4, plain())
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn what_cannot_work_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let dataset = dataset(directory.path(), 1);
    assert!(Batches::new(Arc::clone(&dataset), vec![0], 0, plain()).is_err());
    let transform = Transform::new(Steps::none([1, 2, 2], Dtype::F32)).unwrap();
    assert!(Batches::new(dataset, vec![0], 1, transform).is_err());
}
