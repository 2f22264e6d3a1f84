//! Several paths at once.

use super::super::{Loaded, load_all_with};
use super::*;

impl Bench {
    fn load_all(&self, paths: &[&str]) -> Loaded {
        let paths: Vec<_> = paths.iter().map(|path| self.path(path)).collect();
        load_all_with(&paths, &self.overrides, &self.environment)
    }
}

fn names(loaded: &Loaded) -> Vec<&str> {
    let experiments = loaded.experiments.iter();
    experiments
        .map(|experiment| experiment.name.as_str())
        .collect()
}

#[test]
fn a_directory_means_its_experiments_without_bases_and_subdirectories() {
    let bench = Bench::new(&[
        ("experiments/source.toml", LEAST),
        ("experiments/baseline.toml", LEAST),
        ("experiments/base.toml", "epochs = 3"),
        ("experiments/base_small.toml", "epochs = 3"),
        ("experiments/notes.txt", "nothing"),
        ("experiments/faces/fine_tuning.toml", LEAST),
    ]);
    let loaded = bench.load_all(&["experiments"]);
    assert_eq!(names(&loaded), ["baseline", "source"]);
    assert_eq!(loaded.errors, []);
    let loaded = bench.load_all(&[
        "experiments/faces",
        "experiments",
        "experiments/source.toml",
    ]);
    assert_eq!(names(&loaded), ["faces/fine_tuning", "baseline", "source"]);
    assert_eq!(loaded.errors, []);
}

#[test]
fn a_broken_file_does_not_hide_the_others() {
    let bench = Bench::new(&[("x/a.toml", "epoch = 3"), ("x/b.toml", LEAST)]);
    let loaded = bench.load_all(&["x", "nowhere.toml"]);
    assert_eq!(names(&loaded), ["b"]);
    assert_eq!(loaded.errors.len(), 2);
    let texts: Vec<_> = loaded
        .errors
        .iter()
        .map(|error| error.to_string())
        .collect();
    assert!(
        texts[0].contains("x/a.toml:1:1: unknown key `epoch`"),
        "{}",
        texts[0]
    );
    assert!(
        texts[1].contains("nowhere.toml: No such file"),
        "{}",
        texts[1]
    );
}

#[test]
fn two_experiments_of_one_name_are_an_error_that_names_both_files() {
    let bench = Bench::new(&[("x/a.toml", LEAST), ("y/a.toml", LEAST)]);
    let loaded = bench.load_all(&["x", "y"]);
    assert_eq!(names(&loaded), ["a"]);
    let texts: Vec<_> = loaded
        .errors
        .iter()
        .map(|error| error.to_string())
        .collect();
    assert_eq!(
        bench.without_directory(texts.join("\n")),
        "y/a.toml: the name `a` is that of x/a.toml already\n  \
         help: give one of them another `name`: records are kept by name"
    );
}

#[test]
fn a_directory_without_experiments_is_an_error() {
    let bench = Bench::new(&[("x/base.toml", LEAST)]);
    let loaded = bench.load_all(&["x"]);
    let texts: Vec<_> = loaded
        .errors
        .iter()
        .map(|error| error.to_string())
        .collect();
    assert!(
        texts
            .concat()
            .contains("/x: no experiment in this directory\n  help: ")
    );
}
