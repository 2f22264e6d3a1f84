//! What may be read of a submission: regular files inside it, so many and so large; and paths in its
//! files that stay inside.
//!
//! A submission is somebody else's. Nothing here follows a link, opens a device or trusts a name. It
//! does not know what the files mean.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use toml_edit::{Document, Item, TableLike, Value};

use super::finding::{Finding, Kind};
use super::rubric::Limits;
use crate::error::{At, Error, Result};

/// Directories inside one another, at most.
const DEPTH: usize = 24;

/// Bytes of a text that is read whole: experiments and `record.json`.
const TEXT: u64 = 4 << 20;

/// What a submission consists of, as far as it may be read.
#[derive(Debug, Default)]
pub struct Walked {
    /// Relative paths with `/`, sorted, and lengths.
    pub files: Vec<(String, u64)>,
    /// What was passed over, and why.
    pub findings: Vec<Finding>,
    entries: u64,
}

/// Lists the regular files below `root`. Links, special files and what goes beyond `limits` are
/// findings, and are not listed; hidden files are passed over.
///
/// # Errors
/// `root` cannot be read.
pub fn walk(root: &Path, limits: &Limits) -> Result<Walked> {
    let mut walked = Walked::default();
    walked.directory(root, "", 0, limits)?;
    walked.files.sort();
    walked.findings.sort();
    Ok(walked)
}

impl Walked {
    fn directory(&mut self, dir: &Path, place: &str, depth: usize, limits: &Limits) -> Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir).at(dir.display())? {
            self.entries += 1;
            if self.entries > limits.max_files {
                let text = format!("there are more than {} files", limits.max_files);
                let finding = Finding::new(Kind::TooManyFiles, "", text)
                    .help("hand in experiments and records only; the rest was not looked at");
                if !self.findings.contains(&finding) {
                    self.findings.push(finding);
                }
                break;
            }
            entries.push(entry.at(dir.display())?.file_name());
        }
        entries.sort();
        for name in entries {
            let Some(text) = name.to_str().filter(|text| !text.contains(['\n', '\\'])) else {
                let lossy = name.to_string_lossy();
                let shown = lossy.replace(|c: char| c.is_control(), "?");
                self.find(
                    Kind::StrangeFile,
                    place,
                    &format!("its name is no plain text: {shown}"),
                );
                continue;
            };
            if text.starts_with('.') {
                continue;
            }
            let place = match place {
                "" => text.to_owned(),
                place => format!("{place}/{text}"),
            };
            self.entry(&dir.join(&name), place, depth, limits)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, place: String, depth: usize, limits: &Limits) -> Result<()> {
        let metadata = fs::symlink_metadata(path).at(path.display())?;
        let kind = metadata.file_type();
        if kind.is_symlink() {
            self.find(
                Kind::Symlink,
                &place,
                "it is a symbolic link, and was not followed",
            );
        } else if kind.is_dir() && depth == DEPTH {
            self.find(
                Kind::StrangeFile,
                &place,
                "directories are nested too deeply",
            );
        } else if kind.is_dir() {
            self.directory(path, &place, depth + 1, limits)?;
        } else if !kind.is_file() {
            self.find(
                Kind::StrangeFile,
                &place,
                "it is neither a file nor a directory",
            );
        } else if metadata.len() > limits.max_file_bytes() {
            let (is, most) = (metadata.len(), limits.max_file_bytes());
            let text = format!("it has {is} bytes, of {most} allowed, and was not read");
            self.find(Kind::FileTooLarge, &place, &text);
        } else {
            self.files.push((place, metadata.len()));
        }
        Ok(())
    }

    fn find(&mut self, kind: Kind, place: &str, text: &str) {
        let remedy = match kind {
            Kind::Symlink => "hand in the file itself",
            Kind::FileTooLarge => "make it smaller, or leave it away",
            _ => "leave it away",
        };
        self.findings
            .push(Finding::new(kind, place, text).help(remedy));
    }
}

/// Opens a file of a submission; nobody has made a link of it since it was listed.
///
/// # Errors
/// It cannot be opened, or is no longer a regular file.
pub fn open(path: &Path) -> Result<File> {
    let before = fs::symlink_metadata(path).at(path.display())?;
    let replaced = || Error::new("it is no regular file").at(path.display());
    if !before.is_file() {
        return Err(replaced());
    }
    let file = File::open(path).at(path.display())?;
    let opened = file.metadata().at(path.display())?;
    match opened.is_file() && is_same(&before, &opened) {
        true => Ok(file),
        false => Err(replaced()),
    }
}

/// Reads a text of a submission whole.
///
/// # Errors
/// As [`open`]; it is no UTF-8, or longer than any honest one.
pub fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let mut file = open(path)?.take(TEXT + 1);
    let read = file
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Error::new("it is no text in UTF-8"),
            _ => error.into(),
        });
    match read.at(path.display())? as u64 > TEXT {
        true => Err(Error::new(format!("it is longer than {TEXT} bytes")).at(path.display())),
        false => Ok(text),
    }
}

