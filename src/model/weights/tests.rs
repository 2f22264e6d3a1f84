use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;

use super::*;
use crate::config::experiment::Source;
use crate::model::network::{Network, Weights};
use crate::neon_figures::reference_network;
use crate::numbers::{Dtype, Numbers};
use crate::source::{self, import};

const WORDS: [Initializer; 13] = [
    Initializer::Constant { value: 0.5 },
    Initializer::Uniform {
        low: -0.1,
        high: 0.1,
    },
    Initializer::Gaussian {
        mean: 0.0,
        deviation: 0.01,
    },
    Initializer::XavierLocal,
    Initializer::GlorotUniform,
    Initializer::Kaiming,
    Initializer::KaimingNormal,
    Initializer::Identity,
    Initializer::Orthonormal { scale: 1.0 },
    Initializer::NeonXavier { local: true },
    Initializer::NeonKaiming { local: true },
    Initializer::NeonGlorotUniform,
    Initializer::NeonIdentity,
];

fn weight(shape: &[usize], initializer: Initializer) -> ParameterSpec {
    ParameterSpec {
        role: Role::Weight,
        shape: shape.to_vec(),
        initializer,
        groups: 1,
    }
}

fn by_name(seed: u64, layer: &str, parameter: &ParameterSpec) -> Vec<f64> {
    let mut initial = InitialWeights::new(InitialDraws::ByName, seed).expect("any seed");
    initial.next(layer, parameter)
}

fn as_neon(seed: u64) -> InitialWeights {
    InitialWeights::new(InitialDraws::Neon, seed).expect("a seed of 32 bits")
}

fn deviation(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
}

#[test]
fn each_uniform_distribution_fills_its_bounds() {
    for (initializer, bound) in [
        (Initializer::XavierLocal, (3.0f64 / 36.0).sqrt()),
        (Initializer::Kaiming, (6.0f64 / 36.0).sqrt()),
        (Initializer::GlorotUniform, (6.0f64 / (36.0 + 72.0)).sqrt()),
        (
            Initializer::NeonXavier { local: true },
            (3.0f64 / 36.0).sqrt(),
        ),
        (
            Initializer::NeonXavier { local: false },
            (3.0f64 / 8.0).sqrt(),
        ),
        (Initializer::NeonGlorotUniform, (6.0f64 / 44.0).sqrt()),
        (
            Initializer::Uniform {
                low: -0.05,
                high: 0.05,
            },
            0.05,
        ),
    ] {
        let weight = weight(&[8, 4, 3, 3], initializer);
        for values in [
            by_name(1, "conv", &weight),
            as_neon(1).next("conv", &weight),
        ] {
            let largest = values.iter().fold(0f64, |m, v| m.max(v.abs()));
            assert!(
                largest <= bound && largest > 0.95 * bound,
                "{initializer:?}"
            );
            let ratio = deviation(&values) / (bound / 3f64.sqrt());
            assert!((ratio - 1.0).abs() < 0.1, "{initializer:?}");
        }
    }
}

#[test]
fn each_normal_distribution_has_its_deviation() {
    for (initializer, expected) in [
        (Initializer::KaimingNormal, (2.0f64 / 36.0).sqrt()),
        (
            Initializer::NeonKaiming { local: true },
            (2.0f64 / 36.0).sqrt(),
        ),
        (
            Initializer::NeonKaiming { local: false },
            (2.0f64 / 32.0).sqrt(),
        ),
        (
            Initializer::Gaussian {
                mean: 0.0,
                deviation: 0.2,
            },
            0.2,
        ),
    ] {
        let weight = weight(&[32, 4, 3, 3], initializer);
        for values in [
            by_name(1, "conv", &weight),
            as_neon(1).next("conv", &weight),
        ] {
            let ratio = deviation(&values) / expected;
            assert!((ratio - 1.0).abs() < 0.06, "{initializer:?}: {ratio}");
        }
    }
}

#[test]
fn weights_by_name_depend_on_seed_and_layer_and_nothing_else() {
    let spec = weight(&[8, 4, 3, 3], Initializer::Kaiming);
    assert_eq!(by_name(1, "conv", &spec), by_name(1, "conv", &spec));
    assert_ne!(by_name(1, "conv", &spec), by_name(2, "conv", &spec));
    assert_ne!(by_name(1, "conv", &spec), by_name(1, "other", &spec));
}

