//! The name of a record: a relative path below the results.

use std::path::{Component, Path};

use crate::error::{Error, Result};

/// The name that a file's path gives: what follows the last directory called `experiments`,
/// without extension, else the file's own name.
///
/// # Errors
/// The path gives no safe name.
pub fn from_path(path: &Path) -> Result<String> {
    let bare = path.with_extension("");
    let components: Vec<_> = bare.components().collect();
    let is_root = |component: &Component| component.as_os_str() == "experiments";
    let parents = &components[..components.len().saturating_sub(1)];
    let start = parents.iter().rposition(is_root).map(|root| root + 1);
    let start = start.unwrap_or(components.len().saturating_sub(1));
    let steps = components[start..].iter();
    let steps: Vec<_> = steps
        .map(|step| step.as_os_str().to_string_lossy())
        .collect();
    checked(&steps.join("/")).map_err(|problem| {
        Error::new(problem)
            .at(path.display())
            .help("the file's path names the experiment; give it a `name` of its own")
    })
}

/// The name if it is a safe relative path: it stays below the results and is no option of a shell.
pub fn checked(name: &str) -> Result<String, String> {
    let unsafe_step = |step: &str| {
        let unfit = |c: char| c.is_control() || r#"\:*?"<>|"#.contains(c);
        step.is_empty() || step.starts_with(['.', '-', ' ']) || step.contains(unfit)
    };
    if name.split('/').any(unsafe_step) {
        return Err(format!("\"{name}\" cannot be the name of an experiment"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_path_below_experiments() {
        let name = |path: &str| from_path(Path::new(path)).unwrap();
        assert_eq!(
            name("experiments/faces/fine_tuning.toml"),
            "faces/fine_tuning"
        );
        assert_eq!(name("/a/experiments/b/experiments/c.toml"), "c");
        assert_eq!(name("./experiments/source.toml"), "source");
        assert_eq!(name("experiments/v1.5.toml"), "v1.5");
    }

    #[test]
    fn without_such_a_directory_it_is_the_file_stem() {
        let name = |path: &str| from_path(Path::new(path)).unwrap();
        assert_eq!(name("somewhere/else/run.toml"), "run");
        assert_eq!(name("run.toml"), "run");
        assert_eq!(name("experiments.toml"), "experiments");
    }

    #[test]
    fn a_name_never_leaves_the_results() {
        for name in [
            "", "..", "../x", "/etc/x", "a//b", "a/../b", ".hidden", "-f", "c:\\x", "a\nb",
        ] {
            assert!(checked(name).is_err(), "{name}");
        }
        assert!(from_path(Path::new("experiments/../x.toml")).is_err());
        for name in ["a", "faces/fine_tuning", "größe 2", "v1.5-b"] {
            assert_eq!(checked(name), Ok(name.to_owned()));
        }
    }
}
