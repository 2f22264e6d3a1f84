//! The whole computation as an ONNX model: `pixels` (batch, channels, height, width), raw values as
//! in graft's data files, to `confidences` (batch, classes).
//!
//! What happens to pixels before the first layer is part of the graph. All is computed in f32,
//! whatever the run computed in, since that is what every operator of onnxruntime knows.
//! Format: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

mod nodes;
mod pixels;
mod protobuf;
mod schema;

use std::path::Path;

use serde_json::json;

use super::Written;
use super::model::Model;
use crate::error::{Error, Result};
use crate::files::write_atomically_with;
use crate::numbers::Dtype;
use nodes::{CONFIDENCES, Nodes, PIXELS};
use protobuf::Message;
use schema::{graph, value};

/// Version of ONNX's operators that the graph is written in, of 2022.
const OPSET: i64 = 17;
/// Version of the file format that goes with it.
const IR_VERSION: i64 = 8;

/// Longest message of protocol buffers.
const LONGEST: usize = i32::MAX as usize;

/// Writes `model` to `path`.
///
/// # Errors
/// A layer that does not hang together with the others; a value beyond f32; more than 2 GiB; whatever
/// the file system refuses.
pub fn write(mut model: Model, path: &Path) -> Result<Written> {
    let before = model.round(Dtype::F32)?;
    let model = &model;
    let mut nodes = Nodes::new(model)?;
    nodes.preprocess();
    nodes.layers()?;
    let message = file(model, nodes);
    if message.len() > LONGEST {
        return Err(
            Error::new("the model is larger than the 2 GiB of an ONNX file")
                .at(path.display())
                .help("export it to pytorch-names or npz"),
        );
    }
    write_atomically_with(path, |file| message.write(file))?;
    let (tensors, parameters) = model.counts();
    let [channels, height, width] = model.network().input;
    let mut notes = vec![
        format!(
            "onnxruntime runs it: {PIXELS} (batch, {channels}, {height}, {width}), raw values, to {CONFIDENCES} (batch, {})",
            model.network().classes()
        ),
        format!("opset {OPSET}, IR version {IR_VERSION}"),
    ];
    notes.extend(model.pixels.resized.map(|[height, width]| {
        format!("images of another size have to be resized to {height}x{width} before")
    }));
    notes.extend(before.map(|dtype| format!("it computes in f32, where the run did in {dtype}")));
    Ok(Written {
        format: "ONNX",
        tensors,
        parameters,
        notes,
        left_out: model.left_out.clone(),
    })
}

/// `onnx.ModelProto`.
fn file<'a>(model: &Model, nodes: Nodes<'a>) -> Message<'a> {
    let input = value(PIXELS, &model.network().input);
    let output = value(CONFIDENCES, &[model.network().classes()]);
    let about = "pixels: raw values as in graft's data files, usually 0 to 255; confidences: one a \
                 class, they sum to 1";
    let mut message = Message::new()
        .int(1, IR_VERSION)
        .bytes(2, b"graft")
        .bytes(3, env!("CARGO_PKG_VERSION").as_bytes())
        .bytes(6, about.as_bytes())
        .message(7, graph(nodes.nodes, nodes.constants, input, output))
        .message(8, Message::new().bytes(1, b"").int(2, OPSET));
    if !model.classes.is_empty() {
        let classes = json!(model.classes).to_string();
        let property = Message::new()
            .bytes(1, b"classes")
            .bytes(2, classes.as_bytes());
        message = message.message(14, property);
    }
    message
}
