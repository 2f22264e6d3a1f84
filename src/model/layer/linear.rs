//! Linear layers, by graft's kernel where it is for the device and the precision, else by Burn.

use burn::module::{Module, Param};
use burn::tensor::ops::PadMode;
use burn::tensor::{Tensor, activation};

use crate::kernels::extension;

/// Weight (outputs, inputs).
#[derive(Module, Debug)]
pub struct Linear {
    pub(super) weight: Param<Tensor<2>>,
    /// See [`Layer::compute_by_sample`](super::Layer::compute_by_sample).
    #[module(skip)]
    pub(super) by_sample: bool,
}

impl Linear {
    /// A layer that multiplies by `weight`.
    pub fn new(weight: Param<Tensor<2>>) -> Self {
        Self {
            weight,
            by_sample: false,
        }
    }

    /// (batch, inputs) to (batch, outputs), with the `bias` (outputs) and the ReLU behind it.
    pub fn forward(&self, x: Tensor<2>, bias: Option<Tensor<1>>, relu: bool) -> Tensor<2> {
        if extension::is_for(&x) {
            return extension::linear(x, self.weight.val(), bias, relu);
        }
        let weight = self.weight.val().transpose();
        let mut y = match self.by_sample {
            true => product_by_blocks(x, weight),
            false => x.matmul(weight),
        };
        if let Some(bias) = bias {
            y = y + bias.unsqueeze();
        }
        match relu {
            true => activation::relu(y),
            false => y,
        }
    }
}

/// Rows that [`product_by_blocks`] multiplies at a time.
const BLOCK: usize = 32;

/// (batch, inputs) x (inputs, outputs), so many rows at a time, the last ones filled up with zeros:
/// in which order a product sums follows from the sizes of its matrices, which are always the same
/// here.
fn product_by_blocks(rows: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    let [batch, _] = rows.dims();
    let missing = batch.next_multiple_of(BLOCK) - batch;
    let filled = match missing {
        0 => rows,
        _ => rows.pad([(0, missing), (0, 0)], PadMode::Constant(0.0)),
    };
    let blocks = filled.split(BLOCK, 0).into_iter();
    let products: Vec<_> = blocks.map(|block| block.matmul(weight.clone())).collect();
    Tensor::cat(products, 0).narrow(0, 0, batch)
}
