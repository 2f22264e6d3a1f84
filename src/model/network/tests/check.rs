//! Outputs against the reference, gradients against quotients of differences.

use burn::tensor::Tensor;

use super::*;
use crate::random::Stream;

/// Largest deviation of outputs, as a share of the largest value.
const TOLERANCE: f64 = 1e-12;

/// Values for every tensor, so that no two layers are alike: variances are positive.
pub fn weights(spec: &NetworkSpec) -> Weights {
    let mut weights = Weights::new();
    for layer in &spec.layers {
        for parameter in &layer.parameters {
            let purpose = format!("{} {}", layer.name, parameter.role.name());
            let mut stream = Stream::new(5, &purpose, &[]);
            let fan_in: usize = parameter.shape[1..].iter().product();
            let scale = (3.0 / fan_in.max(1) as f64).sqrt();
            let (low, high) = match parameter.role {
                Role::Weight => (-scale, scale),
                Role::Scale | Role::Variance => (0.5, 1.5),
                Role::Bias | Role::Shift | Role::Mean => (-0.3, 0.3),
            };
            let values = (0..parameter.count()).map(|_| stream.between(low, high));
            let values = Numbers::new(Dtype::F64, values);
            weights.insert((layer.name.clone(), parameter.role), values);
        }
    }
    weights
}

pub fn pixels(spec: &NetworkSpec, batch: usize) -> Vec<f64> {
    let mut stream = Stream::new(6, "pixels", &[]);
    let count = batch * spec.input.iter().product::<usize>();
    (0..count).map(|_| stream.between(-1.0, 1.0)).collect()
}

pub fn maps(spec: &NetworkSpec, values: Vec<f64>, device: &Device) -> Values {
    images(Numbers::F64(values), spec.input, device)
}

pub fn host(values: Values) -> Vec<f64> {
    layer::numbers(values.features().into_data()).to_f64()
}

pub fn build(spec: &NetworkSpec, weights: Weights, device: &Device) -> Network {
    Network::new(spec, weights, 1, Dtype::F64, device).unwrap_or_else(|error| panic!("{error}"))
}

/// The network's outputs are those of the reference, for two samples at once.
pub fn check_outputs(spec: &NetworkSpec) {
    let device = Device::flex();
    let (weights, pixels) = (weights(spec), pixels(spec, 2));
    let ours = build(spec, weights.clone(), &device);
    let ours = host(ours.forward(maps(spec, pixels.clone(), &device), None));
    let size: usize = spec.input.iter().product();
    let samples = pixels.chunks(size);
    let theirs: Vec<f64> = samples
        .flat_map(|pixels| reference::output(spec, &weights, pixels))
        .collect();
    assert_close(&ours, &theirs, TOLERANCE, "outputs");
}

pub fn assert_close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(1e-300f64, |m, v| m.max(v.abs()));
    for (a, b) in ours.iter().zip(theirs) {
        let deviation = (a - b).abs() / largest;
        assert!(deviation <= tolerance, "{what}: {a} is not {b}");
    }
}

/// Sum of all outputs, each times a factor of its own; the factors keep softmax's symmetry away.
fn objective(values: Values) -> Tensor<1> {
    let values = values.features();
    let [batch, classes] = values.dims();
    let factors = (0..batch * classes).map(|index| 0.3 + (index as f64 * 0.7).sin());
    let factors: Numbers = Numbers::new(Dtype::F64, factors);
    let factors = layer::tensor::<2>(&[batch, classes], factors, &values.device());
    (values * factors).sum()
}

/// Gradients of all parameters are the quotients of differences of the objective.
fn check_gradients(spec: &NetworkSpec, keeps_statistics: bool) {
    let (device, weights, pixels) = (Device::flex().autodiff(), weights(spec), pixels(spec, 3));
    let network = |weights: Weights| {
        let kept = vec![keeps_statistics; spec.layers.len()];
        build(spec, weights, &device).keep_statistics(&kept)
    };
    let value = |network: &Network| -> f64 {
        let values = network.forward(maps(spec, pixels.clone(), &device), None);
        objective(values).into_data().iter::<f64>().sum()
    };
    let trained = network(weights.clone());
    let values = trained.forward(maps(spec, pixels.clone(), &device), None);
    let gradients = objective(values).backward();
    for (layer, spec) in trained.layers.iter().zip(&spec.layers) {
        for (role, gradient) in layer::tests::gradients(layer, &gradients) {
            let key = (spec.name.clone(), role);
            let all = weights[&key].to_f64();
            // A few of each tensor, spread over it.
            for place in (0..all.len()).step_by(all.len() / 4 + 1) {
                let at = |shift: f64| {
                    let mut moved = all.clone();
                    moved[place] += shift;
                    let mut weights = weights.clone();
                    weights.insert(key.clone(), Numbers::F64(moved));
                    value(&network(weights))
                };
                const STEP: f64 = 1e-5;
                let quotient = (at(STEP) - at(-STEP)) / (2.0 * STEP);
                let deviation = (gradient[place] - quotient).abs() / quotient.abs().max(1e-2);
                let found = gradient[place];
                assert!(deviation < 1e-6, "{key:?}: {found} is not {quotient}");
            }
        }
    }
}

pub fn check(spec: &NetworkSpec) {
    check_outputs(spec);
    check_gradients(spec, false);
    check_gradients(spec, true);
}
