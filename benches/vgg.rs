//! VGG-16 in graft, a forward pass or a training step at a time, for `benches/run.py`, which lets
//! PyTorch take its turn in between.
//!
//! `vgg EXPERIMENT SIZE BATCH PIXELS LABELS`: the network that the experiment declares, with its
//! initial weights, on images of 3 x SIZE x SIZE. PIXELS holds batches of f32 one after another, LABELS
//! a u32 for each image. Then a command a line on the standard input, an answer a line on the standard
//! output: a figure, or several.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use burn::tensor::Device;
use graft::config::{self, Overrides, experiment::Experiment};
use graft::error::{At, Error, Result};
use graft::kernels::convolution::{self, Errors, Padding, Shape};
use graft::model::backend;
use graft::model::network::{self, Network, Weights};
use graft::model::spec::{LayerSpec, NetworkSpec, Operation};
use graft::numbers::{Dtype, Numbers};
use graft::random::Stream;
use graft::runner::initial;
use graft::runner::setup::{self, Outline};
use graft::train::Trainer;
use graft::train::loader::{Batch, Entering};

const COMMANDS: &str =
    "`forward N`, `step N`, `layers`, `layer NAME forward|data|weight` or `peak`";

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    match arguments.is_empty() {
        true => {
            eprintln!("benches/run.py runs this program; see there");
            ExitCode::SUCCESS
        }
        false => match answer_all(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn answer_all(arguments: &[String]) -> Result<()> {
    let [experiment, size, batch, pixels, labels] = arguments else {
        return Err(Error::new("give EXPERIMENT SIZE BATCH PIXELS LABELS"));
    };
    let experiment = config::load(Path::new(experiment), &Overrides::default())?;
    let batches = Batches::read(number(size)?, number(batch)?, pixels, labels)?;
    let mut bench = Bench::new(&experiment, batches)?;
    let mut output = io::stdout().lock();
    writeln!(output, "ready")?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        // On the threads on which `graft run` trains.
        let answer = rayon::scope(|_| bench.answer(&line))?;
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn number(text: &str) -> Result<usize> {
    text.parse()
        .map_err(|_| Error::new("is no number").at(text))
}

/// What the files of batches hold.
struct Batches {
    size: usize,
    batch: usize,
    pixels: Vec<f32>,
    labels: Vec<u32>,
}

impl Batches {
    fn read(size: usize, batch: usize, pixels: &str, labels: &str) -> Result<Self> {
        let pixels = fs::read(pixels).at(pixels)?;
        let labels = fs::read(labels).at(labels)?;
        let pixels = pixels
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes));
        let labels = labels
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| u32::from_le_bytes(bytes));
        Ok(Self {
            size,
            batch,
            pixels: pixels.collect(),
            labels: labels.collect(),
        })
    }

    fn get(&self, index: usize) -> Result<(Numbers, Vec<u32>)> {
        let values = self.batch * 3 * self.size * self.size;
        let pixels = self.pixels.chunks_exact(values).nth(index);
        let labels = self.labels.chunks_exact(self.batch).nth(index);
        let (Some(pixels), Some(labels)) = (pixels, labels) else {
            return Err(Error::new(format!("there is no batch {index}")));
        };
        Ok((Numbers::F32(pixels.to_vec()), labels.to_vec()))
    }
}

/// The network, once a command has asked for it, in the two forms that it takes.
struct Bench<'a> {
    experiment: &'a Experiment,
    batches: Batches,
    outline: Outline,
    device: Device,
    forward: Option<Network>,
    trainer: Option<Trainer<'a>>,
    layers: HashMap<String, OneLayer>,
}

impl<'a> Bench<'a> {
    fn new(experiment: &'a Experiment, batches: Batches) -> Result<Self> {
        let shape = [3, batches.size, batches.size];
        let classes = experiment.model.classes.unwrap_or(2);
        Ok(Self {
            outline: setup::outline(experiment, shape, classes, None, None)?,
            device: backend::device(experiment.backend, experiment.dtype)?,
            experiment,
            batches,
            forward: None,
            trainer: None,
            layers: HashMap::new(),
        })
    }

