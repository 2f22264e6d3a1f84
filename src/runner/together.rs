//! Runs of one plan that read the same outputs of the same frozen layers, trained side by side.
//!
//! What such a run trains is small, and many small operations keep several processors busy only if
//! each has a run of its own. Every run is what it would be alone: its threads compute what others
//! would, in the same order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::opened::Opened;
use super::setup::Outline;
use super::shared::Shared;
use super::{Outcome, Reporter, within};
use crate::config::experiment::{Control, Experiment, Multipliers};
use crate::error::{Error, Result};
use crate::memory;
use crate::model::spec::LayerSpec;
use crate::plan::Run;
use crate::train::groups::LayerRate;
use crate::train::saving::saving;

/// What the runs of a group have in common: all that decides what is kept, on paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    text: String,
    /// Bytes that one of the runs takes, about.
    bytes: u64,
}

impl Alike {
    /// Of the runs of `experiment`; `None` if they do not share what is kept: nothing is, or what
    /// stands still was drawn for each seed. Pure.
    pub fn of(experiment: &Experiment, outline: &Outline) -> Option<Self> {
        let spec = &outline.spec;
        let saving = saving(experiment, spec, &outline.rates)?;
        let (prefix, _) = spec.layers.split_at(saving.layers);
        let is_withheld = outline.control == Some(Control::RandomBackbone);
        let drawn = |(layer, rate): (&LayerSpec, &LayerRate)| {
            !layer.parameters.is_empty() && (!rate.imported || is_withheld)
        };
        if outline.initial.is_none() && prefix.iter().zip(&outline.rates).any(drawn) {
            return None;
        }
        let layers = prefix.iter().map(|layer| (&layer.name, &layer.operation));
        let Experiment {
            data,
            source_model,
            source,
            cache,
            dtype,
            ..
        } = experiment;
        let text = format!(
            "{:?}",
            (
                Vec::from_iter(layers),
                (
                    spec.input,
                    &outline.preprocessing.pixels,
                    &data.root,
                    &data.files
                ),
                (
                    source_model,
                    &source.rename,
                    &experiment.model.initial_weights
                ),
                (cache, dtype),
            )
        );
        let layers = spec.layers.iter().zip(&outline.rates);
        let trained = layers.filter(|(_, rate)| !rate.frozen);
        let trained: usize = trained.map(|(layer, _)| layer.parameter_count()).sum();
        // The model twice, as it is trained and as it is written; gradients, what the optimizer
        // remembers, and new values of what is trained.
        let numbers = 2 * spec.parameter_count() + 4 * trained;
        Some(Self {
            text,
            bytes: (numbers * dtype.size()) as u64,
        })
    }

    /// Whether runs of the two share what is kept.
    pub fn is_like(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// How many of `count` runs are trained at a time: no more than there are processors, nor than
    /// half of the memory that is free holds.
    pub fn abreast(&self, count: usize) -> usize {
        // Where the system does not say how much is free: not much.
        const UNKNOWN: u64 = 4 << 30;
        let fitting = memory::free().unwrap_or(UNKNOWN) / 2 / self.bytes.max(1);
        let most = rayon::current_num_threads().min(fitting as usize);
        count.min(most).max(1)
    }
}

/// Finds the runs to train together.
#[derive(Default)]
pub struct Groups {
    /// By name of the experiment.
    known: HashMap<String, Option<Alike>>,
    opened: Opened,
}

impl Groups {
    /// Those of the `ready` runs, places in `runs`, that train together with the first one; it is
    /// the first of them. Beside it, how many at a time. The models that they start from are there.
    pub fn first(&mut self, ready: &[usize], runs: &[Run]) -> (Vec<usize>, usize) {
        let Some((&first, others)) = ready.split_first() else {
            return (Vec::new(), 1);
        };
        let experiment = &runs[first].experiment;
        let might = |&&other: &&usize| might_share(experiment, &runs[other].experiment);
        let candidates: Vec<usize> = others.iter().filter(might).copied().collect();
        let alone = (vec![first], 1);
        if candidates.is_empty() {
            return alone;
        }
        let Some(alike) = self.alike(experiment) else {
            return alone;
        };
        let mut group = vec![first];
        for other in candidates {
            let theirs = self.alike(&runs[other].experiment);
            if theirs.is_some_and(|theirs| theirs.is_like(&alike)) {
                group.push(other);
            }
        }
        let abreast = alike.abreast(group.len());
        (group, abreast)
    }

    fn alike(&mut self, experiment: &Experiment) -> Option<Alike> {
        let Self { known, opened } = self;
        let known = known.entry(experiment.name.clone());
        let alike = || {
            let outline = opened.outline(experiment).ok()?;
            Alike::of(experiment, &outline)
        };
        known.or_insert_with(alike).clone()
    }
}

/// Trains the runs, `abreast` of them at a time, each of which tells a reporter of its own. `ended`
/// is told of each as it ends, by its place, and says whether to begin others.
///
/// # Errors
/// There can be no threads.
pub fn together(
    runs: &[&Run],
    abreast: usize,
    (force, shared): (bool, &Shared),
    reporter: &(dyn Fn(&Run) -> Box<dyn Reporter> + Sync),
    ended: &mut dyn FnMut(usize, Result<Outcome>) -> bool,
) -> Result<()> {
    let threads = (rayon::current_num_threads() / abreast).max(1);
    let pool = |_| ThreadPoolBuilder::new().num_threads(threads).build();
    let pools = (0..abreast)
        .map(pool)
        .collect::<Result<Vec<ThreadPool>, _>>();
    let pools = pools.map_err(|error| Error::new(format!("cannot start threads: {error}")))?;
    let (next, halted) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, outcomes) = channel();
    thread::scope(|scope| {
        for pool in &pools {
            let sender = sender.clone();
            let (next, halted) = (&next, &halted);
            scope.spawn(move || {
                while !halted.load(Ordering::SeqCst) {
                    let place = next.fetch_add(1, Ordering::SeqCst);
                    let Some(run) = runs.get(place) else { break };
                    let mut reporter = reporter(run);
                    let outcome = within(Some(pool), run, force, shared, reporter.as_mut());
                    // Whoever listens does so to the end.
                    let _ = sender.send((place, outcome));
                }
            });
        }
        drop(sender);
        for (place, outcome) in outcomes {
            if !ended(place, outcome) {
                halted.store(true, Ordering::SeqCst);
            }
        }
    });
    Ok(())
}

/// Whether it is worth reading the models of the two to find out.
fn might_share(one: &Experiment, other: &Experiment) -> bool {
    let freezes = |experiment: &Experiment| {
        let Multipliers {
            default,
            imported,
            layers,
        } = &experiment.learning_rate_multiplier;
        layers
            .values()
            .chain([default, imported])
            .any(|&factor| factor == 0.0)
    };
    freezes(one)
        && freezes(other)
        && one.cache == other.cache
        && one.data.files == other.data.files
        && one.source_model == other.source_model
}