/// The paths in an experiment's text that leave the submission. `place` is the file's own. What is
/// not TOML has none: reading it as an experiment says what is wrong.
pub fn escapes_of_experiment(text: &str, place: &str) -> Vec<Finding> {
    let Ok(document) = Document::parse(text) else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    collect(document.as_table(), "", &mut paths);
    let home = Path::new(place).parent().unwrap_or(Path::new(""));
    let escapes = paths.into_iter().filter(|(key, path)| match key.as_str() {
        "extends" => !stays_inside(home, path),
        _ => !stays_inside(Path::new(""), path),
    });
    escapes
        .map(|(key, path)| escape(place, &key, &path))
        .collect()
}

/// The finding that the value of `key` leaves the submission.
pub fn escape(place: &str, key: &str, path: &str) -> Finding {
    let text = format!("`{key} = {path:?}` leaves the submission, and was not looked at");
    let help = "use relative paths without `..` that lead out of the submission; the data are the \
                grader's";
    Finding::new(Kind::PathEscape, place, text).help(help)
}

/// Whether the relative `path`, seen from `home` inside the submission, stays inside it.
pub fn stays_inside(home: &Path, path: &str) -> bool {
    // What is an absolute path on another system is none here.
    let foreign = path.contains('\\') || path.get(1..2) == Some(":") || path.contains('\0');
    if foreign {
        return false;
    }
    let mut depth = 0usize;
    for component in home.join(path).components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// `place` with `base` from the directory of `place` taken in, without `..`.
pub fn beside(place: &str, base: &str) -> String {
    let home = Path::new(place).parent().unwrap_or(Path::new(""));
    let mut plain = PathBuf::new();
    for component in home.join(base).components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
    }
    plain.to_string_lossy().into_owned()
}

/// Keys whose values are paths.
const PATHS: &[&str] = &[
    "extends",
    "source_model",
    "save_path",
    "cache_directory",
    "data.root",
    "data.train",
    "data.test",
    "model.initial_weights",
];

fn collect(table: &dyn TableLike, above: &str, paths: &mut Vec<(String, String)>) {
    for (key, item) in table.iter() {
        let key = match above {
            "" => key.to_owned(),
            above => format!("{above}.{key}"),
        };
        match item {
            Item::Value(Value::String(text)) if PATHS.contains(&key.as_str()) => {
                paths.push((key, text.value().clone()));
            }
            item => {
                if let Some(table) = item.as_table_like() {
                    collect(table, &key, paths);
                }
            }
        }
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_inside_whatever_it_is_called() {
        for path in ["a", "./a", "a/../b", "results/a/model.safetensors", ""] {
            assert!(stays_inside(Path::new(""), path), "{path}");
        }
        for path in [
            "..",
            "/etc/passwd",
            "a/../../b",
            "C:/x",
            "..\\x",
            "\\\\host\\x",
        ] {
            assert!(!stays_inside(Path::new(""), path), "{path}");
        }
        assert!(stays_inside(Path::new("experiments/a"), "../base.toml"));
        assert!(!stays_inside(Path::new("experiments"), "../../base.toml"));
        assert_eq!(
            beside("experiments/a/b.toml", "../base.toml"),
            "experiments/base.toml"
        );
    }

    #[test]
    fn every_path_of_an_experiment_is_looked_at_however_it_is_written() {
        let found = |text| escapes_of_experiment(text, "experiments/a.toml").len();
        assert_eq!(found("source_model = \"/models/x.p\""), 1);
        assert_eq!(found("data.root = \"/data\"\ndata.train = \"../x.h5\""), 2);
        assert_eq!(found("[data]\ntest = \"../../x.h5\""), 1);
        assert_eq!(
            found("data = { root = \"/\" }\n[model]\ninitial_weights = \"/w\""),
            2
        );
        assert_eq!(
            found("extends = \"../base.toml\"\nname = \"/not/a/path\""),
            0
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_walk_follows_no_link_and_lists_what_it_passes_over() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("results")).unwrap();
        fs::write(root.join("results/a.csv"), "1").unwrap();
        fs::write(root.join("large"), vec![0; 2000]).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("results/etc")).unwrap();
        let limits = Limits {
            max_file_size: 1000.0 / 1e9,
            ..Limits::default()
        };
        let walked = walk(root, &limits).unwrap();
        assert_eq!(walked.files, [("results/a.csv".to_owned(), 1)]);
        let kinds: Vec<_> = walked.findings.iter().map(|found| found.kind).collect();
        assert_eq!(kinds, [Kind::Symlink, Kind::FileTooLarge]);
        assert!(open(&root.join("results/etc")).is_err());
        let few = Limits {
            max_files: 2,
            ..Limits::default()
        };
        let kinds = walk(root, &few).unwrap().findings;
        assert!(kinds.iter().any(|found| found.kind == Kind::TooManyFiles));
    }
}