#[test]
fn weights_as_neon_draws_them_depend_on_all_tensors_before() {
    for initializer in WORDS {
        let spec = weight(&[3, 2, 2, 2], initializer);
        let (mut one, mut other) = (as_neon(1), as_neon(1));
        one.next("a", &spec);
        other.skip("a", &spec);
        assert_eq!(one.next("b", &spec), other.next("b", &spec));
    }
    let spec = weight(&[4, 4], Initializer::XavierLocal);
    let mut initial = as_neon(1);
    assert_ne!(initial.next("a", &spec), initial.next("a", &spec));
}

#[test]
fn orthonormal_weights_do_not_move_neons_generator() {
    let (mut one, mut other) = (as_neon(1), as_neon(1));
    let uniform = weight(&[4, 4], Initializer::XavierLocal);
    one.next(
        "a",
        &weight(&[4, 4], Initializer::Orthonormal { scale: 1.0 }),
    );
    assert_eq!(one.next("b", &uniform), other.next("b", &uniform));
}

#[test]
fn the_identity_passes_its_input_on() {
    let linear = weight(&[2, 3], Initializer::Identity);
    assert_eq!(by_name(1, "fc", &linear), [1., 0., 0., 0., 1., 0.]);
    let values = by_name(1, "conv", &weight(&[2, 2, 3, 3], Initializer::Identity));
    let ones: Vec<_> = (0..36).filter(|&place| values[place] != 0.0).collect();
    // The centre of 3 x 3, of filter 0 on channel 0 and of filter 1 on channel 1.
    assert_eq!(ones, [4, 31]);
}

#[test]
fn a_seed_of_more_than_32_bits_is_none_of_neons() {
    let error = InitialWeights::new(InitialDraws::Neon, 1 << 32).expect_err("too large");
    let message = error.to_string();
    assert!(message.contains("4294967296 is too large"), "{message}");
}

/// What neon's initializers give, by their names in Python and the shape.
fn neons() -> BTreeMap<String, Vec<f32>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/neon/initializers.json"
    );
    let json = std::fs::read_to_string(path).expect("neon's figures");
    serde_json::from_str(&json).expect("tables of numbers")
}

/// neon's initializer in graft's words.
fn in_words(neons: &str) -> Initializer {
    let gaussian = |deviation| Initializer::Gaussian {
        mean: 0.0,
        deviation,
    };
    let uniform = |low, high| Initializer::Uniform { low, high };
    match neons {
        "Constant()" => Initializer::Constant { value: 0.0 },
        "Constant(0.5)" => Initializer::Constant { value: 0.5 },
        "Gaussian()" => gaussian(1.0),
        "Gaussian(scale=0.01)" => gaussian(0.01),
        "GlorotUniform()" => Initializer::NeonGlorotUniform,
        "IdentityInit()" => Initializer::NeonIdentity,
        "Kaiming(local=False)" => Initializer::NeonKaiming { local: false },
        "Kaiming(local=True)" => Initializer::NeonKaiming { local: true },
        // neon stretches them by default.
        "Orthonormal()" => Initializer::Orthonormal { scale: 1.1 },
        "Uniform()" => uniform(0.0, 1.0),
        "Uniform(-0.1, 0.1)" => uniform(-0.1, 0.1),
        "Xavier(local=False)" => Initializer::NeonXavier { local: false },
        "Xavier(local=True)" => Initializer::NeonXavier { local: true },
        other => panic!("no word for {other}"),
    }
}

/// Seeds of the generators behind [`neons`].
const SEED: u64 = 123;
const ORTHONORMAL_SEED: u64 = 99;

#[test]
fn every_initializer_of_neon_gives_neons_values() {
    let neons = neons();
    assert_eq!(neons.len(), 24);
    for (case, expected) in &neons {
        let (name, shape) = case.split_once(" of ").expect("a name and a shape");
        // A convolution of 4 filters 3 x 3 on 3 channels, or linear layers.
        let shape: &[usize] = match shape {
            "27x4" => &[4, 3, 3, 3],
            "5x7" => &[5, 7],
            "3x5" => &[3, 5],
            other => panic!("unknown shape {other}"),
        };
        let parameter = weight(shape, in_words(name));
        let orthonormal = matches!(parameter.initializer, Initializer::Orthonormal { .. });
        let seed = if orthonormal { ORTHONORMAL_SEED } else { SEED };
        let ours = as_neon(seed).next("layer", &parameter);
        let ours = match shape.len() {
            4 => transposed(&ours, 27),
            _ => ours,
        };
        if orthonormal {
            assert_equal_up_to_signs(&ours, expected, 7);
        } else {
            let rounded: Vec<f32> = ours.iter().map(|&value| value as f32).collect();
            assert_eq!(&rounded, expected, "{case}");
        }
    }
}

