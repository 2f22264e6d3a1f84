//! The tables of a record: `metrics.csv` and `timings.csv`, a row an epoch, and `outputs.csv`, a row a
//! test sample.
//!
//! Numbers are written with the fewest digits that read back as the same bits. What takes another
//! time on every machine is in a file of its own: all others are the same bytes whenever the same run
//! is run.

use std::fs::File;
use std::path::Path;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{At, Error, Result};
use crate::files::write_atomically;

/// One epoch of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    /// Complete passes over the training data so far: 1 for the first.
    pub epoch: usize,
    /// Mean cost a sample over the epoch, as seen while training.
    pub training_cost: f64,
    /// Mean cost a sample on the test data; absent where this epoch was not evaluated.
    pub test_cost: Option<f64>,
    /// Share of the test samples predicted right, 0 to 1; absent as `test_cost` is.
    pub accuracy: Option<f64>,
    /// Base learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// The rate of each group of layers in that step. Written `imported=1e-6 default=0.001`.
    #[serde(serialize_with = "write_rates", deserialize_with = "read_rates")]
    pub group_learning_rates: Vec<GroupRate>,
}

/// How long one epoch of training took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// As in [`MetricsRow`].
    pub epoch: usize,
    /// Time of the epoch's training, without evaluation.
    pub seconds: f64,
    /// Training images a second.
    pub images_per_second: f64,
    /// Part of `seconds` in which training waited for its next batch.
    pub seconds_waiting: f64,
}

impl MetricsRow {
    /// The epoch in words, without its time.
    fn line(&self) -> String {
        let evaluated = match (self.test_cost, self.accuracy) {
            (Some(cost), Some(accuracy)) => {
                format!(", test cost {cost:.4}, accuracy {:.2} %", 100.0 * accuracy)
            }
            _ => String::new(),
        };
        format!(
            "epoch {}: training cost {:.4}{evaluated}",
            self.epoch, self.training_cost
        )
    }
}

/// An epoch in words, for logs.
pub fn line(row: &MetricsRow, timing: &Timing) -> String {
    let waiting = 100.0 * timing.seconds_waiting / timing.seconds.max(1e-9);
    format!(
        "{}, {:.1} s, {waiting:.1} % of it waiting for data, {:.0} images/s",
        row.line(),
        timing.seconds,
        timing.images_per_second
    )
}

/// The learning rate of one group of layers.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRate {
    /// Name of the group, without spaces and `=`.
    pub group: String,
    pub learning_rate: f64,
}

/// One test sample.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputRow {
    /// Row in the test file, from 0.
    pub index: usize,
    /// The correct class.
    pub label: usize,
    /// The class with the greatest confidence.
    pub predicted: usize,
    /// One a class, in class order.
    pub confidences: Vec<f64>,
}

/// Writes `metrics.csv` whole, so that each epoch is kept the moment it is over.
///
/// Errors: the file cannot be written.
pub fn write_metrics(path: &Path, rows: &[MetricsRow]) -> Result<()> {
    write_rows(path, rows)
}

/// Writes `timings.csv` whole.
///
/// Errors: the file cannot be written.
pub fn write_timings(path: &Path, rows: &[Timing]) -> Result<()> {
    write_rows(path, rows)
}

/// Reads `metrics.csv`.
///
/// Errors: the file cannot be read, or a row does not hold what it should; the line is named.
pub fn read_metrics(path: &Path) -> Result<Vec<MetricsRow>> {
    read_rows(path)
}

/// Reads `timings.csv`.
///
/// Errors: as [`read_metrics`].
pub fn read_timings(path: &Path) -> Result<Vec<Timing>> {
    read_rows(path)
}

/// Writes `outputs.csv`: `index,label,predicted,confidence_0,confidence_1,…`.
///
/// Errors: the file cannot be written, or the rows differ in their number of confidences.
pub fn write_outputs(path: &Path, rows: &[OutputRow]) -> Result<()> {
    let classes = rows.first().map_or(0, |row| row.confidences.len());
    let mut writer = csv::Writer::from_writer(Vec::new());
    let write = |writer: &mut csv::Writer<_>, record: Vec<String>| writer.write_record(record);
    write(&mut writer, outputs_header(classes))
        .and_then(|()| {
            rows.iter()
                .try_for_each(|row| write(&mut writer, fields(row)))
        })
        .map_err(from_csv)
        .at(path.display())?;
    finish(path, writer)
}

