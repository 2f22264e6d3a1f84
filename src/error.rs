//! The one error type: what failed, where, and what to do about it.
//!
//! Every message that a person can see is built here, so that all of them read alike:
//! `place: problem`, followed by a line `help: remedy` where there is one. It knows nothing of
//! terminals and exit codes.

use std::fmt;
use std::io::ErrorKind;

/// `Result` with graft's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure that a person can read: the place (a file, a layer, a key), the problem, the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    place: Option<String>,
    problem: String,
    remedy: Option<String>,
}

impl Error {
    /// An error that says what is wrong. Lower case, no full stop.
    pub fn new(problem: impl Into<String>) -> Self {
        Self {
            place: None,
            problem: problem.into(),
            remedy: None,
        }
    }

    /// Names the file or the thing in which the problem was found. A place that is there already
    /// is kept behind the new one: `outer: inner: problem`.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(match self.place {
            Some(inner) => format!("{place}: {inner}"),
            None => place.to_string(),
        });
        self
    }

    /// Says what the reader can do about it. A remedy that is there already is kept.
    pub fn help(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.get_or_insert_with(|| remedy.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.problem)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "\n  help: {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    /// With a remedy where it does not depend on the file.
    fn from(error: std::io::Error) -> Self {
        let remedy = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "make room on that disk and give the same command again: what is complete is kept"
            }
            ErrorKind::FileTooLarge => {
                "raise the limit on the size of files (`ulimit -f`) and give the same command again"
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                "give yourself the right to write there, or run graft in another directory"
            }
            _ => return Self::new(error.to_string()),
        };
        Self::new(error.to_string()).help(remedy)
    }
}

/// Adds a place to whatever went wrong below: `fs::read(path).at(path.display())?`.
pub trait At<T> {
    /// Converts the failure to an [`Error`] at `place`.
    fn at(self, place: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> At<T> for std::result::Result<T, E> {
    fn at(self, place: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().at(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_remedy_and_one_that_is_said_before_is_kept() {
        let full = || std::io::Error::from(ErrorKind::StorageFull);
        let error = Error::from(full()).at("model.safetensors").help("ignored");
        let text = error.to_string();
        assert!(
            text.starts_with("model.safetensors: ") && text.contains("help: make room"),
            "{text}"
        );
    }

    #[test]
    fn an_error_reads_place_problem_remedy() {
        let error = Error::new("no layer matches").at("key").at("file.toml");
        let error = error.help("see `graft plan`").help("ignored");
        assert_eq!(
            error.to_string(),
            "file.toml: key: no layer matches\n  help: see `graft plan`"
        );
    }
}
