//! Which layer a dataset in a Keras file belongs to, and what it is to the layer.
//!
//! By names and shapes alone; it reads no file.

use std::collections::HashMap;

use super::super::layers::is_role;

/// A dataset that holds a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// Its name in the file.
    pub path: String,
    pub layer: String,
    /// Its name in the layer, which need not say much.
    word: String,
}

/// The weights among the datasets of a file, layer by layer. Those of an optimizer are none.
pub fn name(datasets: &[String]) -> Vec<Weight> {
    let whole = "model_weights/";
    let is_whole = datasets.iter().any(|path| path.starts_with(whole));
    let mut weights = Vec::new();
    for path in datasets {
        let inner = match (is_whole, path.strip_prefix(whole)) {
            (true, None) => continue,
            (_, Some(inner)) => inner,
            (false, None) => path,
        };
        let first = inner.split('/').next().unwrap_or_default();
        if !inner.contains('/') || ASIDE.contains(&first) || inner.contains("seed_generator") {
            continue;
        }
        let (layer, word) = split(inner);
        weights.push(Weight {
            path: path.clone(),
            layer,
            word,
        });
    }
    weights
}

/// What each weight is to its layer, in Keras' words.
pub fn roles<'a>(weights: impl Iterator<Item = (&'a Weight, &'a [usize])> + Clone) -> Vec<String> {
    let mut by_layer: HashMap<&str, Vec<(&str, &[usize])>> = HashMap::new();
    for (weight, shape) in weights.clone() {
        let layer = by_layer.entry(&weight.layer).or_default();
        layer.push((&weight.word, shape));
    }
    for layer in by_layer.values_mut() {
        layer.sort_by_key(|(word, _)| word.parse::<u32>().unwrap_or(u32::MAX));
    }
    let role = |(weight, shape): (&Weight, &[usize])| {
        let siblings = by_layer
            .get(weight.layer.as_str())
            .map_or(&[][..], Vec::as_slice);
        let role = match is_number(&weight.word) {
            true => by_shapes(&weight.layer, siblings, &weight.word),
            false => by_word(&weight.word, shape, siblings),
        };
        match role {
            "kernel" if is_depthwise(&weight.layer, shape, siblings) => "depthwise_kernel",
            role => role,
        }
        .to_string()
    };
    weights.map(role).collect()
}

/// Groups that belong to no layer.
const ASIDE: [&str; 4] = [
    "optimizer_weights",
    "optimizer",
    "metrics",
    "top_level_model_weights",
];

/// Layer and name of the weight at `path`, a group's name at least before it.
fn split(path: &str) -> (String, String) {
    let (group, last) = path.rsplit_once('/').unwrap_or(("", path));
    let last = last.strip_suffix(":0").unwrap_or(last);
    if let Some(layer) = group.strip_suffix("/vars").filter(|_| is_number(last)) {
        let mut layer = layer;
        for prefix in ["_layer_checkpoint_dependencies/", "layers/"] {
            layer = layer.strip_prefix(prefix).unwrap_or(layer);
        }
        return (layer.to_string(), last.to_string());
    }
    for (place, _) in path.match_indices('/') {
        let (layer, rest) = (&path[..place], &path[place + 1..]);
        let Some(rest) = rest.strip_prefix(layer) else {
            continue;
        };
        // `conv1/conv1/kernel:0`, `lstm/lstm/lstm_cell/kernel:0`.
        if let Some(inner) = rest.strip_prefix('/') {
            return match inner.rsplit_once('/') {
                Some((inner, _)) => (format!("{layer}/{inner}"), last.to_string()),
                None => (layer.to_string(), last.to_string()),
            };
        }
        match rest.strip_prefix('_').map(|rest| rest.split_once('/')) {
            // `conv1/conv1_W`
            Some(None) => {
                let word = rest.strip_prefix('_').unwrap_or(rest);
                let word = word.strip_suffix(":0").unwrap_or(word);
                return (layer.to_string(), word.to_string());
            }
            // `conv1/conv1_2/kernel:0`: a scope of TensorFlow's, made unique.
            Some(Some((number, inner))) if is_number(number) && !inner.contains('/') => {
                return (layer.to_string(), last.to_string());
            }
            _ => {}
        }
    }
    (group.to_string(), last.to_string())
}

