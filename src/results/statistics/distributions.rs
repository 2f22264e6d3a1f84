//! Student's t and the binomial distribution, both by the incomplete beta function.

/// Probability that Student's t with `degrees` of freedom lies at least as far from 0 as `t`, on
/// either side.
pub fn student_two_sided(t: f64, degrees: f64) -> f64 {
    incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + t * t))
}

/// The t from which, on either side, Student's t with `degrees` of freedom lies further away with
/// probability `p`, 0 < p < 1: 2.776 for p = 0.05 and 4 degrees.
pub fn student_quantile(p: f64, degrees: f64) -> f64 {
    let mut high = 1.0;
    while student_two_sided(high, degrees) > p && high < f64::MAX / 2.0 {
        high *= 2.0;
    }
    let mut low = 0.0;
    // Each step halves the interval: after 100 of them there is no float left inside.
    for _ in 0..100 {
        let middle = low + (high - low) / 2.0;
        if student_two_sided(middle, degrees) > p {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Probability of at most `successes` in `trials` fair coin flips.
pub fn fair_binomial_at_most(successes: u64, trials: u64) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    incomplete_beta((trials - successes) as f64, successes as f64 + 1.0, 0.5)
}

/// The regularised incomplete beta function I_x(a, b), for a, b > 0 and x in 0 to 1.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let logarithm = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let factor = logarithm.exp();
    // The fraction converges quickly on this side of the mean only.
    if x < (a + 1.0) / (a + b + 2.0) {
        factor * beta_fraction(a, b, x) / a
    } else {
        1.0 - factor * beta_fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8), by the
/// method of Lentz (1976): numerators and denominators from the front, none of them zero.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const STEPS: usize = 10_000;
    let nonzero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut above = 1.0;
    let mut below = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = below;
    for step in 1..=STEPS {
        let m = step as f64;
        let end = a + 2.0 * m;
        let even = m * (b - m) * x / ((end - 1.0) * end);
        let odd = -(a + m) * (a + b + m) * x / (end * (end + 1.0));
        let before = fraction;
        for term in [even, odd] {
            below = 1.0 / nonzero(1.0 + term * below);
            above = nonzero(1.0 + term / above);
            fraction *= above * below;
        }
        if (fraction / before - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// Logarithm of the gamma function for x > 0: the approximation of Lanczos (1964) with g = 7.
fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.5203681218851,
        -1259.1392167224028,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507343278686905,
        -0.13857109526572012,
        9.984369578019572e-6,
        1.5056327351493116e-7,
    ];
    if x < 0.5 {
        // Its reflection, where the approximation is good.
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let terms = COEFFICIENTS.iter().zip(1..);
    let series: f64 = terms.map(|(c, place)| c / (x + f64::from(place))).sum();
    let base = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * base.ln() - base
        + (0.999_999_999_999_809_9 + series).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64, relative: f64) {
        let error = (value / expected - 1.0).abs();
        assert!(error < relative, "{value}, not {expected}");
    }

    #[test]
    fn quantiles_are_those_of_the_printed_tables() {
        // Two-sided 5 % and 1 %, as in any textbook, to their three decimals.
        let table = [
            (0.05, 1.0, 12.706),
            (0.05, 2.0, 4.303),
            (0.05, 4.0, 2.776),
            (0.05, 10.0, 2.228),
            (0.05, 30.0, 2.042),
            (0.05, 120.0, 1.980),
            (0.01, 1.0, 63.657),
            (0.01, 4.0, 4.604),
            (0.01, 30.0, 2.750),
        ];
        for (p, degrees, expected) in table {
            let t = student_quantile(p, degrees);
            assert!((t - expected).abs() < 5.1e-4, "{t}, not {expected}");
        }
    }

    #[test]
    fn tails_are_those_of_the_closed_forms() {
        // One degree: Cauchy's distribution. Two: 1 - t / sqrt(2 + t²).
        for t in [0.1, 1.0, 3.0, 40.0] {
            let cauchy = 1.0 - 2.0 * f64::atan(t) / std::f64::consts::PI;
            near(student_two_sided(t, 1.0), cauchy, 1e-11);
            let two = 1.0 - t / (2.0 + t * t).sqrt();
            near(student_two_sided(-t, 2.0), two, 1e-11);
        }
        assert_eq!(student_two_sided(0.0, 5.0), 1.0);
        // With many degrees, the normal distribution's 5 %.
        near(student_two_sided(1.959963984540054, 1e9), 0.05, 1e-6);
    }

    #[test]
    fn coin_flips_are_counted_exactly() {
        // (1 + 10 + 45) / 1024, and 1 - 1/8.
        near(fair_binomial_at_most(2, 10), 56.0 / 1024.0, 1e-13);
        near(fair_binomial_at_most(2, 3), 0.875, 1e-13);
        near(fair_binomial_at_most(0, 60), 0.5f64.powi(60), 1e-11);
        assert_eq!(fair_binomial_at_most(3, 3), 1.0);
        assert_eq!(fair_binomial_at_most(0, 0), 1.0);
        // Half the flips, by symmetry: (1 + C(2000, 1000) / 2^2000) / 2, Stirling's with a term.
        let middle = (1.0 - 1.0 / 8000.0) / (std::f64::consts::PI * 1000.0).sqrt();
        near(fair_binomial_at_most(1000, 2000), 0.5 + middle / 2.0, 1e-8);
    }

    #[test]
    fn factorials_are_exact_to_the_last_digits() {
        let mut logarithm = 0.0;
        for n in 2..100 {
            logarithm += f64::ln(n as f64);
            near(ln_gamma(n as f64 + 1.0), logarithm, 1e-13);
        }
        near(ln_gamma(0.25), 1.2880225246980774, 1e-13);
    }
}
