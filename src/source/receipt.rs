//! The receipt: what was imported into a target model, from where and how; and what was not, and why.
//!
//! Plain data. `import` makes it, the record keeps it as `receipt.json`, tables are drawn from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::experiment::Pixels;
use crate::model::spec::shape_text;
use crate::numbers::Dtype;

/// The record of one import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub source: SourceFile,
    /// What happens to the pixels that the imported layers get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Pixels>,
    pub totals: Totals,
    /// Every tensor of the target model, in its order.
    pub tensors: Vec<Entry>,
    /// Tensors of the source model that no layer of the target took.
    pub unused: Vec<Unused>,
}

/// The source model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    pub path: String,
    pub format: String,
    /// The published architecture that it is, if it was recognized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether a tool other than graft and neon wrote it.
    #[serde(default)]
    pub is_foreign: bool,
    /// Of the file, in hexadecimal; empty if the model is yet to be trained.
    pub sha256: String,
    /// What the names of its layers were read without, e.g. `module.`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// How much of the target model was imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub tensors: usize,
    pub of_tensors: usize,
    pub parameters: usize,
    pub of_parameters: usize,
    /// Multiplications with an addition that one sample takes in the layers whose weights were
    /// imported, of those in all layers. 0 in receipts of older versions.
    #[serde(default)]
    pub multiply_adds: u64,
    #[serde(default)]
    pub of_multiply_adds: u64,
}

impl Totals {
    /// Imported parameters as a share of all, 0 to 1.
    pub fn share_of_parameters(&self) -> f64 {
        share(self.parameters as u64, self.of_parameters as u64)
    }

    /// Multiply-adds in imported layers as a share of all, 0 to 1.
    pub fn share_of_multiply_adds(&self) -> f64 {
        share(self.multiply_adds, self.of_multiply_adds)
    }
}

/// `99.9 %`, and `100.0 %` only of all.
pub fn percents(share: f64) -> String {
    format!("{:.1} %", (share * 1000.0).floor() / 10.0)
}

fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}

/// One tensor of the target model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub layer: String,
    /// `weight`, `bias`, …
    pub role: String,
    pub shape: Vec<usize>,
    /// Number of values.
    pub parameters: usize,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of a tensor of the target model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Imported {
        from: Origin,
        /// What was done to the values, in words.
        transform: String,
        /// Of the imported values, little-endian, in the source's precision and the target's
        /// layout, in hexadecimal; absent in a plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
        /// The source's precision; absent in a plan, and in receipts of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dtype: Option<Dtype>,
    },
    NotImported {
        reason: String,
        /// The tensor that would have been taken by its name, had it fitted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rejected: Option<Origin>,
    },
}

/// A tensor of the source model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub layer: String,
    pub tensor: String,
    /// Its whole name in the file, where that is more than `<layer>.<tensor>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// As in the file.
    pub shape: Vec<usize>,
    /// Of its values as they are in the file, but little-endian and in C order, in hexadecimal;
    /// absent where they were not imported, and in a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A tensor of the source model that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unused {
    #[serde(flatten)]
    pub origin: Origin,
    pub reason: String,
}

impl Receipt {
    /// The same for a run that does this to its pixels.
    pub fn after(self, pixels: &Pixels) -> Self {
        Self {
            preprocessing: Some(pixels.clone()),
            ..self
        }
    }

    /// Whether all tensors of this target layer were imported. False for layers without tensors.
    pub fn is_imported(&self, layer: &str) -> bool {
        let mut tensors = self.of_layer(layer).peekable();
        tensors.peek().is_some() && tensors.all(Entry::is_imported)
    }

    /// The target layers all of whose tensors were imported, in order.
    pub fn imported_layers(&self) -> Vec<&str> {
        let mut layers = self.layers();
        layers.retain(|layer| self.is_imported(layer));
        layers
    }

    /// One line for people: how much was imported, and from where.
    pub fn summary(&self) -> String {
        let Totals {
            tensors,
            of_tensors,
            parameters,
            of_parameters,
            ..
        } = self.totals;
        let of_work = percents(self.totals.share_of_multiply_adds());
        let of_values = percents(self.totals.share_of_parameters());
        let SourceFile {
            path,
            format,
            origin,
            prefix,
            ..
        } = &self.source;
        let prefix = match prefix.as_str() {
            "" => String::new(),
            prefix => format!(", names read without `{prefix}`"),
        };
        let origin = match origin {
            Some(origin) => format!(", {origin}"),
            None => String::new(),
        };
        format!(
            "{tensors} of {of_tensors} tensors ({parameters} of {of_parameters} parameters, \
             {of_values}; {of_work} of the multiply-adds) imported from {path} ({format}{origin}{prefix})"
        )
    }