/// By the name in the layer: Keras', Keras 1's, or none of them (`uniform3`, after a function that
/// drew the first values).
fn by_word<'a>(word: &'a str, shape: &[usize], siblings: &[(&str, &[usize])]) -> &'a str {
    let of_rank = |rank: fn(usize) -> bool| siblings.iter().filter(move |s| rank(s.1.len()));
    match word {
        "W" => "kernel",
        "b" => "bias",
        "running_mean" => "moving_mean",
        // It held the variance.
        "running_std" | "running_variance" => "moving_variance",
        word if is_role(word) => word,
        _ if !is_drawn(word) => word,
        _ if matches!(shape.len(), 2 | 4) && of_rank(|rank| rank > 1).count() == 1 => "kernel",
        _ if shape.len() == 1 && siblings.len() == 2 && of_rank(|rank| rank == 1).count() == 1 => {
            "bias"
        }
        _ => word,
    }
}

/// Whether this is the name of a function that draws values, with a number behind it.
fn is_drawn(word: &str) -> bool {
    let stem = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
    [
        "uniform",
        "normal",
        "truncated_normal",
        "Variable",
        "zeros",
        "ones",
        "param",
    ]
    .contains(&stem)
}

/// By the shapes of all weights of the layer, of which `word` is the number of one.
fn by_shapes<'a>(layer: &str, siblings: &[(&str, &[usize])], word: &'a str) -> &'a str {
    let ranks: Vec<_> = siblings.iter().map(|sibling| sibling.1.len()).collect();
    let is = |kind: &str| layer.contains(kind);
    let roles: &[&'static str] = match ranks.as_slice() {
        [2 | 4] => &["kernel"],
        [2 | 4, 1] => &["kernel", "bias"],
        [4, 4] => &["depthwise_kernel", "pointwise_kernel"],
        [4, 4, 1] => &["depthwise_kernel", "pointwise_kernel", "bias"],
        [1, 1, 1, 1] => &["gamma", "beta", "moving_mean", "moving_variance"],
        [1, 1] if is("batch_norm") => &["moving_mean", "moving_variance"],
        [1, 1] if is("norm") => &["gamma", "beta"],
        _ => &[],
    };
    let place = siblings.iter().position(|sibling| sibling.0 == word);
    // Where the shapes do not tell, the number is kept.
    place
        .and_then(|place| roles.get(place))
        .copied()
        .unwrap_or(word)
}

