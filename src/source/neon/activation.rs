//! graft's activations as neon's transforms.

use crate::model::spec::Operation;

/// Class in `neon.transforms.activation`, and its argument where that is not the default.
pub(super) type Transform = (&'static str, Option<(&'static str, f64)>);

/// `None` for what is no activation.
pub(super) fn transform(operation: Operation) -> Option<Transform> {
    Some(match operation {
        Operation::Relu => ("Rectlin", None),
        Operation::LeakyRelu { slope } => ("Rectlin", Some(("slope", slope))),
        Operation::Elu { alpha: 1.0 } => ("Explin", None),
        Operation::Elu { alpha } => ("Explin", Some(("alpha", alpha))),
        Operation::Tanh => ("Tanh", None),
        Operation::Sigmoid => ("Logistic", None),
        Operation::Softmax => ("Softmax", None),
        _ => return None,
    })
}
