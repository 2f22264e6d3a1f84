//! `[preprocessing]` as written.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{SeqAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::Word;
use crate::config::experiment::{ChannelOrder, Mean, Preset};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreprocessingTable {
    pub preset: Option<Word<Preset>>,
    pub mean: Option<WordOrList>,
    pub deviation: Option<Vec<f64>>,
    pub scale: Option<f64>,
    pub channel_order: Option<Word<ChannelOrder>>,
    pub size: Option<usize>,
}

/// `"train"`, or a list of numbers.
#[derive(Debug)]
pub struct WordOrList(pub Mean);

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum MeanWord {
    Train,
    Own,
    None,
}

impl<'de> Deserialize<'de> for WordOrList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Mean;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a word in quotes or a list of numbers")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Mean, E> {
                Ok(match MeanWord::deserialize(StrDeserializer::new(word))? {
                    MeanWord::Train => Mean::Train,
                    MeanWord::Own => Mean::Own,
                    MeanWord::None => Mean::None,
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Mean, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Mean::Given)
            }
        }
        deserializer.deserialize_any(Either).map(WordOrList)
    }
}
