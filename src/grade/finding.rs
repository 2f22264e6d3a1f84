//! What is wrong with a submission, by name: the words of the table of verdicts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of finding. Its [`name`](Kind::name) stands in `grades.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A path that leaves the submission.
    PathEscape,
    /// A symbolic link.
    Symlink,
    /// Neither a file nor a directory, a name that is no text, too deep.
    StrangeFile,
    /// More files than allowed.
    TooManyFiles,
    /// A file larger than allowed.
    FileTooLarge,
    /// An experiment that graft does not take: a typo in a key, a wrong type.
    InvalidExperiment,
    /// More parameters than allowed.
    HugeModel,
    /// More epochs than allowed.
    EndlessEpochs,
    /// A re-run took more time or memory than allowed.
    OverLimit,
    /// A record that cannot be read.
    DamagedRecord,
    /// An experiment without a record.
    NotRun,
    /// A record whose experiment is not the submitted one.
    OtherExperiment,
    /// A regime that is asked for and not there.
    MissingRegime,
    /// Data that are not the grader's.
    OtherData,
    /// The test file served as training file.
    TrainedOnTest,
    /// A source model that is neither the grader's nor a verified one of the submission.
    SourceModelReplaced,
    /// Frozen, it says; but trained.
    NotFrozen,
    /// Another number of epochs than stated.
    OtherEpochs,
    /// Another seed than stated, or than assigned.
    OtherSeed,
    /// Metrics that the run did not have.
    MetricsEdited,
    /// Outputs that the model does not give.
    OutputsEdited,
    /// A model that the run did not leave.
    WeightsSwapped,
    /// Parts of the record contradict one another in some other way.
    Inconsistent,
    /// The re-run comes to something else, and no more is known.
    NotReproduced,
    /// The re-run could not be made.
    NotVerified,
    /// The same run as in another submission.
    Copied,
}

impl Kind {
    /// The word for it in tables, as in `grades.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::PathEscape => "path_escape",
            Kind::Symlink => "symlink",
            Kind::StrangeFile => "strange_file",
            Kind::TooManyFiles => "too_many_files",
            Kind::FileTooLarge => "file_too_large",
            Kind::InvalidExperiment => "invalid_experiment",
            Kind::HugeModel => "huge_model",
            Kind::EndlessEpochs => "endless_epochs",
            Kind::OverLimit => "over_limit",
            Kind::DamagedRecord => "damaged_record",
            Kind::NotRun => "not_run",
            Kind::OtherExperiment => "other_experiment",
            Kind::MissingRegime => "missing_regime",
            Kind::OtherData => "other_data",
            Kind::TrainedOnTest => "trained_on_test",
            Kind::SourceModelReplaced => "source_model_replaced",
            Kind::NotFrozen => "not_frozen",
            Kind::OtherEpochs => "other_epochs",
            Kind::OtherSeed => "other_seed",
            Kind::MetricsEdited => "metrics_edited",
            Kind::OutputsEdited => "outputs_edited",
            Kind::WeightsSwapped => "weights_swapped",
            Kind::Inconsistent => "inconsistent",
            Kind::NotReproduced => "not_reproduced",
            Kind::NotVerified => "not_verified",
            Kind::Copied => "copied",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One finding, as a student reads it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    pub kind: Kind,
    /// The file or record, relative to the submission; empty: the submission as a whole.
    pub place: String,
    /// What was found, and what was expected. A sentence without its full stop.
    pub text: String,
    /// What to do about it; empty where there is nothing to say.
    pub remedy: String,
}

impl Finding {
    pub fn new(kind: Kind, place: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind,
            place: place.into(),
            text: text.into(),
            remedy: String::new(),
        }
    }

    /// Says what the student can do about it.
    pub fn help(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "`{}`: ", self.place)?;
        }
        f.write_str(&self.text)?;
        if !self.remedy.is_empty() {
            write!(f, " – {}", self.remedy)?;
        }
        Ok(())
    }
}
