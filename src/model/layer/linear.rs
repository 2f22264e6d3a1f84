//! Linear layers, by graft's kernel where it is for the device and the precision, else by Burn.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};

use crate::kernels::extension;

/// Weight (outputs, inputs).
#[derive(Module, Debug)]
pub struct Linear {
    pub(super) weight: Param<Tensor<2>>,
}

impl Linear {
    /// (batch, inputs) to (batch, outputs), with the `bias` (outputs) and the ReLU behind it.
    pub fn forward(&self, x: Tensor<2>, bias: Option<Tensor<1>>, relu: bool) -> Tensor<2> {
        if extension::is_for(&x) {
            return extension::linear(x, self.weight.val(), bias, relu);
        }
        let mut y = x.matmul(self.weight.val().transpose());
        if let Some(bias) = bias {
            y = y + bias.unsqueeze();
        }
        match relu {
            true => activation::relu(y),
            false => y,
        }
    }
}
