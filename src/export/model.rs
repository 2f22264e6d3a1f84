//! The model that is to be exported: found, read, and checked against its own description.
//!
//! It knows graft's own files alone, and none of the formats that they are exported to.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::config::experiment::ChannelOrder;
use crate::error::{At, Error, Result};
use crate::files::FileStamp;
use crate::model::spec::{LayerSpec, NetworkSpec, Role, shape_text};
use crate::numbers::Dtype;
use crate::results::find;
use crate::results::record::MODEL;
use crate::runner::model_file::Input;
use crate::source::convert::round;
use crate::source::document::{Described, Document, Tensor};
use crate::source::neon::Description;

/// A model file that is there, and as its record says.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    pub path: PathBuf,
    /// Checksum of the file, in hexadecimal.
    pub sha256: String,
    /// Names of the classes; empty where only a record would say them.
    pub classes: Vec<String>,
    /// Of the experiment, if it is a record's.
    experiment: Option<String>,
}

/// A model as graft left it, without what an optimizer remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub description: Description,
    pub pixels: Pixels,
    /// Names of the classes; empty: not known.
    pub classes: Vec<String>,
    /// What the file says besides, by key: of its pixels, as JSON.
    pub metadata: BTreeMap<String, String>,
    /// What cannot be exported, whatever the format, and why.
    pub left_out: Vec<String>,
    path: PathBuf,
    /// By name, `<layer>.<role>`.
    tensors: HashMap<String, Tensor>,
}

/// What happens to a sample before it meets the first layer, in this order: its channels are put in
/// order, each value becomes `(value - mean) * scale / deviation`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// (height, width) to which images of another size are resized before; the exported model gets
    /// them resized.
    pub resized: Option<[usize; 2]>,
    /// Whether the network gets the last channel first: of RGB, BGR.
    pub reversed: bool,
    /// One for all, a value a channel, or a value for each value of a sample; empty: nothing.
    pub mean: Vec<f64>,
    pub scale: f64,
    /// One for all, or a value a channel; empty: nothing.
    pub deviation: Vec<f64>,
}

impl Located {
    /// The model of the record at `path`, or the model file at `path`.
    ///
    /// # Errors
    /// No complete record, or several; a model that is missing, or not the one that the run wrote.
    pub fn at(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::new("there is no such record or model")
                .at(path.display())
                .help("`graft run experiments` leaves records in `results`"));
        }
        if !path.is_dir() {
            let sha256 = crate::source::sha256(path)?;
            return Ok(Self {
                path: path.to_path_buf(),
                sha256,
                classes: Vec::new(),
                experiment: None,
            });
        }
        let records = find::load_named(&[path.to_path_buf()])?;
        let [loaded] = records.as_slice() else {
            let dirs = records
                .iter()
                .map(|record| record.dir.display().to_string());
            let dirs: Vec<_> = dirs.collect();
            return Err(Error::new("there are several records here")
                .at(path.display())
                .help(format!("name one of {}", dirs.join(", "))));
        };
        let model = loaded.dir.join(MODEL);
        if !model.is_file() {
            return Err(Error::new("the record has no model")
                .at(model.display())
                .help("run the experiment again, which puts the record in order"));
        }
        let stamp = FileStamp::of(&model)?;
        if loaded.record.files.get(MODEL) != Some(&stamp) {
            return Err(Error::new("changed since the run wrote it")
                .at(model.display())
                .help("name the file itself, not the record, to export it all the same"));
        }
        Ok(Self {
            path: model,
            sha256: stamp.sha256,
            classes: loaded.record.classes.clone(),
            experiment: Some(loaded.record.experiment.clone()),
        })
    }

    /// The last step of the experiment's name, or the file's without its ending.
    pub fn name(&self) -> String {
        let of_file = || {
            let stem = self.path.file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        };
        let of_experiment = self.experiment.as_ref();
        let last = of_experiment.and_then(|name| name.rsplit('/').next());
        last.map_or_else(of_file, str::to_owned)
    }
}

impl Model {
    /// Reads the model, its values rounded to `dtype`, if there is one.
    ///
    /// # Errors
    /// The file is damaged, or not one that graft wrote with a description of its layers; its tensors
    /// are not those of its layers; a value is beyond `dtype`.
    pub fn read(located: &Located, dtype: Option<Dtype>) -> Result<Self> {
        let document = Document::read(&located.path)?;
        Self::of(document, located, dtype).at(located.path.display())
    }

    fn of(document: Document, located: &Located, dtype: Option<Dtype>) -> Result<Self> {
        let Some(Described::Graft(description)) = document.described else {
            return Err(Error::new("does not say what its layers are, in graft's words").help(
                "only models that `graft run` left say it, since version 0.1: run the experiment \
                 again; `graft convert` takes other models to neon and to safetensors",
            ));
        };
        let input = Input::of(&document.metadata)?.ok_or_else(|| {
            Error::new("does not say what its input is")
                .help("export a model that `graft run` left")
        })?;
        let pixels = Pixels::new(input, description.network.input)?;
        let (states, tensors): (Vec<_>, Vec<_>) =
            document.tensors.into_iter().partition(Tensor::is_state);
        let mut tensors: HashMap<String, Tensor> = tensors
            .into_iter()
            .map(|tensor| (tensor.name.clone(), tensor))
            .collect();
        if let Some(dtype) = dtype {
            tensors.values_mut().try_for_each(|t| round(t, dtype))?;
        }
        let mut left_out = document.left_out;
        if !states.is_empty() {
            left_out.push(format!(
                "{} optimizer states: only graft and neon train on with them",
                states.len()
            ));
        }
        let model = Self {
            description,
            pixels,
            classes: located.classes.clone(),
            metadata: document.metadata,
            left_out,
            path: located.path.clone(),
            tensors,
        };
        model.check()?;
        Ok(model)
    }

