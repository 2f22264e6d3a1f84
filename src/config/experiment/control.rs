//! Controls: the same experiment, with one thing taken away that its result is said to rest on.

use serde::{Deserialize, Serialize};

use super::Experiment;

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The labels of the training samples are dealt out anew, at random from the seed; those of the
    /// test samples stay. What is above chance then was not learnt from the labels.
    ShuffledLabels,
    /// Layers that would be imported are drawn by the experiment's initializers instead, and keep the
    /// learning-rate multipliers of imported ones. What is lost then is what the import was worth.
    RandomBackbone,
}

impl Control {
    /// The word for it in files.
    pub fn name(self) -> &'static str {
        match self {
            Control::ShuffledLabels => "shuffled_labels",
            Control::RandomBackbone => "random_backbone",
        }
    }

    /// What a run says of it.
    pub fn note(self) -> &'static str {
        match self {
            Control::ShuffledLabels => {
                "control shuffled_labels: the training labels are shuffled; nothing can be learnt of \
                 the test data but by chance"
            }
            Control::RandomBackbone => {
                "control random_backbone: what would be imported is drawn at random, and trains at the \
                 same multipliers"
            }
        }
    }

    /// `name` as that of an experiment under this control, so that no control takes the place of a
    /// result: `fine_tuning.random_backbone`.
    pub fn named(self, name: &str) -> String {
        let ending = format!(".{}", self.name());
        match name.ends_with(&ending) {
            true => name.to_owned(),
            false => name.to_owned() + &ending,
        }
    }
}

impl Experiment {
    /// The controls of this experiment: none of one that is a control itself, and no random backbone
    /// where nothing is imported.
    pub fn controls(&self) -> Vec<Experiment> {
        let imports = self.source_model.is_some() && self.model.initial_weights.is_none();
        let control = |control: Control| Experiment {
            name: control.named(&self.name),
            control: Some(control),
            // A control's model is not to be taken for the result.
            save_path: None,
            ..self.clone()
        };
        match (self.control, imports) {
            (Some(_), _) => Vec::new(),
            (None, false) => vec![control(Control::ShuffledLabels)],
            (None, true) => [Control::ShuffledLabels, Control::RandomBackbone]
                .map(control)
                .to_vec(),
        }
    }
}
