//! Folders of images, one for each class.
//!
//! It knows files by their names only: whether they can be decoded is found out later.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{At, Error, Result};

/// Endings of the files that count as images, in lower case.
const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];

/// A class and its image files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassFolder {
    /// Name of the folder.
    pub name: String,
    /// Sorted by name; never empty.
    pub files: Vec<PathBuf>,
}

/// The class folders in `directory`, sorted by name. Hidden folders and files that are no JPEG or
/// PNG are passed over.
///
/// # Errors
/// If there is no folder, or one without images, or one whose name is not UTF-8.
pub fn classes(directory: &Path) -> Result<Vec<ClassFolder>> {
    let mut classes = Vec::new();
    for path in entries(directory)?.into_iter().filter(|path| path.is_dir()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(Error::new("has a name that is not UTF-8").at(path.display()));
        };
        let files: Vec<PathBuf> = entries(&path)?
            .into_iter()
            .filter(|file| is_image(file))
            .collect();
        if files.is_empty() {
            return Err(Error::new("holds no JPEG or PNG file")
                .at(path.display())
                .help("each folder is a class and holds its images: DIR/class/image.jpg"));
        }
        let name = name.to_owned();
        classes.push(ClassFolder { name, files });
    }
    if classes.is_empty() {
        return Err(Error::new("holds no class folders")
            .at(directory.display())
            .help("put the images of each class in a folder: DIR/class/image.jpg"));
    }
    Ok(classes)
}

/// Makes sure that two splits have the same classes.
pub fn check_agreement(train: &[ClassFolder], test: &[ClassFolder]) -> Result<()> {
    let lacks = |split: &[ClassFolder], class: &ClassFolder| {
        !split.iter().any(|other| other.name == class.name)
    };
    if let Some(class) = test.iter().find(|class| lacks(train, class)) {
        let problem = format!("class `{}` is tested, but not trained", class.name);
        return Err(Error::new(problem));
    }
    if let Some(class) = train.iter().find(|class| lacks(test, class)) {
        let problem = format!("class `{}` is trained, but not tested", class.name);
        return Err(Error::new(problem));
    }
    Ok(())
}

/// What is in a directory, sorted, without what is hidden.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).at(directory.display())? {
        let entry = entry.at(directory.display())?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.to_lowercase().as_str()))
}
