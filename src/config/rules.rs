//! Which optimizer a layer has.
//!
//! Pure: names and types of layers in, entries of `[[optimizer.layer]]` out. It knows neither
//! multipliers nor rules.

use std::fmt;

use super::experiment::{Algorithm, Class, Optimizer, Rule, Which};
use crate::error::{Error, Result};
use crate::pattern;

const PLACE: &str = "optimizer.layer";

impl Optimizer {
    /// The place in `layer` of the entry about each of these layers (name, type), or none if
    /// `[optimizer]` itself is: the entry of its name, else of the matching pattern with the most
    /// literal characters, else of its type. neon's `MultiOptimizer`, and patterns.
    ///
    /// # Errors
    /// An entry that matches none of the layers, or leaves none to it; two patterns that are
    /// equally specific for a layer.
    pub fn entries_of(&self, layers: &[(&str, &str)]) -> Result<Vec<Option<usize>>> {
        let mut entries = Vec::with_capacity(layers.len());
        for &(name, class) in layers {
            entries.push(self.entry_of(name, class)?);
        }
        for (index, entry) in self.layer.iter().enumerate() {
            if entries.contains(&Some(index)) {
                continue;
            }
            let which = &entry.which;
            let matches = |(name, class): &(&str, &str)| which.specificity(name, class).is_some();
            return Err(match layers.iter().any(matches) {
                true => Error::new(format!("{which} leaves no layer to this entry"))
                    .at(PLACE)
                    .help("every layer that it matches has a more specific entry: remove it"),
                false => unmatched(which, layers),
            });
        }
        Ok(entries)
    }

    /// The rule of the entry at this place of `layer`, or `[optimizer]`'s own.
    pub fn rule_of(&self, entry: Option<usize>) -> &Rule {
        let entry = entry.and_then(|entry| self.layer.get(entry));
        entry.map_or(&self.rule, |entry| &entry.rule)
    }

    fn entry_of(&self, name: &str, class: &str) -> Result<Option<usize>> {
        let entries = self.layer.iter().enumerate();
        let mut matching: Vec<_> = entries
            .filter_map(|(index, entry)| Some((entry.which.specificity(name, class)?, index)))
            .collect();
        matching.sort_by_key(|&(specificity, _)| std::cmp::Reverse(specificity));
        match matching[..] {
            [(closest, one), (next, other), ..] if closest == next => {
                let [one, other] = [one, other].map(|index| &self.layer[index].which);
                let problem = format!("{one} and {other} both match `{name}`");
                let help = format!("give `{name}` an entry of its own");
                Err(Error::new(problem).at(PLACE).help(help))
            }
            [(_, closest), ..] => Ok(Some(closest)),
            [] => Ok(None),
        }
    }
}

fn unmatched(which: &Which, layers: &[(&str, &str)]) -> Error {
    let error = Error::new(format!("{which} matches no layer with parameters")).at(PLACE);
    let names = layers.iter().map(|(name, _)| *name);
    let meant = match which {
        Which::Name(name) => pattern::closest(name, names),
        Which::Class(_) => None,
    };
    match meant {
        Some(layer) => error.help(format!("did you mean `{layer}`?")),
        None => error.help("`graft plan` lists the layers of an experiment"),
    }
}

impl Which {
    /// How closely this describes a layer, if it does: the greater, the closer.
    fn specificity(&self, name: &str, class: &str) -> Option<(u8, usize)> {
        match self {
            Which::Name(ours) if ours == name => Some((2, 0)),
            Which::Name(ours) if pattern::is_pattern(ours) && pattern::matches(ours, name) => {
                Some((1, pattern::literals(ours)))
            }
            Which::Class(ours) if ours.name() == class => Some((0, 0)),
            _ => None,
        }
    }

    /// The name of a group of parameters: without spaces and `=`.
    pub fn label(&self) -> String {
        match self {
            Which::Name(name) => name.clone(),
            Which::Class(class) => format!("class:{}", class.name()),
        }
    }
}

