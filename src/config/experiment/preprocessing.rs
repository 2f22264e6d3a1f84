//! What happens to pixels before they meet the network: what an experiment says, the presets, and
//! what follows from both and from the source model.
//!
//! Pure. It knows no data file and no model file; how many channels there are shows later.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an experiment says about pixels. What it does not say follows from the source model, or is
/// as in neon: [`Preprocessing::settle`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Mean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// One a channel, or one for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_order: Option<ChannelOrder>,
    /// Side in pixels of the squares to which images are resized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
}

/// Whose preprocessing: a name for the keys beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The mean of the training data is subtracted: graft's default.
    #[default]
    Neon,
    /// BGR, less the mean of ImageNet: Caffe's models, and the VGG nets as first published.
    Caffe,
    /// Mean and deviation of ImageNet: torchvision's models.
    Torchvision,
    /// From -1 to 1: the MobileNets and Inceptions of TensorFlow and Keras.
    KerasTf,
    /// Pixels as they are.
    None,
}

/// Which mean is subtracted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mean {
    /// The training file's, from the training and the test images alike.
    Train,
    /// Each file's own, as neon does.
    Own,
    /// None.
    None,
    /// One value a channel, in the network's order of channels, or one for all.
    #[serde(untagged)]
    Given(Vec<f64>),
}

/// The order in which the network gets the channels; files hold red, green, blue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelOrder {
    #[default]
    Rgb,
    Bgr,
}

/// What happens to a sample with pixels of 0 to 255, in this order: it is resized, its channels are
/// put in order, and each value becomes `(value - mean) * scale / deviation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pixels {
    /// What the rest follows from, but for keys of the experiment's own.
    pub preset: Preset,
    /// Whether the source model chose the preset.
    pub automatic: bool,
    pub mean: Mean,
    pub scale: f64,
    /// One a channel, in the network's order, or one for all; empty: nothing is divided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviation: Vec<f64>,
    pub channel_order: ChannelOrder,
    /// Side in pixels; absent: images stay as large as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
}

impl Preprocessing {
    /// What happens to pixels, given what the source model was trained on (`None`: there is no
    /// source model, or its origin is not known): each key as said, the others as in the preset that
    /// was said, else as in `origin`, else as in [`Preset::Neon`]. Besides, a warning where what was
    /// said contradicts `origin`.
    pub fn settle(&self, origin: Option<&Pixels>) -> (Pixels, Option<String>) {
        let base = match (self.preset, origin) {
            (Some(preset), _) => preset.pixels(),
            (None, Some(origin)) => Pixels {
                automatic: true,
                ..origin.clone()
            },
            (None, None) => Preset::Neon.pixels(),
        };
        let pixels = Pixels {
            mean: self.mean.clone().unwrap_or(base.mean),
            scale: self.scale.unwrap_or(base.scale),
            deviation: self.deviation.clone().unwrap_or(base.deviation),
            channel_order: self.channel_order.unwrap_or(base.channel_order),
            size: self.size,
            ..base
        };
        let warning = origin.and_then(|origin| self.contradiction(&pixels, origin));
        (pixels, warning)
    }

    /// In what `pixels`, which follow from this, are not those of `origin`.
    fn contradiction(&self, pixels: &Pixels, origin: &Pixels) -> Option<String> {
        let differing = pixels.differing(origin);
        if differing.is_empty() {
            return None;
        }
        let part = |key: &Key| format!("{key} {}, not {}", pixels.text(*key), origin.text(*key));
        let parts: Vec<String> = differing.iter().map(part).collect();
        let mut causes: Vec<String> = differing
            .iter()
            .map(|key| match self.says(*key) {
                true => format!("{key}"),
                false => "preset".to_owned(),
            })
            .collect();
        causes.sort_unstable();
        causes.dedup();
        let ours = self.preset.map(|preset| format!(" (preset \"{preset}\")"));
        Some(format!(
            "[preprocessing]{} contradicts the source model (preset \"{}\"): {}; remove {} from it \
             to prepare images as for the source model",
            ours.unwrap_or_default(),
            origin.preset,
            parts.join("; "),
            causes.join(", ")
        ))
    }

    fn says(&self, key: Key) -> bool {
        match key {
            Key::Mean => self.mean.is_some(),
            Key::Scale => self.scale.is_some(),
            Key::Deviation => self.deviation.is_some(),
            Key::ChannelOrder => self.channel_order.is_some(),
        }
    }
}

/// A key beside a preset that says a part of it.
#[derive(Clone, Copy)]
enum Key {
    Mean,
    Scale,
    Deviation,
    ChannelOrder,
}

