//! The real neon 2.6 for tests: the network of its reference runs, and its figures, which are tensors
//! by name in safetensors files below `tests/data`.
//!
//! neon's activations are (features, batch); here they become graft's (batch, features).

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::{Dtype as FileDtype, SafeTensors};

use crate::config::experiment::{
    Architecture, BatchNorm, Body, Convention, DropoutScaling, InitialDraws, Initializer, Model,
    PoolingSize,
};
use crate::model::spec::NetworkSpec;
use crate::numbers::{Dtype, Numbers};

/// The tensors of one file.
pub struct Figures(HashMap<String, Matrix>);

/// Every tensor of neon's has two dimensions.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub values: Numbers,
}

impl Figures {
    /// Reads a file below `tests/data/neon`.
    pub fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/neon");
        let bytes = fs::read(path.join(name)).expect("the figures are there");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensors = file.tensors().into_iter().map(|(name, tensor)| {
            let dtype = match tensor.dtype() {
                FileDtype::F32 => Dtype::F32,
                FileDtype::F64 => Dtype::F64,
                other => panic!("{name} is {other:?}"),
            };
            let values = Numbers::from_le_bytes(dtype, tensor.data());
            let (rows, columns) = match *tensor.shape() {
                [count] => (count, 1),
                [rows, columns] => (rows, columns),
                ref shape => panic!("{name} is {shape:?}"),
            };
            let matrix = Matrix {
                rows,
                columns,
                values,
            };
            (name, matrix)
        });
        Self(tensors.collect())
    }

    pub fn get(&self, name: &str) -> &Matrix {
        let found = self.0.get(name);
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }
}

impl Matrix {
    /// The transposition, in C order: (features, batch) as (batch, features).
    pub fn transposed(&self) -> Numbers {
        let columns = 0..self.columns;
        let places = columns.flat_map(|c| (0..self.rows).map(move |r| r * self.columns + c));
        self.values.gather(places)
    }
}

/// The course's network, at the widths of the reference runs.
pub fn reference_network() -> NetworkSpec {
    let model = Model {
        body: Body::Architecture {
            architecture: Architecture::Vgg16,
            widths: vec![4, 8, 16, 16, 16],
            width: 1.0,
            head: vec![32, 32],
            head_names: vec!["fc6_new".into(), "fc7_new".into()],
            classifier: "cls_imdb_wiki_face".into(),
            dropout: 0.0,
        },
        convention: None,
        classes: None,
        initializer: Initializer::NeonXavier { local: true },
        linear_initializer: Initializer::NeonGlorotUniform,
        bias_initializer: Initializer::Constant { value: 0.0 },
        initial_draws: InitialDraws::Neon,
        initial_weights: None,
        pooling: Some(PoolingSize::Floor),
        dropout_scaling: DropoutScaling::Inference,
    };
    NetworkSpec::resolve(
        &model,
        [3, 32, 32],
        2,
        Convention::Torchvision,
        &BatchNorm::default(),
    )
    .expect("a network")
}

/// Largest difference of two lists, as a share of the largest of `theirs`.
pub fn deviation(ours: &[f64], theirs: &Numbers) -> f64 {
    let theirs = theirs.to_f64();
    assert_eq!(ours.len(), theirs.len(), "other numbers of values");
    let largest = theirs.iter().fold(0f64, |m, v| m.max(v.abs()));
    let differences = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
    // A difference that is no number must not vanish in a maximum.
    let difference = differences.fold(0f64, |m, d| if d <= m { m } else { d });
    difference / largest.max(f64::MIN_POSITIVE)
}
