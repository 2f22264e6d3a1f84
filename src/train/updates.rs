//! All updates of a step: which parameters move by which rule, and at which rate.
//!
//! It knows the network's parameters and the experiment's rules, not where gradients come from.

use std::collections::HashMap;

use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{ParamGroup, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Gradients, TensorData};

use super::clip;
use super::groups::LayerRate;
use super::optimizer::{self, Update};
use super::schedule::{self, Time};
use crate::config::experiment::{Experiment, Optimizer, Rule, Schedule};
use crate::error::{Error, Result};
use crate::model::layer;
use crate::model::network::Network;
use crate::model::spec::{NetworkSpec, Role};
use crate::numbers::Numbers;
use crate::results::rows::GroupRate;

/// What is remembered of each trained tensor, by layer and role.
pub type States = HashMap<(String, Role), Vec<Numbers>>;

/// The rules of an experiment, the parameters under each, and what they remember.
pub struct Updates {
    /// `[optimizer]`, then each entry of `[[optimizer.layer]]`.
    rules: Vec<(Rule, Schedule)>,
    /// In the order in which the layers bring them up.
    groups: Vec<Group>,
    names: HashMap<ParamId, (String, Role)>,
    optimizer: ModuleOptimizer,
}

/// Parameters that share a rule and a learning-rate multiplier.
struct Group {
    /// In metrics.
    name: String,
    /// Place in [`Updates::rules`].
    rule: usize,
    multiplier: f64,
    parameters: Vec<ParamId>,
}

impl Updates {
    /// Sorts the parameters of all layers of `network`, built from `spec`, that `rates` does not
    /// freeze into groups, each parameter into exactly one.
    pub fn new(
        experiment: &Experiment,
        network: &Network,
        spec: &NetworkSpec,
        rates: &[LayerRate],
    ) -> Self {
        let Optimizer { rule, layer } = &experiment.optimizer;
        let entries = layer.iter().map(|entry| (&entry.rule, &entry.schedule));
        let rules: Vec<(Rule, Schedule)> = [(rule, &experiment.schedule)]
            .into_iter()
            .chain(entries)
            .map(|(rule, schedule)| (rule.clone(), schedule.clone()))
            .collect();
        // Burn asks for a rule for all other parameters; there are none.
        let mut optimizer = ModuleOptimizer::from(Update::new(rule, false));
        let mut groups: Vec<Group> = Vec::new();
        let mut names = HashMap::new();
        let layers = network.parameter_ids().zip(&spec.layers).zip(rates);
        for (((_, ids), layer), rate) in layers {
            if rate.frozen || ids.is_empty() {
                continue;
            }
            let place = rate.entry.map_or(0, |entry| entry + 1);
            let (rule, _) = &rules[place];
            // Running statistics come behind what is trained, and have no ids.
            for (&id, parameter) in ids.iter().zip(&layer.parameters) {
                let update = Update::new(rule, parameter.role != Role::Weight);
                optimizer = optimizer.with_group(ParamGroup::from_ids(vec![id]), update, None);
                names.insert(id, (layer.name.clone(), parameter.role));
            }
            let shared =
                |group: &&mut Group| group.rule == place && group.multiplier == rate.multiplier;
            match groups.iter_mut().find(shared) {
                Some(group) => group.parameters.extend(ids),
                None => groups.push(Group {
                    name: group_name(&experiment.optimizer, rate),
                    rule: place,
                    multiplier: rate.multiplier,
                    parameters: ids,
                }),
            }
        }
        Self {
            rules,
            groups,
            names,
            optimizer,
        }
    }

    /// Moves every parameter of `network` by its gradient, the mean over the batch.
    pub fn step(&mut self, network: Network, gradients: &mut Gradients, time: Time) -> Network {
        let parameters: Vec<ParamId> = self.names.keys().copied().collect();
        let mut gradients = GradientsParams::from_params(gradients, &network, &parameters);
        let mut rates = ModuleLrScheduler::new(0.0);
        for (place, (rule, schedule)) in self.rules.iter().enumerate() {
            let groups = self.groups.iter().filter(|group| group.rule == place);
            let ids = groups.clone().flat_map(|group| group.parameters.clone());
            let factor = clip::clip(&mut gradients, &network, &ids.collect::<Vec<_>>(), rule);
            let rate = schedule::rate(schedule, rule.learning_rate, time);
            for group in groups {
                let rate = optimizer::corrected(rule, rate * group.multiplier, time.epoch);
                let parameters = ParamGroup::from_ids(group.parameters.clone());
                rates = rates.with_group(parameters, rate * factor);
            }
        }
        let rates: ModuleLearningRate = rates.step();
        self.optimizer.step(rates, network, gradients)
    }

