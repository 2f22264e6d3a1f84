//! The entries of `[[model.layers]]` as written.

use std::fmt;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{self, Deserializer, Visitor};

use super::{NameOrTable, Word};
use crate::config::experiment::{PaddingSize, PaddingWord, Shortcut};

/// One entry of `[[model.layers]]`; which keys it may have depends on its type.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LayerTable {
    pub name: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<Word<LayerType>>,
    pub from: Option<String>,
    pub with: Option<Vec<String>>,
    pub channels: Option<usize>,
    pub features: Option<usize>,
    pub kernel: Option<usize>,
    pub stride: Option<usize>,
    pub padding: Option<Pixels>,
    pub groups: Option<usize>,
    pub bias: Option<bool>,
    pub initializer: Option<NameOrTable>,
    pub rate: Option<f64>,
    pub epsilon: Option<f64>,
    pub momentum: Option<f64>,
    pub slope: Option<f64>,
    pub limit: Option<f64>,
    pub alpha: Option<f64>,
    pub squeeze: Option<usize>,
    pub expand: Option<usize>,
    pub expansion: Option<usize>,
    pub shortcut: Option<Word<Shortcut>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerType {
    Convolution,
    Bias,
    Relu,
    Elu,
    Tanh,
    Sigmoid,
    MaxPooling,
    AveragePooling,
    GlobalAveragePooling,
    Dropout,
    Linear,
    BatchNorm,
    Add,
    Concatenate,
    Subsample,
    Fire,
    BasicBlock,
    Bottleneck,
    DepthwiseSeparable,
    InvertedResidual,
    Softmax,
}

/// `padding = 1`, or `padding = "same"`.
#[derive(Debug, Clone, Copy)]
pub struct Pixels(pub PaddingSize);

impl<'de> Deserialize<'de> for Pixels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrSame;

        impl<'de> Visitor<'de> for NumberOrSame {
            type Value = PaddingSize;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number of pixels, or \"same\"")
            }

            fn visit_u64<E: de::Error>(self, pixels: u64) -> Result<PaddingSize, E> {
                let too_large = |_| E::invalid_value(de::Unexpected::Unsigned(pixels), &self);
                let pixels = usize::try_from(pixels).map_err(too_large);
                pixels.map(PaddingSize::Pixels)
            }

            fn visit_i64<E: de::Error>(self, pixels: i64) -> Result<PaddingSize, E> {
                let negative = |_| E::invalid_value(de::Unexpected::Signed(pixels), &self);
                let pixels = usize::try_from(pixels).map_err(negative);
                pixels.map(PaddingSize::Pixels)
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<PaddingSize, E> {
                match PaddingWord::deserialize(StrDeserializer::<E>::new(word)) {
                    Ok(word) => Ok(PaddingSize::Word(word)),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(NumberOrSame).map(Pixels)
    }
}
