//! One hash of all weights of a model, the same for the same values under the same names.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::network::NamedTensor;
use crate::files::hexadecimal;

/// The name of a tensor and the SHA-256 of its values.
pub type TensorDigest = (String, [u8; 32]);

/// The digest of each of `tensors`.
pub fn of_tensors(tensors: &[NamedTensor]) -> Vec<TensorDigest> {
    let of = |tensor: &NamedTensor| (tensor.name(), tensor.values.sha256());
    tensors.par_iter().map(of).collect()
}

/// The digest of a whole model, in hexadecimal: SHA-256 over name and digest of each tensor, by name.
pub fn of_model(mut tensors: Vec<TensorDigest>) -> String {
    tensors.sort_unstable();
    let mut hash = Sha256::new();
    for (name, digest) in &tensors {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(digest);
    }
    hexadecimal(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::{Dtype, Numbers};

    #[test]
    fn the_order_of_tensors_does_not_count_and_every_bit_does() {
        let digest = |name: &str, value: f64| {
            let values = Numbers::new(Dtype::F32, [value, 2.0]);
            (name.to_string(), values.sha256())
        };
        let both = of_model(vec![digest("a.weight", 1.0), digest("b.bias", 0.0)]);
        let turned = of_model(vec![digest("b.bias", 0.0), digest("a.weight", 1.0)]);
        assert_eq!(both, turned);
        let signed = of_model(vec![digest("a.weight", 1.0), digest("b.bias", -0.0)]);
        assert_ne!(both, signed);
    }
}