/// Reads `outputs.csv`.
///
/// Errors: the file cannot be read, its columns are others, or a field is not the number it should
/// be; the line is named.
pub fn read_outputs(path: &Path) -> Result<Vec<OutputRow>> {
    let file = File::open(path).at(path.display())?;
    outputs_from(csv::Reader::from_reader(file)).at(path.display())
}

fn outputs_from(mut reader: csv::Reader<File>) -> Result<Vec<OutputRow>> {
    let header = reader.headers().map_err(from_csv)?.clone();
    if header
        .iter()
        .ne(outputs_header(header.len().saturating_sub(3)))
    {
        return Err(Error::new(format!(
            "the columns are not index, label, predicted, confidence_0, …, but {}",
            header.iter().collect::<Vec<_>>().join(", ")
        )));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(from_csv)?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push(output_row(&record).at(format!("line {line}"))?);
    }
    Ok(rows)
}

fn output_row(record: &csv::StringRecord) -> Result<OutputRow> {
    Ok(OutputRow {
        index: number(record.get(0))?,
        label: number(record.get(1))?,
        predicted: number(record.get(2))?,
        confidences: record
            .iter()
            .skip(3)
            .map(|field| number(Some(field)))
            .collect::<Result<_>>()?,
    })
}

fn number<T: std::str::FromStr>(field: Option<&str>) -> Result<T> {
    let field = field.unwrap_or("");
    field
        .parse()
        .map_err(|_| Error::new(format!("`{field}` is not the number it should be")))
}

fn outputs_header(classes: usize) -> Vec<String> {
    let confidences = (0..classes).map(|class| format!("confidence_{class}"));
    ["index", "label", "predicted"]
        .map(str::to_owned)
        .into_iter()
        .chain(confidences)
        .collect()
}

fn fields(row: &OutputRow) -> Vec<String> {
    let integers = [row.index, row.label, row.predicted].map(|integer| integer.to_string());
    // `{:?}` is the shortest form, with an exponent where the number is very small or large.
    let confidences = row
        .confidences
        .iter()
        .map(|confidence| format!("{confidence:?}"));
    integers.into_iter().chain(confidences).collect()
}

fn write_rows(path: &Path, rows: &[impl Serialize]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(from_csv).at(path.display())?;
    }
    finish(path, writer)
}

fn read_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).at(path.display())?;
    csv::Reader::from_reader(file)
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(from_csv)
        .at(path.display())
}

/// Writes what `writer` has collected to `path`.
fn finish(path: &Path, writer: csv::Writer<Vec<u8>>) -> Result<()> {
    let content = writer
        .into_inner()
        .map_err(|error| Error::new(error.to_string()));
    write_atomically(path, &content.at(path.display())?)
}

fn from_csv(error: csv::Error) -> Error {
    Error::new(error.to_string())
}

fn write_rates<S: Serializer>(rates: &[GroupRate], serializer: S) -> Result<S::Ok, S::Error> {
    let text = |rate: &GroupRate| format!("{}={:?}", rate.group, rate.learning_rate);
    serializer.serialize_str(&rates.iter().map(text).collect::<Vec<_>>().join(" "))
}