/// Whether a kernel (rows, columns, channels, multiplier) is one of a depthwise convolution, which
/// Keras 3 calls `kernel` too.
fn is_depthwise(layer: &str, shape: &[usize], siblings: &[(&str, &[usize])]) -> bool {
    let &[_, _, channels, multiplier] = shape else {
        return false;
    };
    let mut vectors = siblings.iter().filter_map(|sibling| match sibling.1 {
        &[size] => Some(size),
        _ => None,
    });
    match vectors.next() {
        Some(bias) => bias != multiplier && channels.checked_mul(multiplier) == Some(bias),
        None => {
            let last = layer.rsplit('/').next().unwrap_or(layer);
            last.contains("depthwise") || last.split('_').any(|word| word == "dw")
        }
    }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layer and role of every weight.
    fn named(datasets: &[(&str, &[usize])]) -> Vec<(String, String)> {
        let names: Vec<_> = datasets.iter().map(|d| d.0.to_string()).collect();
        let weights = name(&names);
        let shape = |weight: &Weight| {
            let found = datasets.iter().find(|d| d.0 == weight.path);
            found.map_or(&[][..], |d| d.1)
        };
        let roles = roles(weights.iter().map(|weight| (weight, shape(weight))));
        weights.into_iter().map(|w| w.layer).zip(roles).collect()
    }

    fn assert_named(datasets: &[(&str, &[usize])], expected: &[(&str, &str)]) {
        let named = named(datasets);
        let named: Vec<_> = named.iter().map(|n| (n.0.as_str(), n.1.as_str())).collect();
        assert_eq!(named, expected);
    }

    #[test]
    fn layers_of_keras_1_may_have_slashes_in_their_names() {
        assert_named(
            &[
                ("conv1/conv1_b", &[64]),
                ("conv1/uniform1", &[3, 3, 3, 64]),
                ("fire2/squeeze1x1/fire2/squeeze1x1_b", &[16]),
                ("fire2/squeeze1x1/uniform2", &[1, 1, 64, 16]),
                ("dense_1/dense_1_W", &[8, 4]),
                ("dense_1/dense_1_b", &[4]),
                ("bn/bn_running_std", &[4]),
            ],
            &[
                ("conv1", "bias"),
                ("conv1", "kernel"),
                ("fire2/squeeze1x1", "bias"),
                ("fire2/squeeze1x1", "kernel"),
                ("dense_1", "kernel"),
                ("dense_1", "bias"),
                ("bn", "moving_variance"),
            ],
        );
    }

    #[test]
    fn keras_2_doubles_the_names_of_layers() {
        assert_named(
            &[
                ("model_weights/conv2d/conv2d/kernel:0", &[3, 3, 3, 8]),
                ("model_weights/conv2d_1/conv2d_1_2/kernel:0", &[3, 3, 3, 8]),
                ("model_weights/block/conv/block/conv/bias:0", &[8]),
                ("model_weights/resnet50/conv1/kernel:0", &[7, 7, 3, 64]),
                ("model_weights/lstm/lstm/lstm_cell/kernel:0", &[4, 16]),
                ("model_weights/dw/dw/depthwise_kernel:0", &[3, 3, 8, 1]),
                ("optimizer_weights/Adam/conv2d/kernel/m:0", &[3, 3, 3, 8]),
                ("model_weights/top_level_model_weights/x:0", &[1]),
            ],
            &[
                ("conv2d", "kernel"),
                ("conv2d_1", "kernel"),
                ("block/conv", "bias"),
                ("resnet50/conv1", "kernel"),
                ("lstm/lstm_cell", "kernel"),
                ("dw", "depthwise_kernel"),
            ],
        );
    }

    #[test]
    fn keras_3_leaves_it_to_the_shapes() {
        assert_named(
            &[
                ("layers/conv2d/vars/0", &[3, 3, 3, 8]),
                ("layers/conv2d/vars/1", &[8]),
                ("layers/depthwise_conv2d/vars/0", &[3, 3, 8, 1]),
                ("layers/depthwise_conv2d_1/vars/0", &[3, 3, 8, 2]),
                ("layers/depthwise_conv2d_1/vars/1", &[16]),
                ("layers/separable_conv2d/vars/0", &[3, 3, 8, 1]),
                ("layers/separable_conv2d/vars/1", &[1, 1, 8, 4]),
                ("layers/batch_normalization/vars/0", &[8]),
                ("layers/batch_normalization/vars/1", &[8]),
                ("layers/batch_normalization/vars/2", &[8]),
                ("layers/batch_normalization/vars/3", &[8]),
                ("layers/functional/layers/dense/vars/0", &[8, 2]),
                ("layers/gru/cell/vars/0", &[8, 12]),
                ("layers/gru/cell/vars/1", &[4, 12]),
                ("layers/dropout/seed_generator/vars/0", &[2]),
                ("optimizer/vars/1", &[3]),
            ],
            &[
                ("conv2d", "kernel"),
                ("conv2d", "bias"),
                ("depthwise_conv2d", "depthwise_kernel"),
                ("depthwise_conv2d_1", "depthwise_kernel"),
                ("depthwise_conv2d_1", "bias"),
                ("separable_conv2d", "depthwise_kernel"),
                ("separable_conv2d", "pointwise_kernel"),
                ("batch_normalization", "gamma"),
                ("batch_normalization", "beta"),
                ("batch_normalization", "moving_mean"),
                ("batch_normalization", "moving_variance"),
                ("functional/layers/dense", "kernel"),
                ("gru/cell", "0"),
                ("gru/cell", "1"),
            ],
        );
    }
}
