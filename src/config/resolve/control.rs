//! Resolves `control`: what it asks of the other keys.

use super::checks::Checks;
use crate::config::experiment::Control;
use crate::config::file::File;

/// The control, if there is one. One of the imported layers needs some.
pub fn control(checks: &mut Checks, file: &File) -> Option<Control> {
    let control = file.control.map(|word| word.0)?;
    if control == Control::RandomBackbone && file.source_model.is_none() {
        let problem = "`control = \"random_backbone\"` without a `source_model`: nothing would be \
                       imported";
        let help = "give a `source_model`, or choose \"shuffled_labels\"";
        checks.refuse("control", problem, help);
    }
    if control == Control::RandomBackbone && file.model.initial_weights.is_some() {
        let problem = "`control = \"random_backbone\"` beside `model.initial_weights`, which give the \
                       layers their values: nothing would be random";
        checks.refuse("control", problem, "remove one of them");
    }
    Some(control)
}
