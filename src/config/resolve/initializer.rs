//! Resolves an initializer: a word, and the keys that go with it.

use super::checks::{Checks, FINITE, POSITIVE, Range};
use crate::config::experiment::Initializer;
use crate::config::file::{InitializerName, NameOrTable};

/// An initializer with all that it needs.
pub fn initializer(checks: &mut Checks, key: &str, given: &NameOrTable) -> Initializer {
    let NameOrTable(table) = given;
    let Some(name) = table.name else {
        checks.refuse_with_example(&format!("{key}.name"), "this initializer has no `name`");
        return Initializer::XavierLocal;
    };
    let called = called(name.0);
    let given = [
        ("low", table.low.is_some()),
        ("high", table.high.is_some()),
        ("value", table.value.is_some()),
        ("mean", table.mean.is_some()),
        ("deviation", table.deviation.is_some()),
        ("scale", table.scale.is_some()),
        ("local", table.local.is_some()),
    ];
    checks.only_taken(key, called, &given);
    let mut number = |range: Range, field: &str, value: Option<f64>, default: f64| {
        checks.number(range, &format!("{key}.{field}"), value, default)
    };
    match name.0 {
        InitializerName::XavierLocal => Initializer::XavierLocal,
        InitializerName::GlorotUniform => Initializer::GlorotUniform,
        InitializerName::Kaiming => Initializer::Kaiming,
        InitializerName::KaimingNormal => Initializer::KaimingNormal,
        InitializerName::Identity => Initializer::Identity,
        InitializerName::NeonGlorotUniform => Initializer::NeonGlorotUniform,
        InitializerName::NeonIdentity => Initializer::NeonIdentity,
        InitializerName::NeonXavier => Initializer::NeonXavier {
            local: table.local.unwrap_or(true),
        },
        InitializerName::NeonKaiming => Initializer::NeonKaiming {
            local: table.local.unwrap_or(true),
        },
        InitializerName::Orthonormal => Initializer::Orthonormal {
            scale: number(POSITIVE, "scale", table.scale, 1.0),
        },
        InitializerName::Gaussian => Initializer::Gaussian {
            mean: number(FINITE, "mean", table.mean, 0.0),
            deviation: required(checks, key, called, "deviation", table.deviation, POSITIVE),
        },
        InitializerName::Constant => Initializer::Constant {
            value: required(checks, key, called, "value", table.value, FINITE),
        },
        InitializerName::Uniform => {
            let low = required(checks, key, called, "low", table.low, FINITE);
            let high = required(checks, key, called, "high", table.high, FINITE);
            if table.low.is_some() && table.high.is_some() && low >= high {
                let problem = format!("`low` must be less than `high`: {low} and {high}");
                checks.refuse(&format!("{key}.low"), problem, "exchange them");
            }
            Initializer::Uniform { low, high }
        }
    }
}

/// A number that has no default.
fn required(
    checks: &mut Checks,
    key: &str,
    called: &str,
    field: &str,
    value: Option<f64>,
    range: Range,
) -> f64 {
    let path = format!("{key}.{field}");
    if value.is_none() {
        let problem = format!("the initializer \"{called}\" needs a `{field}`");
        let numbers = match field {
            "value" => "value = 0.1",
            "deviation" => "deviation = 0.01",
            _ => "low = -0.05, high = 0.05",
        };
        let help = format!("for example `{{ name = \"{called}\", {numbers} }}`");
        checks.refuse(&path, problem, help);
        return 0.0;
    }
    checks.number(range, &path, value, 0.0)
}

fn called(name: InitializerName) -> &'static str {
    match name {
        InitializerName::XavierLocal => "xavier_local",
        InitializerName::GlorotUniform => "glorot_uniform",
        InitializerName::Kaiming => "kaiming",
        InitializerName::KaimingNormal => "kaiming_normal",
        InitializerName::Gaussian => "gaussian",
        InitializerName::Uniform => "uniform",
        InitializerName::Constant => "constant",
        InitializerName::Identity => "identity",
        InitializerName::Orthonormal => "orthonormal",
        InitializerName::NeonXavier => "neon_xavier",
        InitializerName::NeonKaiming => "neon_kaiming",
        InitializerName::NeonGlorotUniform => "neon_glorot_uniform",
        InitializerName::NeonIdentity => "neon_identity",
    }
}
