use super::*;
use crate::random::{Generator, Stream};

fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-9, "{value}, not {expected}");
}

/// Runs of one share of right answers a block of samples: `blocks[run][block]` of 10 samples each.
fn runs<const N: usize>(blocks: &[[usize; N]]) -> Vec<Right> {
    let run = |shares: &[usize; N]| -> Right {
        let block = |&right: &usize| (0..10).map(move |sample| sample < right);
        shares.iter().flat_map(block).collect()
    };
    blocks.iter().map(run).collect()
}

#[test]
fn mcnemar_is_the_sign_test_on_samples_that_one_alone_told_right() {
    near(mcnemar(2, 8), 2.0 * 56.0 / 1024.0);
    near(mcnemar(8, 2), 2.0 * 56.0 / 1024.0);
    near(mcnemar(0, 6), 2.0 / 64.0);
    assert_eq!((mcnemar(0, 0), mcnemar(5, 5)), (1.0, 1.0));
}

#[test]
fn holm_multiplies_by_the_number_that_is_left_and_never_turns_the_order() {
    // 3 * 0.01, 2 * 0.03, and 0.04 raised to the one before it.
    let corrected = holm(&[0.04, 0.01, 0.03]);
    for (value, expected) in corrected.iter().zip([0.06, 0.03, 0.06]) {
        near(*value, expected);
    }
    assert_eq!(holm(&[0.7, 0.9]), [1.0, 1.0]);
    assert!(holm(&[]).is_empty());
}

#[test]
fn where_seeds_alone_vary_the_test_is_student_s_with_the_degrees_of_the_fewer_runs() {
    // Accuracies 0.2, 0.4, 0.6 against 0.6, 0.8, 1.0, of runs that fail in whole blocks of samples.
    let first = runs(&[[10, 0, 0, 0, 0], [10, 10, 0, 0, 0], [10, 10, 10, 0, 0]]);
    let second = runs(&[
        [10, 10, 10, 0, 0],
        [10, 10, 10, 10, 0],
        [10, 10, 10, 10, 10],
    ]);
    let tested = difference(&first, &second, Pairing::None).unwrap();
    near(tested.mean, -0.4);
    // The variance over the runs is 0.04 for both. A sample's shares differ by 0, 1/3, 2/3, 2/3 or
    // 1/3, with a variance of 0.063: less than the 4/45 by which the luck of the runs moves them.
    near(tested.standard_error.powi(2), 2.0 * 0.04 / 3.0);
    near(tested.degrees, 2.0);
    near(
        tested.p,
        student_two_sided(0.4 / (0.08_f64 / 3.0).sqrt(), 2.0),
    );
}

#[test]
fn where_samples_alone_vary_the_test_is_the_paired_one_over_samples() {
    let (first, second) = (runs(&[[9, 3]; 3]), runs(&[[8, 5]; 3]));
    let tested = difference(&first, &second, Pairing::None).unwrap();
    // Of 20 samples, one is told right by the first alone and two by the second.
    near(tested.mean, -0.05);
    let variance = (3.0 - 20.0 * 0.05_f64.powi(2)) / 19.0;
    near(tested.standard_error, (variance / 20.0).sqrt());
    near(tested.degrees, 19.0);
}

#[test]
fn what_a_seed_gives_both_is_no_luck_where_runs_are_paired() {
    let first = runs(&[[2; 30], [5; 30], [8; 30]]);
    let second = runs(&[[3; 30], [6; 30], [9; 30]]);
    let paired = difference(&first, &second, Pairing::BySeed).unwrap();
    let unpaired = difference(&first, &second, Pairing::None).unwrap();
    assert!(
        paired.p < 0.05 && unpaired.p > 0.5,
        "{paired:?} {unpaired:?}"
    );
    near(paired.mean, unpaired.mean);
}

#[test]
fn a_few_samples_make_nothing_certain() {
    let (all, none) = (runs(&[[10]; 3]), runs(&[[0]; 3]));
    let few = |arm: &[Right]| -> Vec<Right> { arm.iter().map(|run| run[..3].to_vec()).collect() };
    let tested = difference(&few(&all), &few(&none), Pairing::None).unwrap();
    assert_eq!((tested.mean, tested.p), (1.0, 0.25));
    let same = difference(&all, &all, Pairing::BySeed).unwrap();
    assert_eq!((same.mean, same.p), (0.0, 1.0));
}