impl Class {
    /// The type of layer as `[[model.layers]]` has it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Convolution => "convolution",
            Class::Linear => "linear",
            Class::Bias => "bias",
            Class::BatchNorm => "batch_norm",
        }
    }
}

impl Algorithm {
    /// The word for it in TOML.
    pub fn name(&self) -> &'static str {
        match self {
            Algorithm::Momentum { .. } => "momentum",
            Algorithm::Sgd => "sgd",
            Algorithm::Rmsprop { .. } => "rmsprop",
            Algorithm::Adagrad { .. } => "adagrad",
            Algorithm::Adadelta { .. } => "adadelta",
            Algorithm::Adam { .. } => "adam",
            Algorithm::Adamw { .. } => "adamw",
            Algorithm::ShiftAdaMax { .. } => "shift_ada_max",
            Algorithm::Lion { .. } => "lion",
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Name(name) => write!(f, "`{name}`"),
            Which::Class(class) => write!(f, "class `{}`", class.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::experiment::{Course, LayerRule, Schedule};

    const LAYERS: &[(&str, &str)] = &[
        ("conv1", "convolution"),
        ("conv1_bias", "bias"),
        ("conv2", "convolution"),
        ("conv2_bias", "bias"),
        ("fc", "linear"),
    ];

    fn optimizer(entries: &[Which]) -> Optimizer {
        let rule = Rule {
            learning_rate: 0.1,
            weight_decay: 0.0,
            decay_biases: true,
            clip_gradient_norm: 0.0,
            clip_gradient_value: 0.0,
            clip_parameters: 0.0,
            algorithm: Algorithm::Sgd,
        };
        let schedule = Schedule {
            course: Course::Constant,
            warm_up: 0.0,
        };
        let entry = |which: &Which| LayerRule {
            which: which.clone(),
            rule: rule.clone(),
            schedule: schedule.clone(),
        };
        Optimizer {
            layer: entries.iter().map(entry).collect(),
            rule,
        }
    }

    fn name(name: &str) -> Which {
        Which::Name(name.to_owned())
    }

    fn message(entries: &[Which]) -> String {
        let entries = optimizer(entries).entries_of(LAYERS);
        entries.map_err(|error| error.to_string()).unwrap_err()
    }

    #[test]
    fn an_exact_name_beats_a_pattern_beats_a_class() {
        let entries = [
            name("conv*"),
            name("conv1*"),
            name("conv1"),
            Which::Class(Class::Linear),
        ];
        let found = optimizer(&entries).entries_of(LAYERS);
        assert_eq!(found, Ok([2, 1, 0, 0, 3].map(Some).to_vec()));
        let entries = [Which::Class(Class::Bias), name("conv1_bias")];
        let found = optimizer(&entries).entries_of(LAYERS);
        assert_eq!(found, Ok(vec![None, Some(1), None, Some(0), None]));
    }

    #[test]
    fn an_entry_that_matches_nothing_is_an_error_that_names_the_closest() {
        assert_eq!(
            message(&[name("conf2")]),
            "optimizer.layer: `conf2` matches no layer with parameters\n  \
             help: did you mean `conv2`?"
        );
        assert_eq!(
            message(&[Which::Class(Class::BatchNorm)]),
            "optimizer.layer: class `batch_norm` matches no layer with parameters\n  \
             help: `graft plan` lists the layers of an experiment"
        );
    }

    #[test]
    fn an_entry_in_the_shadow_of_others_is_an_error() {
        assert_eq!(
            message(&[Which::Class(Class::Linear), name("fc")]),
            "optimizer.layer: class `linear` leaves no layer to this entry\n  \
             help: every layer that it matches has a more specific entry: remove it"
        );
    }

    #[test]
    fn equally_specific_patterns_need_an_entry_that_decides() {
        let rivals = [name("conv1_*"), name("*1_bias")];
        assert_eq!(
            message(&rivals),
            "optimizer.layer: `conv1_*` and `*1_bias` both match `conv1_bias`\n  \
             help: give `conv1_bias` an entry of its own"
        );
    }
}