fn read_rates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<GroupRate>, D::Error> {
    let rate = |text: &str| {
        let (group, rate) = text.split_once('=')?;
        let learning_rate = rate.parse().ok()?;
        Some(GroupRate {
            group: group.to_owned(),
            learning_rate,
        })
    };
    let text = String::deserialize(deserializer)?;
    let rates: Option<_> = text.split_whitespace().map(rate).collect();
    rates.ok_or_else(|| de::Error::custom(format!("`{text}` is not a list of group=rate")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn metrics_row(epoch: usize, training_cost: f64, accuracy: Option<f64>) -> MetricsRow {
        let rate = |group: &str, learning_rate| GroupRate {
            group: group.to_owned(),
            learning_rate,
        };
        MetricsRow {
            epoch,
            training_cost,
            test_cost: accuracy.map(|_| 1.0 / 3.0),
            accuracy,
            learning_rate: 0.001,
            group_learning_rates: vec![rate("imported", 0.001 * 0.001), rate("default", 0.001)],
        }
    }

    #[test]
    fn metrics_read_back_bit_for_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        let rows = [
            metrics_row(1, 0.1 + 0.2, None),
            metrics_row(2, f64::MIN_POSITIVE, Some(0.8525000000000001)),
            metrics_row(3, f64::INFINITY, Some(0.5)),
        ];
        write_metrics(&path, &rows).unwrap();
        assert_eq!(read_metrics(&path).unwrap(), rows);
    }

    #[test]
    fn metrics_are_one_plain_line_an_epoch() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        write_metrics(&path, &[metrics_row(1, 0.5, None)]).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "epoch,training_cost,test_cost,accuracy,learning_rate,group_learning_rates\n\
             1,0.5,,,0.001,imported=1e-6 default=0.001\n"
        );
    }

    #[test]
    fn metrics_of_before_held_times_that_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        let header = "epoch,training_cost,test_cost,accuracy,learning_rate,group_learning_rates,seconds,images_per_second";
        fs::write(&path, format!("{header}\n1,0.5,,,0.001,x1=0.001,12.3,8\n")).unwrap();
        assert_eq!(read_metrics(&path).unwrap()[0].training_cost, 0.5);
    }

    #[test]
    fn an_epoch_says_how_much_of_it_waited_for_data() {
        let timing = Timing {
            epoch: 1,
            seconds: 10.0,
            images_per_second: 8.0,
            seconds_waiting: 0.25,
        };
        let line = line(&metrics_row(1, 0.5, None), &timing);
        assert!(
            line.ends_with("0.5000, 10.0 s, 2.5 % of it waiting for data, 8 images/s"),
            "{line}"
        );
    }

    #[test]
    fn a_cost_that_is_not_a_number_is_kept_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        write_metrics(&path, &[metrics_row(1, f64::NAN, None)]).unwrap();
        assert!(read_metrics(&path).unwrap()[0].training_cost.is_nan());
    }

    #[test]
    fn outputs_read_back_bit_for_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outputs.csv");
        let bits = [0x3f5aec50, 0x3e144ebd, 0x38ac23b7, 0x00000001, 0x7f7fffff];
        let confidences: Vec<f64> = bits.map(|bits| f32::from_bits(bits).into()).to_vec();
        let row = |index| OutputRow {
            index,
            label: 1,
            predicted: 4,
            confidences: confidences.clone(),
        };
        let rows = [row(0), row(1)];
        write_outputs(&path, &rows).unwrap();
        assert_eq!(read_outputs(&path).unwrap(), rows);
        assert!(fs::read_to_string(&path).unwrap().starts_with(
            "index,label,predicted,confidence_0,confidence_1,confidence_2,confidence_3,confidence_4\n\
             0,1,4,0.855168342590332,0.1448316127061844,8.208251529140398e-5,\
             1.401298464324817e-45,3.4028234663852886e38\n"
        ));
    }

    #[test]
    fn damaged_outputs_name_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outputs.csv");
        let read = |content: &str| {
            fs::write(&path, content).unwrap();
            let error = read_outputs(&path).unwrap_err().to_string();
            error.replace(&format!("{}: ", path.display()), "")
        };
        let header = "index,label,predicted,confidence_0\n";
        assert_eq!(
            read(&format!("{header}0,1,1,0.5\n1,1,x,0.5\n")),
            "line 3: `x` is not the number it should be"
        );
        assert!(read(&format!("{header}0,1,1\n")).contains("line: 2"));
        assert!(read("index,label\n").starts_with("the columns are not index"));
        assert!(read("").starts_with("the columns are not index"));
    }

    #[test]
    fn damaged_metrics_name_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        write_metrics(&path, &[metrics_row(1, 0.5, None)]).unwrap();
        let damaged = fs::read_to_string(&path)
            .unwrap()
            .replace("imported=", "imported:");
        fs::write(&path, damaged).unwrap();
        let error = read_metrics(&path).unwrap_err().to_string();
        assert!(error.contains("line: 2"), "{error}");
        assert!(error.contains("is not a list of group=rate"), "{error}");
    }
}
