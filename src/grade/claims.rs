//! What a record claims, held against the submission and against the grader's side; and the experiment
//! that may be re-run in its place: the grader's data, models and directories, nobody else's.
//!
//! It trains nothing. What a record says against itself is [`crate::verify`]'s business.

use std::path::{Path, PathBuf};

use super::finding::{Finding, Kind};
use super::grounds::{Allowed, Grounds};
use super::report::{Fingerprint, Judged, Looked, Verdict};
use super::rubric::{Limits, Rubric};
use super::submission::{Claimed, Submitted};
use crate::config::experiment::{DataFiles, Experiment};
use crate::error::Error;
use crate::results::record::Regime;
use crate::runner::opened::Opened;
use crate::runner::setup;

/// Gigabytes that kept outputs of frozen layers may take: what is usual.
const CACHE_LIMIT: f64 = 20.0;

/// An experiment that may be run on the grader's machine, and what it comes to.
#[derive(Debug, Clone)]
pub struct Settled {
    pub experiment: Experiment,
    pub regime: Regime,
    /// Name of the data.
    pub data: String,
    /// Name of the source model.
    pub source: Option<String>,
    /// Ascending, each once.
    pub multipliers: Vec<f64>,
    pub coverage: f64,
}

/// A record of the same submission that has been verified.
#[derive(Debug, Clone)]
pub struct Trained {
    /// SHA-256 of its model.
    pub model: String,
    /// Where the model is that may be imported.
    pub path: PathBuf,
    /// Name of its data.
    pub data: String,
}

/// What is needed to settle a claim.
pub struct Court<'a> {
    pub rubric: &'a Rubric,
    pub grounds: &'a Grounds,
    /// Where outputs of frozen layers are kept, for all submissions. Absolute.
    pub features: PathBuf,
    pub opened: &'a Opened,
}

/// What an experiment is by its source model and the multiplier of what is imported.
fn regime_of(experiment: &Experiment) -> Regime {
    match &experiment.source_model {
        None => Regime::FromScratch,
        Some(_) if experiment.learning_rate_multiplier.imported == 0.0 => Regime::FeatureExtraction,
        Some(_) => Regime::FineTuning,
    }
}

fn endless(experiment: &Experiment, place: &str, limits: &Limits) -> Option<Finding> {
    let (epochs, most) = (experiment.epochs, limits.max_epochs);
    (epochs > most).then(|| {
        let text = format!("{epochs} epochs, of {most} allowed; it was not run");
        Finding::new(Kind::EndlessEpochs, place, text)
            .help(format!("ask for at most {most} epochs"))
    })
}

