//! Which learning-rate multiplier a layer gets.
//!
//! Pure: layer names in, factors out. Whether a layer is imported is the caller's to know.

use super::experiment::Multipliers;
use crate::error::{Error, Result};
use crate::pattern;

impl Multipliers {
    /// The factor on the base learning rate for this layer: the entry of its name, else of the
    /// matching pattern with the most literal characters, else `imported` if it was, else
    /// `default`.
    pub fn of(&self, layer: &str, imported: bool) -> f64 {
        let by_name = self.layers.get(layer);
        let named = by_name.or_else(|| Some(self.most_specific(layer).first()?.1));
        match named {
            Some(factor) => *factor,
            None if imported => self.imported,
            None => self.default,
        }
    }

    /// The names and patterns that match none of these layers.
    pub fn unmatched<'a>(&self, layers: impl Iterator<Item = &'a str>) -> Vec<&str> {
        let layers: Vec<_> = layers.collect();
        let matched = |key: &str| layers.iter().any(|layer| pattern::matches(key, layer));
        let keys = self.layers.keys().map(String::as_str);
        keys.filter(|key| !matched(key)).collect()
    }

    /// Checks the entries against the layers of a model.
    ///
    /// # Errors
    /// A name or pattern that matches no layer; two patterns that are equally specific for a
    /// layer and give it different multipliers.
    pub fn check<'a>(&self, layers: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
        if let Some(key) = self.unmatched(layers.clone()).first() {
            let error = Error::new(format!("`{key}` matches no layer")).at(PLACE);
            return Err(match pattern::closest(key, layers) {
                Some(layer) => error.help(format!("did you mean `{layer}`?")),
                None => error.help("`graft plan` lists the layers of an experiment"),
            });
        }
        for layer in layers.filter(|layer| !self.layers.contains_key(*layer)) {
            let rivals = self.most_specific(layer);
            let differs = |(_, factor): &&(&str, &f64)| *factor != rivals[0].1;
            if let (Some((one, _)), Some((other, _))) =
                (rivals.first(), rivals.iter().find(differs))
            {
                let problem = format!("`{one}` and `{other}` both match `{layer}`");
                let remedy = format!("give `{layer}` an entry of its own");
                return Err(Error::new(problem).at(PLACE).help(remedy));
            }
        }
        Ok(())
    }

    /// The matching patterns that have the most literal characters.
    fn most_specific(&self, layer: &str) -> Vec<(&str, &f64)> {
        let entries = self
            .layers
            .iter()
            .map(|(key, factor)| (key.as_str(), factor));
        let mut matching: Vec<_> = entries
            .filter(|(key, _)| pattern::is_pattern(key) && pattern::matches(key, layer))
            .collect();
        let most = matching.iter().map(|(key, _)| pattern::literals(key)).max();
        matching.retain(|(key, _)| Some(pattern::literals(key)) == most);
        matching
    }
}

const PLACE: &str = "learning_rate_multiplier";

#[cfg(test)]
mod tests {
    use super::*;

    fn multipliers(layers: &[(&str, f64)]) -> Multipliers {
        Multipliers {
            default: 1.0,
            imported: 0.001,
            layers: layers
                .iter()
                .map(|(key, factor)| ((*key).to_owned(), *factor))
                .collect(),
        }
    }

    #[test]
    fn an_exact_name_beats_a_pattern_beats_imported_beats_default() {
        let multipliers = multipliers(&[("conv1_1", 0.5), ("conv1_*", 0.0)]);
        assert_eq!(multipliers.of("conv1_1", true), 0.5);
        assert_eq!(multipliers.of("conv1_2", true), 0.0);
        assert_eq!(multipliers.of("conv1_2", false), 0.0);
        assert_eq!(multipliers.of("conv2_1", true), 0.001);
        assert_eq!(multipliers.of("fc6_new", false), 1.0);
    }

    #[test]
    fn the_pattern_with_more_literal_characters_wins() {
        let multipliers = multipliers(&[("conv*", 0.1), ("conv5_*", 0.2), ("*", 0.3)]);
        assert_eq!(multipliers.of("conv5_1", true), 0.2);
        assert_eq!(multipliers.of("conv4_1", true), 0.1);
        assert_eq!(multipliers.of("fc6_new", false), 0.3);
    }

    #[test]
    fn a_pattern_that_matches_no_layer_is_an_error_that_names_the_closest() {
        let multipliers = multipliers(&[("conv9_*", 0.0), ("conv1_1", 0.0), ("cnv1_2", 0.0)]);
        let layers = || ["conv1_1", "conv1_2"].into_iter();
        assert_eq!(multipliers.unmatched(layers()), ["cnv1_2", "conv9_*"]);
        assert_eq!(
            multipliers.check(layers()).unwrap_err().to_string(),
            "learning_rate_multiplier: `cnv1_2` matches no layer\n  help: did you mean `conv1_2`?"
        );
    }

    #[test]
    fn equally_specific_patterns_must_agree_unless_the_layer_is_named() {
        let layers = || ["conv1_1"].into_iter();
        let clash = [("conv1_*", 0.0), ("conv?_1", 1.0)];
        assert_eq!(
            multipliers(&clash).check(layers()).unwrap_err().to_string(),
            "learning_rate_multiplier: `conv1_*` and `conv?_1` both match `conv1_1`\n  \
             help: give `conv1_1` an entry of its own"
        );
        let agreeing = [("conv1_*", 0.5), ("conv?_1", 0.5)];
        assert_eq!(multipliers(&agreeing).check(layers()), Ok(()));
        let named = [("conv1_*", 0.5), ("conv?_1", 0.6), ("conv1_1", 1.0)];
        assert_eq!(multipliers(&named).check(layers()), Ok(()));
    }
}
