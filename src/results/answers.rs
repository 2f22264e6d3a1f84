//! What a run answered on its test samples, as far as comparing needs it: the labels, and which were
//! told right. Of `outputs.csv`, the confidences are passed over.

use std::fs::File;
use std::path::Path;

use super::loaded::LoadedRecord;
use super::record::{OUTPUTS, Record};
use crate::error::{At, Error, Result};

/// A run's answers, in the order of the test file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The correct classes.
    pub labels: Vec<usize>,
    /// Which were predicted.
    pub right: Vec<bool>,
}

impl Answers {
    /// Reads them from `outputs.csv` in `dir`, and compares them with what `record`, the one that
    /// stands there, says of them.
    ///
    /// Errors: the file is missing or damaged; or its number of samples or its accuracy is not the
    /// record's.
    pub fn read(dir: &Path, record: &Record) -> Result<Self> {
        let path = dir.join(OUTPUTS);
        let file = File::open(&path).at(path.display())?;
        let answers = from_csv(csv::Reader::from_reader(file));
        let answers = answers.and_then(|answers| answers.of(record).map(|()| answers));
        answers.at(path.display())
    }

    fn of(&self, record: &Record) -> Result<()> {
        let samples = self.right.len();
        let expected = record.data.test.samples;
        if samples as u64 != expected {
            return Err(Error::new(format!(
                "{samples} samples, where the record says {expected}"
            )));
        }
        let right = self.right.iter().filter(|right| **right).count();
        let stated = record.metrics.accuracy * samples as f64;
        // Not `>=`: an accuracy that is no number is not the record's either.
        let same = (right as f64 - stated).abs() < 0.5;
        if !same {
            return Err(Error::new(format!(
                "{right} of {samples} samples are told right, where the record says {stated:.0}"
            )));
        }
        Ok(())
    }
}

impl LoadedRecord {
    /// As [`Answers::read`].
    pub fn answers(&self) -> Result<Answers> {
        Answers::read(&self.dir, &self.record)
    }
}

fn from_csv(mut reader: csv::Reader<File>) -> Result<Answers> {
    let damaged = |error: csv::Error| Error::new(error.to_string());
    let header = reader.headers().map_err(damaged)?;
    if header.iter().take(3).ne(["index", "label", "predicted"]) {
        return Err(Error::new(
            "the first columns are not index, label, predicted",
        ));
    }
    let mut answers = Answers {
        labels: Vec::new(),
        right: Vec::new(),
    };
    for record in reader.records() {
        let record = record.map_err(damaged)?;
        let number = |column: usize| -> Result<usize> {
            let field = record.get(column).unwrap_or("");
            let problem = || Error::new(format!("`{field}` is not the number it should be"));
            field.parse().map_err(|_| problem())
        };
        let line = record.position().map_or(0, csv::Position::line);
        let read = || Ok::<_, Error>((number(0)?, number(1)?, number(2)?));
        let (index, label, predicted) = read().at(format!("line {line}"))?;
        if index != answers.right.len() {
            let problem = format!("sample {index} in the place of {}", answers.right.len());
            return Err(Error::new(problem).at(format!("line {line}")));
        }
        answers.labels.push(label);
        answers.right.push(label == predicted);
    }
    Ok(answers)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::record::tests::example;
    use super::super::rows::{OutputRow, write_outputs};
    use super::*;
    use std::fs;

    /// Puts `outputs.csv` there, with the record's accuracy: every second sample's label is 1, and
    /// the first samples are told right.
    pub(crate) fn put_outputs(dir: &Path, record: &Record) {
        let samples = record.data.test.samples as usize;
        let right = (record.metrics.accuracy * samples as f64).round() as usize;
        let rows: Vec<OutputRow> = (0..samples)
            .map(|index| OutputRow {
                index,
                label: index % 2,
                predicted: (index + usize::from(index >= right)) % 2,
                confidences: vec![0.5, 0.5],
            })
            .collect();
        fs::create_dir_all(dir).unwrap();
        write_outputs(&dir.join(OUTPUTS), &rows).unwrap();
    }

    fn edited(from: &str, to: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let record = example("faces", 1, 0.75);
        put_outputs(directory.path(), &record);
        let path = directory.path().join(OUTPUTS);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = Answers::read(directory.path(), &record).unwrap_err();
        let place = format!("{}: ", path.display());
        error.to_string().replace(&place, "")
    }

    #[test]
    fn answers_are_read_without_their_confidences() {
        let directory = tempfile::tempdir().unwrap();
        let record = example("faces", 1, 0.75);
        put_outputs(directory.path(), &record);
        let answers = Answers::read(directory.path(), &record).unwrap();
        assert_eq!(answers.labels[..4], [0, 1, 0, 1]);
        assert!(answers.right[1499] && !answers.right[1500]);
    }

    #[test]
    fn what_is_wrong_with_the_outputs_is_named() {
        let missing = Answers::read(Path::new("no/such"), &example("faces", 1, 0.75));
        let missing = missing.unwrap_err().to_string();
        assert!(missing.contains("no/such/outputs.csv"), "{missing}");
        assert_eq!(
            edited("\n7,1,1,", "\n7,x,1,"),
            "line 9: `x` is not the number it should be"
        );
        assert_eq!(
            edited("\n7,1,1,", "\n8,1,1,"),
            "line 9: sample 8 in the place of 7"
        );
        assert_eq!(
            edited("\n1999,1,0,0.5,0.5", ""),
            "1999 samples, where the record says 2000"
        );
        assert_eq!(
            edited("\n7,1,1,", "\n7,1,0,"),
            "1499 of 2000 samples are told right, where the record says 1500"
        );
        assert!(edited("label", "lable").starts_with("the first columns are not"));
    }
}
