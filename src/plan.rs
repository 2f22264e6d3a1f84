//! From experiments to ordered runs: a run that starts from a model that another run leaves, as its
//! source model or its initial weights, comes after it. Pure: it opens no file and does not know whether one exists.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::config::experiment::Experiment;
use crate::error::{Error, Result};
use crate::results::{self, record};

/// One training: an experiment with one of its seeds.
#[derive(Debug, Clone)]
pub struct Run {
    pub experiment: Arc<Experiment>,
    pub seed: u64,
    /// Directory of its record.
    pub dir: PathBuf,
    /// The models that this run starts from and other runs leave: the file, and that run by its
    /// place in the plan.
    pub after: Vec<(PathBuf, usize)>,
}

impl Run {
    /// `faces/fine_tuning`, or `faces/fine_tuning, seed 2` where there are several.
    pub fn name(&self) -> String {
        match self.experiment.seeds.len() {
            1 => self.experiment.name.clone(),
            _ => format!("{}, seed {}", self.experiment.name, self.seed),
        }
    }

    /// The run, by its place in the plan, that leaves the file `model`, from which this one starts.
    pub fn maker(&self, model: &Path) -> Option<usize> {
        let found = self.after.iter().find(|(path, _)| path == model);
        found.map(|&(_, maker)| maker)
    }

    /// The files in which the run leaves its model.
    fn models(&self) -> impl Iterator<Item = PathBuf> {
        let kept = self.dir.join(record::MODEL);
        std::iter::once(kept).chain(self.experiment.save_path.clone())
    }
}

/// All runs of `experiments`, their records below `results`, each after those whose models it starts from;
/// otherwise in the given order.
///
/// # Errors
/// Two runs that would write one model file; runs that wait for one another.
pub fn order(experiments: Vec<Experiment>, results: &Path) -> Result<Vec<Run>> {
    let runs: Vec<Run> = experiments
        .into_iter()
        .flat_map(|e| runs_of(e, results))
        .collect();
    let makers = makers(&runs, results)?;
    let waits_for: Vec<Vec<usize>> = makers
        .iter()
        .map(|made| made.iter().map(|&(_, maker)| maker).collect())
        .collect();
    let order = sorted(&waits_for).map_err(|index| {
        Error::new("the model that it starts from comes, in a circle, from itself")
            .at(runs[index].name())
    })?;
    // Where each run has gone.
    let mut places = vec![0; order.len()];
    for (place, &index) in order.iter().enumerate() {
        places[index] = place;
    }
    let placed = |(model, maker): &(PathBuf, usize)| (model.clone(), places[*maker]);
    Ok(order
        .iter()
        .map(|&index| Run {
            after: makers[index].iter().map(placed).collect(),
            ..runs[index].clone()
        })
        .collect())
}

/// Of each run, the models that it starts from and others leave, with the places of those.
fn makers(runs: &[Run], results: &Path) -> Result<Vec<Vec<(PathBuf, usize)>>> {
    let models = models_left(runs)?;
    let singles = models_of_single_seeds(runs, results);
    let of_run = |run: &Run| -> Result<Vec<(PathBuf, usize)>> {
        let mut made = Vec::new();
        for model in run.experiment.models_read() {
            match models.get(&plain(model)) {
                Some(&maker) => made.push((model.to_path_buf(), maker)),
                None => check_for_seeds(run, model, &singles)?,
            }
        }
        Ok(made)
    };
    runs.iter().map(of_run).collect()
}

/// The models that `runs` leave, with the place of the run that leaves each.
fn models_left(runs: &[Run]) -> Result<HashMap<PathBuf, usize>> {
    let mut models = HashMap::new();
    for (index, run) in runs.iter().enumerate() {
        for model in run.models().map(|path| plain(&path)) {
            if let Some(&other) = models.get(&model) {
                let other: &Run = &runs[other];
                return Err(
                    Error::new(format!("{} writes this model too", other.name()))
                        .at(model.display())
                        .at(run.name())
                        .help("give each experiment its own save_path; with several seeds, none"),
                );
            }
            models.insert(model, index);
        }
    }
    Ok(models)
}

/// The models that experiments would leave if they had a single seed, each with its first run.
fn models_of_single_seeds<'a>(runs: &'a [Run], results: &Path) -> HashMap<PathBuf, &'a Run> {
    let mut singles = HashMap::new();
    for run in runs {
        let dir = results::record_dir(results, &run.experiment.name, run.seed, false);
        singles
            .entry(plain(&dir.join(record::MODEL)))
            .or_insert(run);
    }
    singles
}

/// A model that an experiment would leave if it had a single seed is a mistake.
fn check_for_seeds(run: &Run, model: &Path, singles: &HashMap<PathBuf, &Run>) -> Result<()> {
    let model = plain(model);
    match singles.get(&model) {
        Some(maker) => Err(Error::new(format!(
            "{} is the model of {}, which has several seeds",
            model.display(),
            maker.experiment.name
        ))
        .at(run.name())
        .help(format!(
            "name one of them: {}",
            maker.dir.join(record::MODEL).display()
        ))),
        None => Ok(()),
    }
}

/// The models that the runs of `experiment` would leave, as [`plain`] has their paths.
pub fn left_by(experiment: &Experiment, results: &Path) -> Vec<PathBuf> {
    let runs = runs_of(experiment.clone(), results);
    let models = runs.iter().flat_map(Run::models);
    models.map(|path| plain(&path)).collect()
}

fn runs_of(experiment: Experiment, results: &Path) -> Vec<Run> {
    let experiment = Arc::new(experiment);
    let several = experiment.seeds.len() > 1;
    let run = |&seed: &u64| Run {
        experiment: experiment.clone(),
        seed,
        dir: results::record_dir(results, &experiment.name, seed, several),
        after: Vec::new(),
    };
    experiment.seeds.iter().map(run).collect()
}

/// Indices such that each comes after all that it waits for; or one that waits in a circle.
fn sorted(waits_for: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    let mut order = Vec::with_capacity(waits_for.len());
    let mut placed = vec![false; waits_for.len()];
    for start in 0..waits_for.len() {
        // The next is the last; each waits for those behind it.
        let mut chain = vec![start];
        while let Some(&index) = chain.last() {
            let open = waits_for[index].iter().find(|&&other| !placed[other]);
            match open {
                _ if placed[index] => {
                    chain.pop();
                }
                Some(other) if chain.contains(other) => return Err(*other),
                Some(&other) => chain.push(other),
                None => {
                    placed[index] = true;
                    order.push(index);
                }
            }
        }
    }
    Ok(order)
}

/// The path without `.` components, so that `./results/a` and `results/a` are one file.
pub fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_comes_after_the_one_it_waits_for_and_otherwise_in_the_given_order() {
        assert_eq!(
            sorted(&[vec![2], vec![], vec![], vec![0]]),
            Ok(vec![2, 0, 1, 3])
        );
        assert_eq!(sorted(&[vec![2, 1], vec![2], vec![]]), Ok(vec![2, 1, 0]));
        assert_eq!(sorted(&[vec![], vec![]]), Ok(vec![0, 1]));
    }

    #[test]
    fn runs_that_wait_for_one_another_are_an_error() {
        assert!(sorted(&[vec![1], vec![0]]).is_err());
        assert!(sorted(&[vec![0]]).is_err());
    }
}
