//! Names: patterns over them, and the nearest one to a mistyped word.
//!
//! Layer names are what experiments, source models and receipts have in common. This module knows
//! none of them; it compares strings.

/// Whether `pattern` covers the whole of `name`: `*` stands for any characters or none, `?` for
/// exactly one, everything else for itself. Case matters.
///
/// Time is at most the product of the lengths.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where to go back to when the text after the last star does not fit: (star, start in name).
    let mut retry: Option<(usize, usize)> = None;
    let (mut p, mut n) = (0, 0);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star, start)) = retry else {
                    return false;
                };
                retry = Some((star, start + 1));
                p = star + 1;
                n = start + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// `replacement` for the `name` that `pattern` covers, each `*` of it standing for what that of
/// the pattern stood for (the shortest that fits, from the left); none if it does not cover it.
/// Nothing but `*` is special here.
pub fn replace(pattern: &str, replacement: &str, name: &str) -> Option<String> {
    let mut parts = pattern.split('*');
    let mut rest = name.strip_prefix(parts.next()?)?;
    let mut parts: Vec<_> = parts.collect();
    let mut stood_for = Vec::new();
    match parts.pop() {
        None if !rest.is_empty() => return None,
        None => {}
        Some(end) => {
            for part in parts {
                let at = rest.find(part)?;
                stood_for.push(&rest[..at]);
                rest = &rest[at + part.len()..];
            }
            stood_for.push(rest.strip_suffix(end)?);
        }
    }
    let mut stood_for = stood_for.into_iter();
    let mut pieces = replacement.split('*');
    let mut new = pieces.next()?.to_string();
    for piece in pieces {
        new += stood_for.next().unwrap_or_default();
        new += piece;
    }
    Some(new)
}

/// Whether `word` is a pattern and not an exact name.
pub fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?'])
}

/// Number of characters that stand for themselves: the more, the more specific the pattern.
pub fn literals(pattern: &str) -> usize {
    pattern.chars().filter(|c| !matches!(c, '*' | '?')).count()
}

/// The candidate most like `word`, if one is like enough to be what was meant; the first of equals.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    for candidate in candidates {
        let likeness = strsim::jaro_winkler(word, candidate);
        if likeness >= LIKE_ENOUGH && best.is_none_or(|(_, most)| likeness > most) {
            best = Some((candidate, likeness));
        }
    }
    best.map(|(candidate, _)| candidate)
}

/// Jaro-Winkler similarity from which a name is worth suggesting (1 is equality). Below it,
/// suggestions are names that share no more than a few letters.
const LIKE_ENOUGH: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_of_a_replacement_stand_for_those_of_the_pattern() {
        let new = |pattern, replacement, name| replace(pattern, replacement, name);
        let cases = [
            ("encoder.*", "*", "encoder.conv1", Some("conv1")),
            ("encoder.*", "*", "decoder.conv1", None),
            ("b*.c*", "block*_conv*", "b1.c2", Some("block1_conv2")),
            ("features.0", "conv1_1", "features.0", Some("conv1_1")),
            ("features.0", "conv1_1", "features.01", None),
            ("*.c", "x_*", "a.c.c", Some("x_a.c")),
            ("a*a", "*", "a", None),
            ("", "x", "", Some("x")),
        ];
        for (pattern, replacement, name, expected) in cases {
            assert_eq!(
                new(pattern, replacement, name).as_deref(),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_name_without_wildcards_matches_itself_only() {
        assert!(matches("conv1_1", "conv1_1"));
        assert!(!matches("conv1_1", "conv1_1_bias"));
        assert!(!matches("conv1_1", "conv1_"));
        assert!(!matches("conv1_1", "Conv1_1"));
        assert!(matches("", ""));
        assert!(!matches("", "a"));
    }

    #[test]
    fn a_star_stands_for_any_text_and_a_question_mark_for_one_character() {
        for name in ["conv1_1", "conv1_2_bias", "conv1_"] {
            assert!(matches("conv1_*", name), "{name}");
        }
        assert!(!matches("conv1_*", "conv2_1"));
        assert!(matches("conv?_1", "conv3_1"));
        assert!(!matches("conv?_1", "conv_1"));
        assert!(matches("*_bias", "fc6_bias"));
        assert!(matches("*", ""));
        assert!(!matches("?", ""));
        assert!(matches("?", "é"));
    }

    #[test]
    fn stars_give_way_until_the_rest_fits() {
        assert!(matches("*_1*bias", "conv1_1_1_bias"));
        assert!(matches("a*b*c", "abbbcc"));
        assert!(!matches("a*b*c", "acccc"));
        assert!(matches("**a**", "banana"));
    }

    #[test]
    fn many_stars_cost_no_exponential_time() {
        let name = "a".repeat(2000);
        let pattern = "a*".repeat(500) + "b";
        assert!(!matches(&pattern, &name));
    }

    #[test]
    fn only_stars_and_question_marks_make_a_pattern() {
        assert!(is_pattern("conv*") && is_pattern("fc?"));
        assert!(!is_pattern("conv1_1") && !is_pattern("[a]"));
    }

    #[test]
    fn the_closest_name_is_a_plausible_one_or_none() {
        let names = ["conv1_1", "fc6_new", "learning_rate"];
        assert_eq!(closest("fc6_nwe", names), Some("fc6_new"));
        assert_eq!(closest("lerning_rate", names), Some("learning_rate"));
        assert_eq!(closest("zzz", names), None);
        assert_eq!(closest("fc6", []), None);
    }
}