    /// The learning rate of `[optimizer]`.
    pub fn rate(&self, time: Time) -> f64 {
        self.rule_rate(0, time)
    }

    /// The learning rate of each group.
    pub fn group_rates(&self, time: Time) -> Vec<GroupRate> {
        let group_rate = |group: &Group| GroupRate {
            group: group.name.clone(),
            learning_rate: self.rule_rate(group.rule, time) * group.multiplier,
        };
        self.groups.iter().map(group_rate).collect()
    }

    fn rule_rate(&self, place: usize, time: Time) -> f64 {
        let (rule, schedule) = &self.rules[place];
        schedule::rate(schedule, rule.learning_rate, time)
    }

    /// What all rules remember, in Burn's own format: the same bytes for the same state.
    ///
    /// # Errors
    /// Burn cannot write it.
    pub fn state(&self) -> Result<Vec<u8>> {
        let failed = |error: String| Error::new(format!("optimizer state: {error}"));
        let bytes = self.optimizer.into_bytes();
        let bytes = bytes.map_err(|error| failed(error.to_string()))?;
        sorted(bytes).map_err(|error| failed(error.to_string()))
    }

    /// What the rule of each trained tensor remembers of it: tensors of its shape, in the order in
    /// which neon saves them; for momentum the velocity alone. Nothing of a tensor before its first
    /// update.
    ///
    /// # Errors
    /// Burn cannot write, or read back, its record.
    pub fn states(&self) -> Result<States> {
        let unreadable = |error| Error::new(format!("optimizer state: {error}"));
        let record = Bytes::from_bytes_vec(self.state()?);
        let reader = burn_pack::Reader::from_bytes(record).map_err(unreadable)?;
        let mut tensors = HashMap::new();
        for tensor in reader.into_tensors().map_err(unreadable)? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(unreadable)?;
            let data = TensorData::from_bytes(bytes, shape, dtype);
            tensors.insert(name, layer::numbers(data));
        }
        let of = |id: u64, place| {
            let name = format!("{id}.{}", optimizer::state_name(place));
            tensors.get(&name).cloned()
        };
        let states = self.names.iter().map(|(id, name)| {
            let places = 0..;
            let tensors = places.map_while(|place| of(id.val(), place));
            (name.clone(), tensors.collect())
        });
        Ok(states.collect())
    }

    /// Goes on from what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// Burn cannot read it.
    pub fn restore(&mut self, state: Vec<u8>) -> Result<()> {
        let restored = self
            .optimizer
            .clone()
            .from_bytes(Bytes::from_bytes_vec(state));
        self.optimizer = restored
            .map_err(|error| Error::new(format!("optimizer state in the checkpoint: {error}")))?;
        Ok(())
    }
}

/// A record of Burn's with its tensors by name: Burn writes them in the order of a hash table.
fn sorted(record: Bytes) -> Result<Vec<u8>, burn_pack::Error> {
    let reader = burn_pack::Reader::from_bytes(record)?;
    let (metadata, scalars) = (reader.metadata().clone(), reader.scalars().clone());
    let mut tensors = reader.into_tensors()?;
    tensors.sort_by(|one, other| one.name.cmp(&other.name));
    let mut writer = burn_pack::Writer::new(tensors);
    for (key, value) in &metadata {
        writer = writer.with_metadata(key, value);
    }
    for (key, value) in scalars {
        writer = writer.with_scalar(&key, value);
    }
    Ok(writer.into_bytes()?.to_vec())
}

/// The multiplier, behind the entry of `[[optimizer.layer]]` where there is one: `x0.001`,
/// `class:bias:x1`.
fn group_name(optimizer: &Optimizer, rate: &LayerRate) -> String {
    let entry = rate.entry.and_then(|entry| optimizer.layer.get(entry));
    match entry {
        Some(entry) => format!("{}:x{}", entry.which.label(), rate.multiplier),
        None => format!("x{}", rate.multiplier),
    }
}

#[cfg(test)]
mod tests;