impl Preset {
    /// What the preset stands for, at any size.
    pub fn pixels(self) -> Pixels {
        let plain = Pixels {
            preset: self,
            automatic: false,
            mean: Mean::None,
            scale: 1.0,
            deviation: Vec::new(),
            channel_order: ChannelOrder::Rgb,
            size: None,
        };
        match self {
            Preset::Neon => Pixels {
                mean: Mean::Train,
                ..plain
            },
            Preset::Caffe => Pixels {
                mean: Mean::Given(vec![103.939, 116.779, 123.68]),
                channel_order: ChannelOrder::Bgr,
                ..plain
            },
            // 255 times [0.485, 0.456, 0.406] and [0.229, 0.224, 0.225].
            Preset::Torchvision => Pixels {
                mean: Mean::Given(vec![123.675, 116.28, 103.53]),
                deviation: vec![58.395, 57.12, 57.375],
                ..plain
            },
            // value / 127.5 - 1, with one rounding instead of two.
            Preset::KerasTf => Pixels {
                mean: Mean::Given(vec![127.5]),
                deviation: vec![127.5],
                ..plain
            },
            Preset::None => plain,
        }
    }
}

impl Pixels {
    /// Shape of what the network gets of samples of `shape`, both (channels, height, width).
    pub fn input(&self, shape: [usize; 3]) -> [usize; 3] {
        match self.size {
            Some(size) => [shape[0], size, size],
            None => shape,
        }
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let chosen = match self.automatic {
            true => ", chosen by the source model",
            false => "",
        };
        let mut steps = Vec::new();
        if let Some(size) = self.size {
            steps.push(format!("resized to {size}x{size}"));
        }
        if self.channel_order == ChannelOrder::Bgr {
            steps.push("BGR".to_owned());
        }
        match &self.mean {
            Mean::Train => steps.push("less the mean of the training data".to_owned()),
            Mean::Own => steps.push("less the mean of each file".to_owned()),
            Mean::None => {}
            Mean::Given(mean) => steps.push(format!("less {mean:?}")),
        }
        if self.scale != 1.0 {
            steps.push(format!("times {}", self.scale));
        }
        if !self.deviation.is_empty() {
            steps.push(format!("divided by {:?}", self.deviation));
        }
        if steps.is_empty() {
            steps.push("as they are".to_owned());
        }
        format!(
            "pixels (preset \"{}\"{chosen}): {}",
            self.preset,
            steps.join(", ")
        )
    }

    /// The keys in which these do something else to a pixel than `other`.
    fn differing(&self, other: &Pixels) -> Vec<Key> {
        let factors = !close(&self.factors(), &other.factors());
        let all = [
            (Key::Mean, !self.mean.is_like(&other.mean)),
            (Key::Scale, factors && self.scale != other.scale),
            (Key::Deviation, factors && self.deviation != other.deviation),
            (Key::ChannelOrder, self.channel_order != other.channel_order),
        ];
        let differing = all.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(key, _)| key).collect()
    }

    /// The value of a key as in TOML.
    fn text(&self, key: Key) -> String {
        match key {
            Key::Mean => self.mean.to_string(),
            Key::Scale => self.scale.to_string(),
            Key::Deviation if self.deviation.is_empty() => "none".to_owned(),
            Key::Deviation => format!("{:?}", self.deviation),
            Key::ChannelOrder => self.channel_order.to_string(),
        }
    }

    /// What centred values are multiplied with, one a channel or one for all.
    fn factors(&self) -> Vec<f64> {
        match &self.deviation[..] {
            [] => vec![self.scale],
            deviation => deviation.iter().map(|by| self.scale / by).collect(),
        }
    }
}

impl Mean {
    /// Whether both come from the data, or both are the same numbers.
    fn is_like(&self, other: &Mean) -> bool {
        match (self, other) {
            (Mean::Given(ours), Mean::Given(theirs)) => close(ours, theirs),
            (Mean::Train | Mean::Own, Mean::Train | Mean::Own) => true,
            (ours, theirs) => ours == theirs,
        }
    }
}

/// Whether two lists are the same up to rounding; one number stands for as many as there are.
fn close(ours: &[f64], theirs: &[f64]) -> bool {
    let count = ours.len().max(theirs.len());
    let fits = |list: &[f64]| list.len() == count || list.len() == 1;
    let all = |list: &[f64]| list.iter().copied().cycle().take(count).collect::<Vec<_>>();
    let mut pairs = all(ours).into_iter().zip(all(theirs));
    let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
    fits(ours) && fits(theirs) && pairs.all(near)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Key::Mean => "mean",
            Key::Scale => "scale",
            Key::Deviation => "deviation",
            Key::ChannelOrder => "channel_order",
        })
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Preset::Neon => "neon",
            Preset::Caffe => "caffe",
            Preset::Torchvision => "torchvision",
            Preset::KerasTf => "keras-tf",
            Preset::None => "none",
        })
    }
}

/// As in TOML.
impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mean::Train => f.write_str("\"train\""),
            Mean::Own => f.write_str("\"own\""),
            Mean::None => f.write_str("\"none\""),
            Mean::Given(values) => write!(f, "{values:?}"),
        }
    }
}

/// As in TOML.
impl fmt::Display for ChannelOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChannelOrder::Rgb => "\"rgb\"",
            ChannelOrder::Bgr => "\"bgr\"",
        })
    }
}

#[cfg(test)]
mod tests;