impl Court<'_> {
    /// An experiment file, held against the limits.
    pub fn look(&self, submitted: &Submitted) -> Looked {
        let place = submitted.place.as_str();
        let (name, regime, findings) = match &submitted.experiment {
            Ok(experiment) => {
                let mut findings = Vec::from_iter(endless(experiment, place, &self.rubric.limits));
                let mut data = self.grounds.data.iter();
                // Of other data, only the record says which they are.
                if let Some(data) = data.find(|data| data.files == experiment.data.files) {
                    let mut experiment = experiment.clone();
                    experiment.data.root = data.root.clone();
                    findings.extend(self.huge(&experiment, place).unwrap_or_else(Some));
                }
                (
                    Some(experiment.name.clone()),
                    Some(regime_of(experiment)),
                    findings,
                )
            }
            Err(finding) => (None, None, vec![finding.clone()]),
        };
        Looked {
            place: submitted.place.clone(),
            name,
            regime,
            findings,
        }
    }

    /// The experiment of a record on the grader's side. `trained` are the verified records of the
    /// submission, `all` those that it has.
    ///
    /// # Errors
    /// Why it must not, or cannot, be run, with its name.
    pub fn settle(
        &self,
        claimed: &Claimed,
        trained: &[Trained],
        all: &[Claimed],
    ) -> Result<Settled, Finding> {
        if let Some(endless) = endless(&claimed.experiment, &claimed.place, &self.rubric.limits) {
            return Err(endless);
        }
        let data = self.data(claimed)?;
        let mut experiment = self.on_our_side(claimed, data);
        if let Some(huge) = self.huge(&experiment, &claimed.place)? {
            return Err(huge);
        }
        let source = self.models(claimed, (trained, all), &mut experiment)?;
        let outline = self.opened.outline(&experiment);
        let outline = outline.map_err(|error| self.unfit(&claimed.place, &error))?;
        let imported = outline.rates.iter().filter(|rate| rate.imported);
        let mut multipliers: Vec<f64> = imported.map(|rate| rate.multiplier).collect();
        multipliers.sort_by(f64::total_cmp);
        multipliers.dedup();
        let receipt = outline.receipt;
        let coverage = receipt.map_or(0.0, |receipt| receipt.totals.share_of_parameters());
        Ok(Settled {
            regime: match (&experiment.source_model, multipliers.as_slice()) {
                (None, _) => Regime::FromScratch,
                (Some(_), [0.0]) => Regime::FeatureExtraction,
                (Some(_), _) => Regime::FineTuning,
            },
            data: data.name.clone(),
            experiment,
            source,
            multipliers,
            coverage,
        })
    }

    /// The experiment of a record with the grader's data and directories; its models are yet to come.
    fn on_our_side(&self, claimed: &Claimed, data: &Allowed) -> Experiment {
        let mut experiment = claimed.experiment.clone();
        experiment.seeds = vec![claimed.record.seed];
        experiment.save_path = None;
        experiment.cache.directory = self.features.clone();
        // How much of the grader's disk is taken is not the student's to say.
        experiment.cache.limit = CACHE_LIMIT;
        experiment.backend = self.rubric.backend.unwrap_or(experiment.backend);
        experiment.data.root = data.root.clone();
        experiment.data.files = data.files.clone();
        experiment
    }

    /// That an experiment does not fit its data or its models, without the grader's directories.
    fn unfit(&self, place: &str, error: &Error) -> Finding {
        let mut text = format!("it does not fit the data: {error}");
        let files = self
            .grounds
            .data
            .iter()
            .flat_map(|data| [&data.train, &data.test]);
        let files = files.map(|file| (&file.path, None));
        let models = self
            .grounds
            .models
            .iter()
            .map(|model| (&model.path, Some(&model.name)));
        for (path, name) in files.chain(models) {
            let short = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let short = name.cloned().or(short).unwrap_or_default();
            text = text.replace(&path.display().to_string(), &short);
        }
        if let Some(work) = self.features.parent() {
            text = text.replace(&format!("{}/", work.display()), "");
        }
        Finding::new(Kind::InvalidExperiment, place, text)
    }

    /// Whether the record has a seed that was given to somebody else. Several runs of one experiment
    /// have the assigned seed and those that follow it; a source model may have any.
    pub fn of_another(
        &self,
        submission: &str,
        claimed: &Claimed,
        settled: &Settled,
    ) -> Option<Finding> {
        let &assigned = self.grounds.seeds.as_ref()?.get(submission)?;
        let mut required = self.rubric.regime.iter().filter(|r| r.data == settled.data);
        let runs = required
            .clone()
            .map(|required| required.seeds as u64)
            .max()?;
        let seed = claimed.record.seed;
        let theirs = assigned..assigned.saturating_add(runs);
        (required.next().is_some() && !theirs.contains(&seed)).then(|| {
            let text = format!("seed {seed}; the seed assigned to you is {assigned}");
            Finding::new(Kind::OtherSeed, claimed.place.as_str(), text)
                .help(format!("write `seed = {assigned}`"))
        })
    }

    /// The grader's data that the record claims to be of.
    fn data(&self, claimed: &Claimed) -> Result<&Allowed, Finding> {
        let found = &claimed.record.data;
        let find = |kind, text: &str| Err(Finding::new(kind, claimed.place.as_str(), text));
        let mut all = self.grounds.data.iter();
        if all.any(|data| data.test.sha256 == found.train.sha256) {
            let text = "its training data are the test file, by their checksum";
            return find(Kind::TrainedOnTest, text);
        }
        let Some(data) = self
            .grounds
            .data_of(&found.train.sha256, &found.test.sha256)
        else {
            let text = "its data are none of those that were given out, by their checksums";
            return find(Kind::OtherData, text);
        };
        if [found.train.samples, found.test.samples] != [data.train.samples, data.test.samples] {
            return find(
                Kind::OtherData,
                "it says another number of samples than its data have",
            );
        }
        match (&claimed.experiment.data.files, &data.files) {
            (DataFiles::Drawn { .. }, files) if claimed.experiment.data.files != *files => {
                let text = "its experiment names other data than record.json has checksums of";
                find(Kind::OtherData, text)
            }
            (DataFiles::Files { train, test }, _) if train == test => {
                find(Kind::TrainedOnTest, "training and test data are one file")
            }
            _ => Ok(data),
        }
    }

    /// Whether a network has more parameters than allowed, before anything of it is made.
    fn huge(&self, experiment: &Experiment, place: &str) -> Result<Option<Finding>, Finding> {
        let cannot = |error: Error| self.unfit(place, &error);
        let opened = self.opened.shape_and_classes(&experiment.data);
        let (mut shape, classes) = opened.map_err(cannot)?;
        if let Some(size) = experiment.preprocessing.size {
            shape[1..].fill(size);
        }
        let spec = setup::spec(experiment, shape, classes, None).map_err(cannot)?;
        let tensors = spec.layers.iter().flat_map(|layer| &layer.parameters);
        let sides = tensors.map(|tensor| tensor.shape.iter().map(|&side| side as u128));
        let sizes = sides.map(|sides| sides.fold(1, u128::saturating_mul));
        let total = sizes.fold(0, u128::saturating_add);
        let most = self.rubric.limits.max_parameters;
        Ok((total > u128::from(most)).then(|| {
            let text =
                format!("its network has {total} parameters, of {most} allowed; it was not run");
            Finding::new(Kind::HugeModel, place, text).help("make it narrower")
        }))
    }

    /// Puts the grader's models in place of those the experiment names. Returns the name of the
    /// source model.
    fn models(
        &self,
        claimed: &Claimed,
        (trained, all): (&[Trained], &[Claimed]),
        experiment: &mut Experiment,
    ) -> Result<Option<String>, Finding> {
        let mut name = None;
        let record = &claimed.record;
        let sums = [
            record.source.as_ref().map(|source| source.sha256.as_str()),
            record
                .initial_weights
                .as_ref()
                .map(|initial| initial.sha256.as_str()),
        ];
        let places = [
            &mut experiment.source_model,
            &mut experiment.model.initial_weights,
        ];
        for (place, sum) in places.into_iter().zip(sums) {
            match (&place, sum) {
                (None, None) => {}
                (Some(_), Some(sum)) => {
                    let (path, found) = self
                        .model(sum, trained)
                        .ok_or_else(|| replaced(claimed, place.as_deref(), sum, all))?;
                    *place = Some(path);
                    name.get_or_insert(found);
                }
                _ => {
                    let text = "its experiment.toml and its record.json do not agree on whether a model is imported";
                    return Err(Finding::new(
                        Kind::Inconsistent,
                        claimed.place.as_str(),
                        text,
                    ));
                }
            }
        }
        Ok(name)
    }

    /// The model of this checksum, and what the rubric calls it.
    fn model(&self, sum: &str, trained: &[Trained]) -> Option<(PathBuf, String)> {
        if let Some(model) = self.grounds.models.iter().find(|model| model.sha256 == sum) {
            return Some((model.path.clone(), model.name.clone()));
        }
        let own = trained.iter().find(|own| own.model == sum)?;
        let sources = &self.rubric.source_model;
        let allowed = sources
            .iter()
            .find(|source| source.trained_on.as_ref() == Some(&own.data))?;
        Some((own.path.clone(), allowed.name.clone()))
    }
}

