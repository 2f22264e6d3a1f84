//! `graft check`: a record held against itself, without training.
//!
//! Everything in a record follows from something else in it: tables from tables, the order of samples
//! from the seed, frozen layers from the receipt, the last line of the batches from the model. Whoever
//! changes one thing has to change all others with it, and the weights then still are not what
//! training gives; that is for [`super::rerun`] to see.

use std::path::Path;

use super::claim::Claim;
use super::{Findings, What, batches, experiment, model, tables};
use crate::results::loaded::LoadedRecord;

/// What is wrong with the record at `dir`. Of files outside of it, only the data and the models that
/// its experiment names are read, where they are there.
pub fn check(dir: &Path) -> Findings {
    let mut findings = Findings::default();
    if let Some(claim) = claim(dir, &mut findings) {
        experiment::outside(&claim, &mut findings);
    }
    findings
}

/// The same of what is inside of the record alone.
pub fn check_inside(dir: &Path) -> Findings {
    let mut findings = Findings::default();
    claim(dir, &mut findings);
    findings
}

/// What the record claims, if it can be read, and what is wrong inside of it.
pub(super) fn claim(dir: &Path, findings: &mut Findings) -> Option<Claim> {
    let loaded = findings.keep(What::Record, LoadedRecord::read(dir))?;
    let claim = Claim::read(loaded, findings);
    check_claim(&claim, findings);
    Some(claim)
}

fn check_claim(claim: &Claim, findings: &mut Findings) {
    experiment::check(claim, findings);
    tables::check_outputs(claim, findings);
    if experiment::has_possible_sizes(claim, findings) {
        tables::check_metrics(claim, findings);
        batches::check(claim, findings);
    }
    model::check(claim, findings);
}