    /// What a person may not have meant: a layer of the same name that does not fit, a layer
    /// imported in part, weights without their bias.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for entry in &self.tensors {
            if let Outcome::NotImported {
                reason,
                rejected: Some(_),
            } = &entry.outcome
            {
                warnings.push(format!("{entry} was not imported: {reason}"));
            }
        }
        for layer in self.layers() {
            let imported = self.of_layer(layer).filter(|entry| entry.is_imported());
            let (imported, all) = (imported.count(), self.of_layer(layer).count());
            if 0 < imported && imported < all {
                warnings.push(format!(
                    "`{layer}` was imported in part, {imported} of {all} tensors, and counts as not imported"
                ));
            }
            let bias = format!("{layer}_bias");
            let has_bias = self.of_layer(&bias).next().is_some();
            if has_bias && self.is_imported(layer) && !self.is_imported(&bias) {
                warnings.push(format!("`{layer}` was imported without its bias, `{bias}`"));
            }
        }
        warnings
    }

    fn of_layer(&self, layer: &str) -> impl Iterator<Item = &Entry> {
        self.tensors
            .iter()
            .filter(move |entry| entry.layer == layer)
    }

    /// Target layers with tensors, in order.
    fn layers(&self) -> Vec<&str> {
        let mut layers: Vec<_> = self.tensors.iter().map(|e| e.layer.as_str()).collect();
        // A layer's tensors stand together.
        layers.dedup();
        layers
    }
}

impl Entry {
    /// Whether this tensor was imported.
    pub fn is_imported(&self) -> bool {
        matches!(self.outcome, Outcome::Imported { .. })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}.{}`", self.layer, self.role)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = shape_text(&self.shape);
        write!(
            f,
            "`{}` of the source's `{}`, {shape}",
            self.tensor, self.layer
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(layer: &str, role: &str, outcome: Outcome) -> Entry {
        Entry {
            layer: layer.into(),
            role: role.into(),
            shape: vec![4],
            parameters: 4,
            outcome,
        }
    }

    fn imported() -> Outcome {
        Outcome::Imported {
            from: Origin {
                layer: "a".into(),
                tensor: "W".into(),
                path: None,
                shape: vec![4, 1],
                sha256: None,
            },
            transform: "as is".into(),
            sha256: Some("00".into()),
            dtype: None,
        }
    }

    fn missing() -> Outcome {
        Outcome::NotImported {
            reason: "the source has no such layer".into(),
            rejected: None,
        }
    }

    fn receipt(tensors: Vec<Entry>) -> Receipt {
        Receipt {
            source: SourceFile {
                path: "m.p".into(),
                format: "neon pickle".into(),
                origin: None,
                is_foreign: false,
                sha256: "ff".into(),
                prefix: String::new(),
            },
            preprocessing: None,
            totals: Totals::default(),
            tensors,
            unused: vec![],
        }
    }

    #[test]
    fn a_layer_counts_as_imported_when_all_its_tensors_are() {
        let receipt = receipt(vec![
            entry("bn", "scale", imported()),
            entry("bn", "shift", missing()),
            entry("fc", "weight", imported()),
        ]);
        assert_eq!(receipt.imported_layers(), ["fc"]);
        assert!(!receipt.is_imported("bn") && !receipt.is_imported("relu"));
        let warnings = receipt.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("`bn` was imported in part, 1 of 2 tensors"));
    }

    #[test]
    fn weights_without_their_bias_are_worth_a_warning() {
        let receipt = receipt(vec![
            entry("conv", "weight", imported()),
            entry("conv_bias", "bias", missing()),
        ]);
        let warnings = receipt.warnings();
        assert_eq!(
            warnings,
            ["`conv` was imported without its bias, `conv_bias`"]
        );
    }

    #[test]
    fn a_receipt_survives_json() -> Result<(), serde_json::Error> {
        let rejected = Outcome::NotImported {
            reason: "another shape".into(),
            rejected: Some(Origin {
                layer: "fc".into(),
                tensor: "W".into(),
                path: None,
                shape: vec![3],
                sha256: None,
            }),
        };
        let mut before = receipt(vec![
            entry("fc", "weight", rejected),
            entry("fc_bias", "bias", imported()),
            entry("new", "weight", missing()),
        ]);
        before.unused.push(Unused {
            origin: Origin {
                layer: "fc8".into(),
                tensor: "W".into(),
                path: None,
                shape: vec![2, 2],
                sha256: None,
            },
            reason: "the target has no layer `fc8`".into(),
        });
        let json = serde_json::to_string_pretty(&before)?;
        assert!(json.contains(r#""outcome": "imported""#), "{json}");
        assert_eq!(serde_json::from_str::<Receipt>(&json)?, before);
        Ok(())
    }
}
