//! neon's layout of a file of labelled images: every check that is done once, on opening.

use super::dataset::MeanSource;
use super::hdf5::{Attribute, File, Table};
use crate::error::{Error, Result};

/// Attribute of `output` with the names of the classes; graft's own.
pub const CLASS_NAMES: &str = "class_names";

/// Labels that are read at a time.
const LABELS_AT_ONCE: usize = 1 << 20;

/// What a valid file holds.
pub struct Layout {
    pub input: Table,
    pub shape: [usize; 3],
    pub classes: usize,
    pub class_names: Vec<String>,
    pub labels: Vec<u32>,
    /// As stored: a value for each pixel or for each channel.
    pub mean: Option<(Vec<f64>, MeanSource)>,
}

/// Reads everything but the pixels, and checks that it fits together.
pub fn validate(file: &File) -> Result<Layout> {
    let input = table(file, "input")?;
    let output = table(file, "output")?;
    let shape = sample_shape(&input)?;
    let classes = class_count(&output)?;
    if input.rows() == 0 {
        return Err(input.fault("holds no samples"));
    }
    if output.rows() != input.rows() || output.columns() != 1 {
        let problem = format!(
            "has shape {:?}, but {} samples need ({}, 1)",
            output.shape(),
            input.rows(),
            input.rows()
        );
        return Err(output.fault(problem));
    }
    Ok(Layout {
        shape,
        classes,
        class_names: class_names(&output, classes)?,
        labels: labels(&output, classes)?,
        mean: mean(file, &input, shape)?,
        input,
    })
}

fn table(file: &File, name: &str) -> Result<Table> {
    file.table(name)?.ok_or_else(|| {
        let problem = format!("has no dataset `{name}`");
        Error::new(problem).at(file.path().display()).help(
            "graft reads neon's layout: `input` (samples, values) with attribute `lshape`, \
             `output` (samples, 1) with attribute `nclass`; `graft prepare` makes such files",
        )
    })
}

fn sample_shape(input: &Table) -> Result<[usize; 3]> {
    if input.shape().len() != 2 {
        let problem = format!("has shape {:?}, not (samples, values)", input.shape());
        return Err(input
            .fault(problem)
            .help("flatten each image, and put its shape in `lshape`"));
    }
    let lshape = integers(input, "lshape")?;
    let sizes: Vec<usize> = lshape
        .iter()
        .filter_map(|&size| usize::try_from(size).ok())
        .collect();
    let [channels, height, width] = sizes[..] else {
        let problem = format!("attribute lshape is {lshape:?}, not (channels, height, width)");
        return Err(input.fault(problem));
    };
    let values = channels
        .checked_mul(height)
        .and_then(|values| values.checked_mul(width));
    if values != Some(input.columns()) || values == Some(0) {
        let problem = format!(
            "attribute lshape {lshape:?} does not fit rows of {} values",
            input.columns()
        );
        return Err(input.fault(problem));
    }
    Ok([channels, height, width])
}

fn class_count(output: &Table) -> Result<usize> {
    let nclass = integers(output, "nclass")?;
    match nclass[..] {
        [classes] if classes >= 1 && classes <= i64::from(u32::MAX) => Ok(classes as usize),
        _ => Err(output.fault(format!(
            "attribute nclass is {nclass:?}, not a number of classes"
        ))),
    }
}

/// An attribute of whole numbers, of whatever type.
fn integers(table: &Table, name: &str) -> Result<Vec<i64>> {
    match table.attribute(name)? {
        Some(Attribute::Integers(values)) => Ok(values),
        Some(Attribute::Floats(values)) if values.iter().all(|value| value.fract() == 0.0) => {
            Ok(values.iter().map(|&value| value as i64).collect())
        }
        Some(other) => {
            Err(table.fault(format!("attribute {name} is {other:?}, not whole numbers")))
        }
        None => Err(table.fault(format!("has no attribute `{name}`"))),
    }
}

fn class_names(output: &Table, classes: usize) -> Result<Vec<String>> {
    match output.attribute(CLASS_NAMES)? {
        None => Ok(Vec::new()),
        Some(Attribute::Strings(names)) if names.len() == classes => Ok(names),
        Some(Attribute::Strings(names)) => {
            let count = names.len();
            Err(output.fault(format!("has {count} class names for {classes} classes")))
        }
        Some(_) => Err(output.fault(format!(
            "attribute {CLASS_NAMES} holds numbers, not strings"
        ))),
    }
}

fn labels(output: &Table, classes: usize) -> Result<Vec<u32>> {
    let mut labels = Vec::new();
    for start in (0..output.rows()).step_by(LABELS_AT_ONCE) {
        let end = output.rows().min(start + LABELS_AT_ONCE);
        for value in output.read(start..end)?.to_f64() {
            if value.fract() != 0.0 || !(0.0..classes as f64).contains(&value) {
                let problem = format!(
                    "label of sample {} is {value}, but the {classes} classes are 0 to {}",
                    labels.len(),
                    classes - 1
                );
                return Err(output
                    .fault(problem)
                    .help("correct the label, or attribute `nclass`"));
            }
            labels.push(value as u32);
        }
    }
    Ok(labels)
}

fn mean(file: &File, input: &Table, shape: [usize; 3]) -> Result<Option<(Vec<f64>, MeanSource)>> {
    let values = match (file.table("mean")?, input.attribute("mean")?) {
        (Some(table), _) if table.rows() * table.columns() > input.columns() => {
            let problem = format!("has shape {:?}, more than a sample", table.shape());
            return Err(Error::new(problem).at("mean").at(file.path().display()));
        }
        (Some(table), _) => table.read(0..table.rows())?.to_f64(),
        (None, Some(Attribute::Floats(values))) => values,
        (None, Some(Attribute::Integers(values))) => values.iter().map(|&x| x as f64).collect(),
        (None, Some(Attribute::Strings(_))) => {
            return Err(input.fault("attribute mean is text, not numbers"));
        }
        (None, None) => return Ok(None),
    };
    let source = match values.len() {
        length if length == shape[0] => MeanSource::StoredPerChannel,
        length if length == input.columns() => MeanSource::StoredPerPixel,
        length => {
            let problem = format!(
                "has {length} values, neither {} (one a channel) nor {} (one a pixel and channel)",
                shape[0],
                input.columns()
            );
            return Err(Error::new(problem).at("mean").at(file.path().display()));
        }
    };
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Error::new(format!("contains {value}"))
            .at("mean")
            .at(file.path().display())),
        None => Ok(Some((values, source))),
    }
}
