//! Floating-point numbers in JSON, which has no NaN and no infinity. A diverged run has: they are
//! written as strings. For serde's `with`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Real {
    Finite(f64),
    Other(String),
}

pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let real = if value.is_finite() {
        Real::Finite(*value)
    } else {
        Real::Other(value.to_string())
    };
    real.serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Real::deserialize(deserializer)? {
        Real::Finite(value) => Ok(value),
        Real::Other(text) => text.parse().map_err(de::Error::custom),
    }
}
