use super::*;

/// A sample of 3 channels, 2 by 2: 0, 20, 40 … 220.
fn sample() -> Vec<f32> {
    (0..12).map(|n| 20.0 * n as f32).collect()
}

fn steps(dtype: Dtype) -> Steps {
    Steps::none([3, 2, 2], dtype)
}

fn caffe(dtype: Dtype) -> Steps {
    Steps {
        reversed: true,
        mean: vec![103.939, 116.779, 123.68],
        ..steps(dtype)
    }
}

fn torchvision(dtype: Dtype) -> Steps {
    Steps {
        mean: vec![123.675, 116.28, 103.53],
        deviation: vec![58.395, 57.12, 57.375],
        ..steps(dtype)
    }
}

fn keras(dtype: Dtype) -> Steps {
    Steps {
        mean: vec![127.5],
        deviation: vec![127.5],
        ..steps(dtype)
    }
}

fn of(steps: Steps) -> Vec<f64> {
    let transform = Transform::new(steps).expect("steps that fit");
    transform.of(sample()).expect("pixels").to_f64()
}

fn largest_difference(ours: &[f64], theirs: impl IntoIterator<Item = f64>) -> f64 {
    let theirs: Vec<f64> = theirs.into_iter().collect();
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max)
}

/// Half a unit in the last place of values up to 4, or of up to 256 for `caffe`, twice or so.
const PRECISIONS: [(Dtype, f64); 4] = [
    (Dtype::F64, 1e-14),
    (Dtype::F32, 1e-6),
    (Dtype::F16, 2e-3),
    (Dtype::Bf16, 2e-2),
];

#[test]
fn torchvisions_way_is_its_mean_and_deviation_of_values_from_0_to_1() {
    // As torchvision writes it: ((x / 255) - mean) / deviation.
    let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let expected = || {
        sample()
            .into_iter()
            .enumerate()
            .map(move |(n, x)| (f64::from(x) / 255.0 - mean[n / 4]) / deviation[n / 4])
    };
    for (dtype, tolerance) in PRECISIONS {
        let largest = largest_difference(&of(torchvision(dtype)), expected());
        assert!(largest <= tolerance, "{dtype}: {largest}");
    }
}

#[test]
fn tensorflows_way_goes_from_minus_1_to_1() {
    let expected = || sample().into_iter().map(|x| f64::from(x) / 127.5 - 1.0);
    for (dtype, tolerance) in PRECISIONS {
        let largest = largest_difference(&of(keras(dtype)), expected());
        assert!(largest <= tolerance, "{dtype}: {largest}");
    }
}

#[test]
fn caffes_way_turns_the_channels_round_and_then_subtracts() {
    let mean = [103.939, 116.779, 123.68];
    let expected =
        || (0..12).map(move |n| 20.0 * f64::from(8 - n / 4 * 4 + n % 4) - mean[n as usize / 4]);
    for (dtype, tolerance) in PRECISIONS {
        let largest = largest_difference(&of(caffe(dtype)), expected());
        assert!(largest <= 40.0 * tolerance, "{dtype}: {largest}");
    }
}

#[test]
fn nothing_is_nothing() {
    for (dtype, _) in PRECISIONS {
        let expected = sample().into_iter().map(f64::from);
        assert_eq!(largest_difference(&of(steps(dtype)), expected), 0.0);
    }
}

#[test]
fn a_mean_of_pixels_is_subtracted_pixel_by_pixel_then_scaled_then_divided() {
    let steps = Steps {
        mean: (0..12).map(f64::from).collect(),
        scale: 0.5,
        deviation: vec![1.0, 2.0, 4.0],
        ..steps(Dtype::F64)
    };
    let expected = (0..12).map(|n| 19.0 * f64::from(n) * 0.5 / [1.0, 2.0, 4.0][n as usize / 4]);
    assert_eq!(of(steps), expected.collect::<Vec<_>>());
}

#[test]
fn every_sample_of_many_is_treated_alike() {
    for steps in [caffe(Dtype::F32), torchvision(Dtype::F32)] {
        let steps = Steps {
            size: Some(5),
            ..steps
        };
        let transform = Transform::new(steps).expect("steps that fit");
        assert_eq!(transform.shape(), [3, 5, 5]);
        let one = transform.applied(sample()).expect("pixels");
        let three = transform.applied([sample(), sample(), sample()].concat());
        assert_eq!(
            three.expect("pixels"),
            [one.clone(), one.clone(), one].concat()
        );
    }
}

#[test]
fn a_mean_of_channels_stays_when_images_are_resized() {
    let steps = Steps {
        size: Some(3),
        ..torchvision(Dtype::F64)
    };
    let resized = of(steps);
    // The middle of the middle row is the mean of the four.
    let middle = (30.0 - 123.675) / 58.395;
    assert!((resized[4] - middle).abs() < 1e-6, "{}", resized[4]);
}

#[test]
fn a_mean_of_pixels_is_resized_with_the_images() {
    let mean: Vec<f64> = sample().into_iter().map(f64::from).collect();
    let steps = Steps {
        size: Some(7),
        mean,
        ..steps(Dtype::F32)
    };
    // What is subtracted from itself leaves nothing, at any size.
    assert_eq!(of(steps), vec![0.0; 3 * 7 * 7]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let message = |steps| {
        Transform::new(steps)
            .map_err(|error| error.to_string())
            .err()
    };
    let mean = Steps {
        mean: vec![0.0; 5],
        ..steps(Dtype::F32)
    };
    assert_eq!(
        message(mean).as_deref(),
        Some("a mean of 5 values for samples of 12")
    );
    let deviation = Steps {
        deviation: vec![1.0; 2],
        ..steps(Dtype::F32)
    };
    assert_eq!(
        message(deviation).as_deref(),
        Some("a deviation of 2 values for 3 channels")
    );
    for from in [[0, 2, 2], [usize::MAX, 2, 2]] {
        assert!(Transform::new(Steps::none(from, Dtype::F32)).is_err());
    }
}