#[test]
fn a_single_run_or_other_samples_are_not_tested() {
    let two = runs(&[[5], [6]]);
    let test = |first: &[Right], second: &[Right], pairing| difference(first, second, pairing);
    assert_eq!(test(&two[..1], &two, Pairing::None), None);
    assert_eq!(test(&two, &two[..1], Pairing::None), None);
    assert_eq!(test(&two, &runs(&[[5, 5], [6, 6]]), Pairing::None), None);
    assert_eq!(test(&two, &runs(&[[5], [6], [7]]), Pairing::BySeed), None);
    assert_eq!(test(&[], &two, Pairing::None), None);
}

/// An invented experiment: the test samples differ in how hard they are, the runs in how good they
/// are, in how much they lean towards one of the two classes, and on every single sample.
struct Invented {
    difficulty: Vec<f64>,
    /// Standard deviations over the runs.
    skill: f64,
    leaning: f64,
}

impl Invented {
    fn new(samples: usize, [skill, leaning]: [f64; 2], stream: &mut Stream) -> Self {
        let difficulty = (0..samples).map(|_| 1.5 * stream.normal() - 0.8).collect();
        Self {
            difficulty,
            skill,
            leaning,
        }
    }

    /// What `runs` runs tell right that are better by `gain`.
    fn runs(&self, runs: usize, gain: f64, stream: &mut Stream) -> Vec<Right> {
        let mut run = || -> Right {
            let skill = gain + self.skill * stream.normal();
            let leaning = self.leaning * stream.normal();
            let classes = [1.0, -1.0].into_iter().cycle();
            let samples = self.difficulty.iter().zip(classes);
            samples
                .map(|(hard, class)| skill + leaning * class + 0.8 * stream.normal() > *hard)
                .collect()
        };
        (0..runs).map(|_| run()).collect()
    }

    /// Of `pairs` pairs of experiments that differ by `gain`, the share with p up to 0.05.
    fn claims(spread: [f64; 2], [pairs, runs]: [usize; 2], gain: f64, pairing: Pairing) -> f64 {
        let claimed = (0..pairs).filter(|&pair| {
            let stream = &mut Stream::new(18, "invented experiments", &[pair as u64]);
            let invented = Invented::new(400, spread, stream);
            let first = invented.runs(runs, gain, stream);
            let second = invented.runs(runs, 0.0, stream);
            difference(&first, &second, pairing).is_some_and(|it| it.p <= 0.05)
        });
        claimed.count() as f64 / pairs as f64
    }
}

#[test]
fn of_200_pairs_of_the_same_experiment_with_other_seeds_at_most_10_are_claimed_to_differ() {
    for spread in [[0.0, 0.0], [0.15, 0.0], [0.15, 0.5], [0.0, 1.0]] {
        for runs in [2, 3, 5] {
            for pairing in [Pairing::None, Pairing::BySeed] {
                let share = Invented::claims(spread, [200, runs], 0.0, pairing);
                assert!(
                    share <= 0.05,
                    "{spread:?}, {runs} runs, {pairing:?}: {share}"
                );
            }
        }
    }
}

#[test]
fn a_real_difference_is_mostly_found_with_five_seeds() {
    // Some ten percentage points, with runs that deviate by two or three.
    let share = Invented::claims([0.15, 0.0], [100, 5], 0.5, Pairing::None);
    assert!(share >= 0.8, "{share}");
}

#[test]
fn single_runs_of_the_same_experiment_are_often_different_models() {
    // Why `mcnemar` says nothing about experiments: it takes the seed's luck for a difference.
    let differ = (0..200).filter(|&pair| {
        let stream = &mut Stream::new(18, "single runs", &[pair]);
        let runs = Invented::new(400, [0.15, 0.0], stream).runs(2, 0.0, stream);
        let alone = |a: &Right, b: &Right| a.iter().zip(b).filter(|(a, b)| **a && !**b).count();
        let [first, second] = [alone(&runs[0], &runs[1]), alone(&runs[1], &runs[0])];
        mcnemar(first as u64, second as u64) <= 0.05
    });
    assert!(
        differ.count() > 20,
        "more than twice the 5 % of its promise"
    );
}
