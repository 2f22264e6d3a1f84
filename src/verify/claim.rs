//! A record and its files, read as far as they can be; what cannot becomes a finding.

use std::fs;

use toml_edit::DocumentMut;

use super::{Findings, What};
use crate::config::experiment::Experiment;
use crate::config::{self, Environment, Overrides};
use crate::error::{At, Error, Result};
use crate::files::FileStamp;
use crate::model::digest::TensorDigest;
use crate::model::spec::NetworkSpec;
use crate::numbers::Dtype;
use crate::results::batches::BatchRow;
use crate::results::loaded::LoadedRecord;
use crate::results::record::{self, REQUIRED};
use crate::results::rows::{MetricsRow, OutputRow};
use crate::runner::model_file;
use crate::source::document;
use crate::source::receipt::Receipt;
use crate::source::safetensors::{self, StoredData};
use crate::train::groups::{self, LayerRate};

/// All that a record claims. A part that is absent has left a finding, but for batches and receipt,
/// which not every record has.
pub struct Claim {
    pub loaded: LoadedRecord,
    pub experiment: Option<Experiment>,
    pub metrics: Option<Vec<MetricsRow>>,
    pub outputs: Option<Vec<OutputRow>>,
    pub batches: Option<Vec<BatchRow>>,
    pub receipt: Option<Receipt>,
    pub model: Option<Model>,
}

/// The trained model of a record.
pub struct Model {
    pub spec: NetworkSpec,
    pub tensors: Vec<TensorDigest>,
    /// Their precision.
    pub dtype: Dtype,
}

impl Claim {
    pub fn read(loaded: LoadedRecord, findings: &mut Findings) -> Self {
        files(&loaded, findings);
        let path = |name: &str| loaded.dir.join(name);
        let experiment = findings.keep(What::Experiment, experiment(&loaded));
        let metrics = findings.keep(What::Metrics, loaded.metrics());
        let outputs = findings.keep(What::Outputs, loaded.outputs());
        let batches = findings.keep(What::Batches, loaded.batches()).flatten();
        let receipt = path(record::RECEIPT).exists().then(|| receipt(&loaded));
        let receipt = receipt.and_then(|receipt| findings.keep(What::Source, receipt));
        let model = findings.keep(What::Model, model(&loaded));
        Self {
            experiment,
            metrics,
            outputs,
            batches,
            receipt,
            model,
            loaded,
        }
    }

    /// The learning rates of all layers, as experiment, model and receipt have them.
    ///
    /// # Errors
    /// They contradict one another.
    pub fn rates(&self) -> Option<Result<Vec<LayerRate>>> {
        let (experiment, model) = (self.experiment.as_ref()?, self.model.as_ref()?);
        let receipt = self.receipt.as_ref();
        let imported =
            |layer: &str| receipt.is_some_and(|receipt| receipt.counts_as_imported(layer));
        let multipliers = &experiment.learning_rate_multiplier;
        Some(groups::layer_rates(
            &model.spec,
            multipliers,
            &experiment.optimizer,
            imported,
        ))
    }
}

/// The experiment of a record, as it stands there.
///
/// # Errors
/// It is missing or wrong, or is not whole without another file.
pub fn experiment(loaded: &LoadedRecord) -> Result<Experiment> {
    let path = loaded.dir.join(record::EXPERIMENT);
    let text = fs::read_to_string(&path).at(path.display())?;
    let document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| Error::new(error.message()).at(path.display()))?;
    if document.contains_key("extends") {
        // Reading on would open a file that somebody else chose.
        let problem = "extends another file; the experiment of a record is whole";
        return Err(Error::new(problem).at(path.display()));
    }
    config::load_with(&path, &Overrides::default(), &Environment::none())
}

fn files(loaded: &LoadedRecord, findings: &mut Findings) {
    let record = &loaded.record;
    match record.checksum.is_empty() {
        true => findings
            .unchecked
            .push("record.json has no checksum: an older graft wrote it".to_string()),
        false => findings.expect(
            record
                .own_checksum()
                .is_ok_and(|sum| sum == record.checksum),
            What::Record,
            || "record.json was changed after it was written: its checksum is another".to_string(),
        ),
    }
    for name in REQUIRED
        .iter()
        .filter(|name| !record.files.contains_key(**name))
    {
        findings.add(What::Files, format!("record.json does not list {name}"));
    }
    for (name, stamp) in &record.files {
        let is_plain = !name.contains(['/', '\\']) && name != ".." && name != ".";
        if !is_plain {
            findings.add(
                What::Files,
                format!("record.json lists {name:?}, outside of the record"),
            );
            continue;
        }
        match FileStamp::of(&loaded.dir.join(name)) {
            Ok(found) if found == *stamp => {}
            Ok(_) => findings.add(
                What::Files,
                format!("{name} was changed after the run wrote it: its checksum is not that in record.json"),
            ),
            Err(_) => findings.add(What::Files, format!("{name} is missing")),
        }
    }
}

fn receipt(loaded: &LoadedRecord) -> Result<Receipt> {
    let path = loaded.dir.join(record::RECEIPT);
    let text = fs::read_to_string(&path).at(path.display())?;
    serde_json::from_str(&text)
        .map_err(|error| Error::new(format!("damaged receipt: {error}")).at(path.display()))
}

fn model(loaded: &LoadedRecord) -> Result<Model> {
    let path = loaded.dir.join(record::MODEL);
    let spec = model_file::network_of(&path)?;
    let mut tensors = Vec::new();
    let mut dtype = Dtype::F32;
    for stored in safetensors::load(&path)?.tensors {
        if document::is_state(&stored.name) {
            continue;
        }
        if let StoredData::Numbers(values) = &stored.data {
            dtype = values.dtype();
            tensors.push((stored.name, values.sha256()));
        }
    }
    Ok(Model {
        spec,
        tensors,
        dtype,
    })
}