/// Why a model of this checksum may not be imported.
fn replaced(claimed: &Claimed, path: Option<&Path>, sum: &str, all: &[Claimed]) -> Finding {
    if let Some(own) = all.iter().find(|own| own.model == sum) {
        let text = format!(
            "it was not run again: it imports from `{}`, which is not verified or whose data the \
             rubric does not allow for a source model",
            own.place
        );
        return Finding::new(Kind::NotVerified, claimed.place.as_str(), text);
    }
    let path = path.unwrap_or(Path::new("")).display();
    let text = format!(
        "the model that it imported from `{path}` is, by its checksum, neither one that was given out \
         nor that of a verified record of this submission"
    );
    Finding::new(Kind::SourceModelReplaced, claimed.place.as_str(), text)
        .help("hand in the record of the source model too, and train again if it has changed since")
}

/// A judgement on a record that was not, or not yet, re-run.
pub fn unverified(claimed: &Claimed, settled: Option<&Settled>, claims: Vec<Finding>) -> Judged {
    let record = &claimed.record;
    Judged {
        place: claimed.place.clone(),
        experiment: record.experiment.clone(),
        seed: record.seed,
        control: record.control.clone(),
        regime: settled.map_or_else(|| regime_of(&claimed.experiment), |settled| settled.regime),
        data: settled.map(|settled| settled.data.clone()),
        source: settled.and_then(|settled| settled.source.clone()),
        multipliers: settled.map_or_else(Vec::new, |settled| settled.multipliers.clone()),
        coverage: settled.map_or(0.0, |settled| settled.coverage),
        accuracy: record.metrics.accuracy,
        verdict: Verdict::NotVerified,
        how: "not run again, for what was found before".to_owned(),
        claims,
        reruns: Vec::new(),
        fingerprint: Fingerprint {
            started: record.started.clone(),
            seconds: format!("{:016x}", record.seconds.to_bits()),
            timings: String::new(),
            model: claimed.model.clone(),
        },
    }
}
