//! The one error type: what failed, where, and what to do about it.
//!
//! Every message that a person can see is built here, so that all of them read alike:
//! `place: problem`, followed by a line `help: remedy` where there is one. It knows nothing of
//! terminals and exit codes.

use std::fmt;

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
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
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
    fn an_error_reads_place_problem_remedy() {
        let error = Error::new("no layer matches").at("key").at("file.toml");
        let error = error.help("see `graft plan`").help("ignored");
        assert_eq!(
            error.to_string(),
            "file.toml: key: no layer matches\n  help: see `graft plan`"
        );
    }
}
