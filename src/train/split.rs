//! One data file as training sees it. It does not know which samples are trained on when.

use std::sync::Arc;

use super::features::Features;
use crate::data::dataset::Dataset;
use crate::data::transform::Transform;
use crate::random::Stream;

/// One data file as training sees it.
#[derive(Clone)]
pub struct Split {
    pub data: Arc<Dataset>,
    pub transform: Transform,
    /// The class of each sample: the file's, unless a control shuffles them.
    pub labels: Arc<[u32]>,
    /// What the frozen prefix gives for each sample, where it is kept.
    pub features: Option<Arc<Features>>,
}

impl Split {
    /// The file as it is, of which nothing is kept yet.
    pub fn new(data: Arc<Dataset>, transform: Transform) -> Self {
        Self {
            labels: data.labels().into(),
            data,
            transform,
            features: None,
        }
    }

    /// Deals the labels out anew, in an order that follows from `seed`: as many of each class as
    /// before.
    pub fn shuffle_labels(&mut self, seed: u64) {
        let order = Stream::new(seed, "shuffled labels", &[]).permutation(self.labels.len());
        self.labels = order.iter().map(|&sample| self.labels[sample]).collect();
    }
}
