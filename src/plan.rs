//! From experiments to ordered runs: a run whose `source_model` is what another run leaves comes
//! after it. Pure: it opens no file and does not know whether one exists.

use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use crate::config::experiment::Experiment;
use crate::error::{Error, Result};
use crate::results::{self, record};

/// One training: an experiment with one of its seeds.
#[derive(Debug, Clone)]
pub struct Run {
    pub experiment: Rc<Experiment>,
    pub seed: u64,
    /// Directory of its record.
    pub dir: PathBuf,
    /// The run, by its place in the plan, that leaves this run's source model.
    pub after: Option<usize>,
}

impl Run {
    /// `faces/fine_tuning`, or `faces/fine_tuning, seed 2` where there are several.
    pub fn name(&self) -> String {
        match self.experiment.seeds.len() {
            1 => self.experiment.name.clone(),
            _ => format!("{}, seed {}", self.experiment.name, self.seed),
        }
    }

    /// The files in which the run leaves its model.
    fn models(&self) -> impl Iterator<Item = PathBuf> {
        let kept = self.dir.join(record::MODEL);
        std::iter::once(kept).chain(self.experiment.save_path.clone())
    }
}

/// All runs of `experiments`, their records below `results`, each after the run it imports from;
/// otherwise in the given order.
///
/// # Errors
/// Two runs that would write one model file; runs that wait for one another.
pub fn order(experiments: Vec<Experiment>, results: &Path) -> Result<Vec<Run>> {
    let runs: Vec<Run> = experiments
        .into_iter()
        .flat_map(|e| runs_of(e, results))
        .collect();
    let mut models: Vec<(PathBuf, usize)> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        for model in run.models().map(|path| plain(&path)) {
            if let Some((_, other)) = models.iter().find(|(path, _)| *path == model) {
                return Err(
                    Error::new(format!("{} writes this model too", runs[*other].name()))
                        .at(model.display())
                        .at(run.name())
                        .help("give each experiment its own save_path; with several seeds, none"),
                );
            }
            models.push((model, index));
        }
    }
    let maker = |run: &Run| {
        let source = plain(run.experiment.source_model.as_deref()?);
        models
            .iter()
            .find(|(path, _)| *path == source)
            .map(|&(_, index)| index)
    };
    let makers: Vec<Option<usize>> = runs.iter().map(maker).collect();
    for run in runs
        .iter()
        .zip(&makers)
        .filter(|(_, maker)| maker.is_none())
        .map(|(run, _)| run)
    {
        check_for_seeds(run, &runs, results)?;
    }
    let order = sorted(&makers).map_err(|index| {
        Error::new("its source model comes, in a circle, from itself").at(runs[index].name())
    })?;
    let place_of = |old: usize| order.iter().position(|&index| index == old);
    Ok(order
        .iter()
        .map(|&index| Run {
            after: makers[index].and_then(place_of),
            ..runs[index].clone()
        })
        .collect())
}

/// A source model that an experiment would leave if it had a single seed is a mistake.
fn check_for_seeds(run: &Run, runs: &[Run], results: &Path) -> Result<()> {
    let Some(source) = run.experiment.source_model.as_deref().map(plain) else {
        return Ok(());
    };
    let would_leave = |maker: &&Run| {
        let single = results::record_dir(results, &maker.experiment.name, maker.seed, false);
        plain(&single.join(record::MODEL)) == source
    };
    match runs.iter().find(would_leave) {
        Some(maker) => Err(Error::new(format!(
            "its source model is that of {}, which has several seeds",
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

/// Whether a run of `experiment` would leave the file `model`.
pub fn leaves(experiment: &Experiment, results: &Path, model: &Path) -> bool {
    let model = plain(model);
    runs_of(experiment.clone(), results)
        .iter()
        .any(|run| run.models().any(|path| plain(&path) == model))
}

fn runs_of(experiment: Experiment, results: &Path) -> Vec<Run> {
    let experiment = Rc::new(experiment);
    let several = experiment.seeds.len() > 1;
    let run = |&seed: &u64| Run {
        experiment: experiment.clone(),
        seed,
        dir: results::record_dir(results, &experiment.name, seed, several),
        after: None,
    };
    experiment.seeds.iter().map(run).collect()
}

/// Indices such that each comes after the one it waits for; or one that waits in a circle.
fn sorted(waits_for: &[Option<usize>]) -> Result<Vec<usize>, usize> {
    let mut order = Vec::with_capacity(waits_for.len());
    let mut placed = vec![false; waits_for.len()];
    for start in 0..waits_for.len() {
        let mut chain = Vec::new();
        let mut next = Some(start);
        while let Some(index) = next.filter(|&index| !placed[index]) {
            if chain.contains(&index) {
                return Err(index);
            }
            chain.push(index);
            next = waits_for[index];
        }
        for index in chain.into_iter().rev() {
            placed[index] = true;
            order.push(index);
        }
    }
    Ok(order)
}

/// The path without `.` components, so that `./results/a` and `results/a` are one file.
fn plain(path: &Path) -> PathBuf {
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
            sorted(&[Some(2), None, None, Some(0)]),
            Ok(vec![2, 0, 1, 3])
        );
        assert_eq!(sorted(&[None, None]), Ok(vec![0, 1]));
    }

    #[test]
    fn runs_that_wait_for_one_another_are_an_error() {
        assert!(sorted(&[Some(1), Some(0)]).is_err());
        assert!(sorted(&[Some(0)]).is_err());
    }
}
