//! What happens to pixels before the first layer, as nodes of the graph.

use super::nodes::Nodes;
use super::schema::{Attribute, floats, integers, node};

impl Nodes<'_> {
    /// What happens to a sample before the first layer: `(value - mean) * scale / deviation`, in this
    /// order, as in training.
    pub fn preprocess(&mut self) {
        let model = self.model;
        let pixels = &model.pixels;
        let channels = model.network().input[0];
        if pixels.reversed {
            let places: Vec<i64> = (0..channels as i64).rev().collect();
            self.constants.push(integers("channels", &places));
            let axis = [("axis", Attribute::Int(1))];
            self.prepare("Gather", "reversed", "channels", &axis);
        }
        let steps = [
            ("Sub", "centred", "mean", &pixels.mean[..]),
            ("Mul", "scaled", "scale", &[pixels.scale][..]),
            ("Div", "divided", "deviation", &pixels.deviation[..]),
        ];
        for (kind, output, constant, values) in steps {
            // Times 1 is nothing; an empty list neither.
            if values.is_empty() || (kind == "Mul" && values == [1.0]) {
                continue;
            }
            let shape = match values.len() {
                1 => vec![],
                count if count == channels => vec![channels, 1, 1],
                _ => model.network().input.to_vec(),
            };
            self.constants.push(floats(constant, &shape, values));
            self.prepare(kind, output, constant, &[]);
        }
    }

    fn prepare(&mut self, kind: &str, output: &str, constant: &str, more: &[(&str, Attribute)]) {
        let inputs = [self.sample.name.as_str(), constant];
        self.nodes.push(node(kind, output, &inputs, output, more));
        self.sample.name = output.to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::super::nodes::PIXELS;
    use super::super::protobuf::Message;
    use super::*;
    use crate::error::Result;
    use crate::export::model::{Model, Pixels};

    fn written(messages: &[Message]) -> Vec<Vec<u8>> {
        let bytes = messages.iter().map(|message| {
            let mut bytes = Vec::new();
            assert!(message.write(&mut bytes).is_ok());
            bytes
        });
        bytes.collect()
    }

    fn prepared(pixels: Pixels) -> Result<[Vec<Vec<u8>>; 2]> {
        let model = Model::of_pixels([3, 4, 4], pixels)?;
        let mut nodes = Nodes::new(&model)?;
        nodes.preprocess();
        Ok([written(&nodes.nodes), written(&nodes.constants)])
    }

    #[test]
    fn pixels_are_put_in_order_centred_scaled_and_divided() -> Result<()> {
        let pixels = Pixels {
            resized: None,
            reversed: true,
            mean: vec![104.0, 117.0, 124.0],
            scale: 0.5,
            deviation: vec![2.0],
        };
        assert_eq!(
            pixels.in_words().as_deref(),
            Some(
                "channels from last to first, minus [104.0, 117.0, 124.0], times 0.5, divided by 2"
            )
        );
        let axis = [("axis", Attribute::Int(1))];
        let expected = [
            node(
                "Gather",
                "reversed",
                &[PIXELS, "channels"],
                "reversed",
                &axis,
            ),
            node("Sub", "centred", &["reversed", "mean"], "centred", &[]),
            node("Mul", "scaled", &["centred", "scale"], "scaled", &[]),
            node("Div", "divided", &["scaled", "deviation"], "divided", &[]),
        ];
        let constants = [
            integers("channels", &[2, 1, 0]),
            floats("mean", &[3, 1, 1], &[104.0, 117.0, 124.0]),
            floats("scale", &[], &[0.5]),
            floats("deviation", &[], &[2.0]),
        ];
        assert_eq!(prepared(pixels)?, [written(&expected), written(&constants)]);
        Ok(())
    }

    #[test]
    fn pixels_that_stay_as_they_are_need_no_node() -> Result<()> {
        let pixels = Pixels {
            resized: None,
            reversed: false,
            mean: Vec::new(),
            scale: 1.0,
            deviation: Vec::new(),
        };
        assert_eq!(pixels.in_words(), None);
        let [nodes, constants] = prepared(pixels)?;
        assert!(nodes.is_empty() && constants.is_empty());
        Ok(())
    }
}