    pub fn network(&self) -> &NetworkSpec {
        &self.description.network
    }

    /// The tensor of `layer` with this role.
    ///
    /// # Errors
    /// There is none.
    pub fn tensor(&self, layer: &LayerSpec, role: Role) -> Result<&Tensor> {
        let name = format!("{}.{}", layer.name, role.name());
        self.tensors.get(&name).ok_or_else(|| {
            Error::new(format!("has no tensor `{name}`"))
                .at(self.path.display())
                .help("the file is damaged: run the experiment again")
        })
    }

    /// Layer and role of every tensor, in the order of the network.
    pub fn roles(&self) -> impl Iterator<Item = (&LayerSpec, Role)> {
        let layers = self.network().layers.iter();
        layers.flat_map(|layer| layer.parameters.iter().map(move |p| (layer, p.role)))
    }

    /// Rounds all values to `dtype`; the result is the precision that they had, if it was another.
    ///
    /// # Errors
    /// A value is beyond it.
    pub fn round(&mut self, dtype: Dtype) -> Result<Option<Dtype>> {
        let mut before = None;
        for tensor in self.tensors.values_mut() {
            let other = Some(tensor.values.dtype()).filter(|&other| other != dtype);
            before = before.or(other);
            round(tensor, dtype).at(self.path.display())?;
        }
        Ok(before)
    }

    /// Number of tensors, and of the values in them.
    pub fn counts(&self) -> (usize, usize) {
        let values = self.tensors.values().map(|tensor| tensor.values.len());
        (self.tensors.len(), values.sum())
    }

    /// Checks that the tensors are those of the layers.
    fn check(&self) -> Result<()> {
        let damaged = |problem| Error::new(problem).help("the file is damaged or was edited");
        let layers = self.network().layers.iter();
        let parameters = layers.flat_map(|l| l.parameters.iter().map(move |p| (l, p)));
        let mut count = 0;
        for (layer, parameter) in parameters {
            let tensor = self.tensor(layer, parameter.role)?;
            if tensor.shape != parameter.shape {
                let [has, wanted] = [&tensor.shape, &parameter.shape].map(|s| shape_text(s));
                let problem = format!("`{}` is {has}, its layer needs {wanted}", tensor.name);
                return Err(damaged(problem));
            }
            count += 1;
        }
        match count == self.tensors.len() {
            true => Ok(()),
            false => Err(damaged("has tensors that belong to no layer".to_string())),
        }
    }
}

impl Pixels {
    /// # Errors
    /// A mean or a deviation that does not fit the network's input.
    fn new(input: Input, [channels, height, width]: [usize; 3]) -> Result<Self> {
        // All fields by name: nothing that happens to pixels is forgotten here.
        let Input {
            shape,
            images,
            mean,
            scale,
            deviation,
            channel_order,
            // Where the others come from.
            preset: _,
            given_mean: _,
        } = input;
        let pixels = Self {
            resized: images.map(|_| [shape[1], shape[2]]),
            reversed: channel_order == ChannelOrder::Bgr,
            mean: mean.unwrap_or_default(),
            scale,
            deviation,
        };
        if images.is_some() && pixels.mean.len() > channels {
            return Err(Error::new(
                "its mean has a value for each pixel of images that are resized afterwards",
            )
            .help("only graft itself can do that: train with one mean a channel"));
        }
        let values = channels.saturating_mul(height).saturating_mul(width);
        let fits = shape == [channels, height, width]
            && [0, 1, channels, values].contains(&pixels.mean.len())
            && [0, 1, channels].contains(&pixels.deviation.len());
        match fits {
            true => Ok(pixels),
            false => Err(
                Error::new("what it says of its pixels does not fit its input")
                    .help("the file is damaged or was edited"),
            ),
        }
    }

    /// What is to be done to raw pixels, in words; `None`: nothing.
    pub fn in_words(&self) -> Option<String> {
        let list = |values: &[f64]| match values {
            [value] => value.to_string(),
            values if values.len() <= 4 => format!("{values:?}"),
            values => format!("a mean of {} values", values.len()),
        };
        let mut steps = Vec::new();
        if let Some([height, width]) = self.resized {
            steps.push(format!("resized to {height}x{width}"));
        }
        if self.reversed {
            steps.push("channels from last to first".to_string());
        }
        if !self.mean.is_empty() {
            steps.push(format!("minus {}", list(&self.mean)));
        }
        if self.scale != 1.0 {
            steps.push(format!("times {}", self.scale));
        }
        if !self.deviation.is_empty() {
            steps.push(format!("divided by {}", list(&self.deviation)));
        }
        (!steps.is_empty()).then(|| steps.join(", "))
    }
}

#[cfg(test)]
impl Model {
    /// A model without layers, for samples of this shape.
    pub fn of_pixels(input: [usize; 3], pixels: Pixels) -> Result<Self> {
        let description = serde_json::json!({
            "network": {"input": input, "layers": [], "initial_draws": "by_name"},
            "optimizers": {}, "cost": {"class": "MeanSquared", "config": {}}, "epochs": 1, "seed": 1,
        });
        let description = serde_json::from_value(description);
        Ok(Self {
            description: description.map_err(|error| Error::new(error.to_string()))?,
            pixels,
            classes: Vec::new(),
            metadata: BTreeMap::new(),
            left_out: Vec::new(),
            path: PathBuf::new(),
            tensors: HashMap::new(),
        })
    }
}
