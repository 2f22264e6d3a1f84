//! Keras' HDF5 files: weights alone or whole models, of Keras 1, 2 and 3.
//!
//! A layer is a group, its weights are the datasets in it; the lists of names that Keras keeps as
//! attributes are not needed. Keras 2 names a weight after its layer once more
//! (`conv1/conv1/kernel:0`), Keras 1 differently (`conv1/conv1_W`), and `.weights.h5` of Keras 3 not
//! at all (`layers/conv1/vars/0`), so that shapes must tell. Names in the file: `names`.

mod names;

use std::path::Path;

use super::archive::MOST_EXPANSION;
use super::layers::{self, Layers, fact};
use super::pieces::Pieces;
use super::{Contents, Format, SourceLayer};
use crate::data::hdf5::{File, Table, Values};
use crate::error::{At, Error, Result};
use crate::numbers::Numbers;
use names::{Weight, name, roles};

/// Whether the HDF5 file at `path` holds labelled images rather than a model.
///
/// # Errors
/// A file that is no HDF5 file, or damaged.
pub fn is_data(path: &Path) -> Result<bool> {
    let names = File::open(path)?.names();
    let has = |name: &str| names.iter().any(|found| found == name);
    Ok(has("input") || has("output"))
}

/// Reads the weights of every layer in the file at `path`, of which `pieces` tells the size.
///
/// # Errors
/// A damaged file; one without weights; weights that are not numbers. Each names `path`.
pub(super) fn read(path: &Path, pieces: &Pieces) -> Result<Contents> {
    let file = File::open(path)?;
    let mut tables = Vec::new();
    for weight in name(&file.names()) {
        layers::check_name(&weight.path).at(path.display())?;
        // Counters and the like.
        if file.is_single(&weight.path)? {
            continue;
        }
        let table = file.table(&weight.path)?;
        tables.extend(table.map(|table| (weight, table)));
    }
    if tables.is_empty() {
        return Err(Error::new("is an HDF5 file without a Keras model's weights")
            .at(path.display())
            .help(
                "save the model with `model.save(\"model.h5\")` or `model.save_weights`; training \
                 data belong under [data]",
            ));
    }
    let room = pieces.len().saturating_mul(MOST_EXPANSION);
    let facts = ["keras_version", "backend"].into_iter();
    let facts = facts.filter_map(|key| Some((key.to_string(), fact(&file.text(key)?)?)));
    Ok(Contents {
        format: Format::Keras,
        layers: gather(&tables, room).at(path.display())?,
        metadata: facts.collect(),
    })
}

/// The layers that the tables make, at most `room` bytes.
fn gather(tables: &[(Weight, Table)], room: u64) -> Result<Vec<SourceLayer>> {
    let shaped = tables.iter().map(|(weight, table)| (weight, table.shape()));
    let mut found = Layers::of_at_most(room);
    for ((weight, table), role) in tables.iter().zip(roles(shaped)) {
        let shape = table.shape();
        found
            .room_for(shape, table.value_bytes())
            .at(&weight.path)?;
        let values = values(table).at(&weight.path)?;
        found.push((&weight.layer, &role), &weight.path, shape.to_vec(), values)?;
    }
    Ok(found.finish())
}

/// Values that are read at a time: what the decoder needs besides them stays small.
const BLOCK: usize = 1 << 22;

fn values(table: &Table) -> Result<Numbers> {
    // A tensor of no values may have any number of rows.
    let rows = if table.columns() == 0 {
        0
    } else {
        table.rows()
    };
    let at_once = (BLOCK / table.columns().max(1)).max(table.compressed_together().unwrap_or(1));
    let is_double = table.type_name() == "float64";
    let mut narrow = Vec::new();
    let mut wide = Vec::new();
    for start in (0..rows).step_by(at_once.max(1)) {
        let end = start.saturating_add(at_once).min(rows);
        match table.read(start..end)? {
            Values::F64(values) if is_double => {
                wide.reserve_exact((rows - start) * table.columns());
                wide.extend(values);
            }
            values => {
                narrow.reserve_exact((rows - start) * table.columns());
                match values {
                    Values::U8(values) => narrow.extend(values.into_iter().map(f32::from)),
                    Values::F32(values) => narrow.extend(values),
                    Values::F64(values) => narrow.extend(values.into_iter().map(|v| v as f32)),
                }
            }
        }
    }
    Ok(match is_double {
        true => Numbers::F64(wide),
        false => Numbers::F32(narrow),
    })
}