    fn answer(&mut self, line: &str) -> Result<String> {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["forward", index] => self.forward(number(index)?),
            ["step", index] => self.step(number(index)?),
            ["layers"] => Ok(self.convolutions()),
            ["layer", name, pass] => self.layer(name, pass),
            ["peak"] => peak(),
            _ => Err(Error::new(format!("`{line}` is not {COMMANDS}"))),
        }
    }

    /// Seconds of a forward pass without gradients; the outputs.
    fn forward(&mut self, index: usize) -> Result<String> {
        let (pixels, _) = self.batches.get(index)?;
        let network = match self.forward.take() {
            Some(network) => network,
            None => {
                let spec = &self.outline.spec;
                let weights = weights(self.experiment, spec)?;
                Network::new(spec, weights, 0, Dtype::F32, &self.device)?
            }
        };
        let started = Instant::now();
        let images = network::images(pixels, self.outline.spec.input, &self.device);
        let logits = network.forward(images, None).features().into_data();
        let seconds = started.elapsed().as_secs_f64();
        self.forward = Some(network);
        let logits: Vec<String> = logits
            .iter::<f32>()
            .map(|value| value.to_string())
            .collect();
        Ok(format!("{seconds} {}", logits.join(" ")))
    }

    /// Seconds of a training step; the mean cost of the batch before it.
    fn step(&mut self, index: usize) -> Result<String> {
        let (pixels, labels) = self.batches.get(index)?;
        let size = labels.len();
        let batch = Batch {
            samples: (index * size..).take(size).collect(),
            labels,
            entering: Entering::Pixels(pixels),
        };
        let Outline { spec, rates, .. } = &self.outline;
        let trainer = match &mut self.trainer {
            Some(trainer) => trainer,
            none => {
                let weights = weights(self.experiment, spec)?;
                let device = self.device.clone();
                none.insert(Trainer::new(
                    self.experiment,
                    spec,
                    rates,
                    weights,
                    0,
                    device,
                )?)
            }
        };
        let started = Instant::now();
        let (cost, _) = trainer.step(batch, spec.input, 1)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(format!("{seconds} {}", cost / size as f64))
    }

    /// `name,channels,filters,side` of each convolution.
    fn convolutions(&self) -> String {
        let layers = self.outline.spec.layers.iter();
        let convolutions = layers.filter(|layer| is_convolution(layer));
        let text = convolutions.map(|layer| {
            let [filters, channels, ..] = layer.parameters[0].shape[..] else {
                unreachable!("a convolution's weight has four dimensions")
            };
            format!("{},{channels},{filters},{}", layer.name, layer.output[1])
        });
        text.collect::<Vec<_>>().join(" ")
    }

    /// Seconds of one pass of a convolution alone.
    fn layer(&mut self, name: &str, pass: &str) -> Result<String> {
        let mut layer = match self.layers.remove(name) {
            Some(layer) => layer,
            None => OneLayer::new(&self.outline.spec, name, self.batches.batch)?,
        };
        // A first time brings threads and caches into the state that they have within a network.
        layer.pass(pass)?;
        let seconds = layer.pass(pass)?;
        self.layers.clear(); // One layer's tensors at a time.
        self.layers.insert(name.to_owned(), layer);
        Ok(seconds.to_string())
    }
}

/// The values of `model.initial_weights`.
fn weights(experiment: &Experiment, spec: &NetworkSpec) -> Result<Weights> {
    let path = experiment.model.initial_weights.as_deref();
    let path = path.ok_or_else(|| Error::new("the experiment has no model.initial_weights"))?;
    let model = initial::read(path)?;
    initial::check(&model, spec)?;
    initial::weights(model, spec)
}

fn is_convolution(layer: &LayerSpec) -> bool {
    matches!(layer.operation, Operation::Convolution { .. })
}

/// A convolution with something to work on, and room for what comes out: in training, too, the memory
/// of outputs is at hand.
struct OneLayer {
    shape: Shape,
    /// (batch, channels, height, width), and the gradient for it.
    input: [Aligned; 2],
    /// (filters, channels, 3, 3), and the gradient for them.
    weight: [Aligned; 2],
    /// (batch, filters, height, width), and the gradient for it.
    output: [Aligned; 2],
}

impl OneLayer {
    fn new(spec: &NetworkSpec, name: &str, batch: usize) -> Result<Self> {
        let place = spec
            .layers
            .iter()
            .position(|layer| layer.name == name && is_convolution(layer));
        let place = place.ok_or_else(|| Error::new("is no convolution").at(name))?;
        let layer = &spec.layers[place];
        let [channels, height, width] = spec.input_shape(place)[..] else {
            unreachable!("maps enter a convolution")
        };
        let shape = Shape {
            batch,
            channels,
            height,
            width,
            filters: layer.output[0],
            kernel: [3, 3],
            stride: 1,
            padding: Padding {
                top: 1,
                bottom: 1,
                left: 1,
                right: 1,
            },
            groups: 1,
        };
        let mut stream = Stream::new(1, name, &[]);
        let mut one = |count| Aligned::new(count, || stream.between(-1.0, 1.0) as f32);
        let mut two = |count| [one(count), one(count)];
        Ok(Self {
            shape,
            input: two(batch * shape.image()),
            weight: two(shape.filters * shape.filter()),
            output: two(batch * shape.filters * shape.pixels()),
        })
    }

    /// Seconds.
    fn pass(&mut self, pass: &str) -> Result<f64> {
        let Self {
            shape,
            input: [x, dx],
            weight: [w, dw],
            output: [y, dy],
        } = self;
        let (x, w, dy) = (x.values(), w.values(), dy.values());
        let (dx, dw, y) = (dx.values(), dw.values(), y.values());
        let started = Instant::now();
        match pass {
            "forward" => convolution::forward(shape, x, w, None, false, false, y),
            "data" => convolution::input_gradient(shape, Errors::Plain(dy), w, false, dx),
            "weight" => convolution::weight_gradient(shape, x, Errors::Plain(dy), false, dw, None),
            _ => {
                let message = format!("`{pass}` is not forward, data or weight");
                return Err(Error::new(message));
            }
        }
        Ok(started.elapsed().as_secs_f64())
    }
}

/// Values that begin on a cache line, as those of tensors do.
struct Aligned {
    values: Vec<f32>,
    count: usize,
}

impl Aligned {
    fn new(count: usize, value: impl FnMut() -> f32) -> Self {
        let values = std::iter::repeat_with(value).take(count + 16).collect();
        Self { values, count }
    }

    fn values(&mut self) -> &mut [f32] {
        let start = self.values.as_ptr().align_offset(64);
        &mut self.values[start..start + self.count]
    }
}

/// Most memory that this process has held so far, in bytes (Linux).
fn peak() -> Result<String> {
    let status = fs::read_to_string("/proc/self/status").at("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib = kib.and_then(|kib| kib.trim().parse::<u64>().ok());
    let kib = kib.ok_or_else(|| Error::new("no VmHWM").at("/proc/self/status"))?;
    Ok((kib * 1024).to_string())
}