/// Row by row, equal or opposite: the sign of a singular vector is arbitrary.
fn assert_equal_up_to_signs(ours: &[f64], neons: &[f32], columns: usize) {
    for (ours, neons) in ours.chunks(columns).zip(neons.chunks(columns)) {
        let pairs = || ours.iter().zip(neons).map(|(&a, &b)| (a, f64::from(b)));
        let same = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let opposite = pairs().map(|(a, b)| (a + b).abs()).fold(0.0, f64::max);
        assert!(same.min(opposite) < 1e-6, "{ours:?} is not {neons:?}");
    }
}

#[test]
fn the_seed_of_a_neon_run_gives_all_its_initial_weights_bit_for_bit() {
    // As the file says: neon 2.6, rng_seed 7, Xavier() for convolutions, GlorotUniform() for the
    // rest, biases 0.
    const NEONS_SEED: u64 = 7;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/neon/target_init.p");
    let neons = source::read(Path::new(path)).expect("a model of neon's");
    let network = reference_network();
    let (tensors, _) =
        import::import(neons, &network, &Source::default()).expect("layers that fit");
    let ours = Network::new(
        &network,
        Weights::new(),
        NEONS_SEED,
        Dtype::F32,
        &Device::flex(),
    );
    let ours = ours.expect("a network").tensors();
    assert_eq!(ours.len(), tensors.len());
    for (ours, neons) in ours.iter().zip(&tensors) {
        assert_eq!(ours.layer, neons.layer);
        assert_eq!(ours.values, neons.values, "{}", ours.layer);
    }
}

#[test]
fn given_weights_do_not_change_what_neons_way_draws_for_the_others() {
    let network = reference_network();
    let build = |weights| {
        let network = Network::new(&network, weights, 7, Dtype::F32, &Device::flex());
        network.expect("a network").tensors()
    };
    let mut ones = Weights::new();
    for name in ["conv1_1", "fc7_new", "cls_imdb_wiki_face"] {
        let layer = network.layers.iter().find(|layer| layer.name == name);
        let count = layer.expect("the layer").parameter_count();
        let values = Numbers::from(vec![1.0; count]);
        ones.insert((name.to_string(), Role::Weight), values);
    }
    for (drawn, partly) in build(Weights::new()).iter().zip(build(ones.clone())) {
        match ones.get(&(drawn.layer.clone(), drawn.role)) {
            Some(given) => assert_eq!(partly.values, *given),
            None => assert_eq!(partly.values, drawn.values, "{}", drawn.layer),
        }
    }
}

#[test]
fn filters_in_groups_reach_their_group_alone() {
    let grouped = |shape: &[usize], groups, initializer| ParameterSpec {
        groups,
        ..weight(shape, initializer)
    };
    // Depthwise: each filter sees one channel, each channel reaches one filter.
    let bound = (6.0f64 / (9.0 + 9.0)).sqrt();
    let values = by_name(
        1,
        "c",
        &grouped(&[64, 1, 3, 3], 64, Initializer::GlorotUniform),
    );
    let largest = values.iter().fold(0f64, |m, v| m.max(v.abs()));
    assert!(largest <= bound && largest > 0.95 * bound, "{largest}");
    let ones = |shape: &[usize], groups| -> Vec<usize> {
        let values = by_name(1, "c", &grouped(shape, groups, Initializer::Identity));
        (0..values.len())
            .filter(|&place| values[place] != 0.0)
            .collect()
    };
    assert_eq!(ones(&[3, 1, 3, 3], 3), [4, 13, 22], "the centre of each");
    // Two groups of two: filters 2 and 3 see channels 2 and 3.
    assert_eq!(ones(&[4, 2, 1, 1], 2), [0, 3, 4, 7]);
    // Twice as many filters as channels: filter 1 sees channel 0 alone, which is not its own.
    assert_eq!(ones(&[4, 1, 1, 1], 2), [0]);
}
