//! Words of a command line, read as Python's `argparse` reads them, and the `-c` file of
//! `configargparse`. What the options mean is not its business.

use super::options::{NeonOption, OPTIONS, Takes, by_long, by_short, respelt};
use crate::error::{At, Error, Result};
use crate::pattern;

/// One option as somebody gave it.
#[derive(Debug, Clone)]
pub struct Given {
    pub option: &'static NeonOption,
    /// Empty where the option takes none.
    pub value: String,
    /// As it was written, for messages: `-e 10`, `-c neon.cfg: epochs = 10`.
    pub spelt: String,
}

impl Given {
    /// `option` with `value`, spelt by its long name. Without a value: the one that stands for none.
    pub fn new(option: &'static NeonOption, value: Option<&str>) -> Self {
        let missing = match option.takes {
            Takes::Optional(_, missing) => missing,
            _ => "",
        };
        Self {
            option,
            value: value.unwrap_or(missing).to_owned(),
            spelt: match value {
                Some(value) => format!("--{} {value}", option.long),
                None => format!("--{}", option.long),
            },
        }
    }

    /// An error about this option.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        Error::new(problem).at(format_args!("command line: {}", self.spelt))
    }
}

/// What some words say.
#[derive(Debug, Default)]
pub struct Read {
    /// In their order.
    pub given: Vec<Given>,
    pub warnings: Vec<String>,
}

/// Reads the words behind the script's name.
///
/// # Errors
/// A word that is no option, with the nearest one; an option without the value that it needs.
pub fn parse(words: &[String]) -> Result<Read> {
    read(words).at("command line")
}

/// Reads the text of a `-c` file: `epochs = 10`, `epochs: 10`, `epochs 10` or `--epochs 10` a line.
/// An option without a value stands alone or with `true`. `#` and `;` begin comments; `[section]`
/// and `---` say nothing.
///
/// # Errors
/// As [`parse`], with the line.
pub fn parse_file(name: &str, text: &str) -> Result<Read> {
    let mut all = Read::default();
    for (number, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if line.is_empty() || line.starts_with('[') || line.starts_with("---") {
            continue;
        }
        let is_between = |c: char| c == '=' || c == ':' || c.is_whitespace();
        let (key, value) = line.split_once(is_between).unwrap_or((line, ""));
        let word = format!("--{}", key.trim_start_matches('-'));
        let value = value.trim_start_matches(is_between).trim_end();
        if let "false" | "False" = value {
            // An option that is not asked for, but must be one.
            options_in(&word).at(format_args!("{name}:{}", number + 1))?;
            continue;
        }
        let word = match value {
            "" | "true" | "True" => word,
            value => format!("{word}={value}"),
        };
        let mut read = read(&[word]).at(format_args!("{name}:{}", number + 1))?;
        for given in &mut read.given {
            given.spelt = format!("-c {name}: {line}");
        }
        all.given.extend(read.given);
        all.warnings.extend(read.warnings);
    }
    Ok(all)
}

fn read(words: &[String]) -> Result<Read> {
    let mut read = Read::default();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let (plain, warning) = respelt(word).unwrap_or((word.clone(), None));
        read.warnings.extend(warning);
        for (option, attached) in options_in(&plain).at(word)? {
            let behind = match (option.takes, &attached) {
                (Takes::Nothing, _) | (_, Some(_)) => None,
                _ => words.next_if(|next| !looks_like_option(next)),
            };
            let value = attached.as_ref().or(behind);
            if let (Takes::One(what), None) = (option.takes, value) {
                let error = Error::new(format!("there is no {what} behind it")).at(word);
                return Err(error.help(format!("--{} {what}: {}", option.long, option.help)));
            }
            read.given.push(Given {
                spelt: match behind {
                    Some(value) => format!("{word} {value}"),
                    None => word.clone(),
                },
                ..Given::new(option, value.map(String::as_str))
            });
        }
    }
    Ok(read)
}

/// The options in one word, with values that are attached: `--epochs=3`, `-e3`, `-vb`.
fn options_in(word: &str) -> Result<Vec<(&'static NeonOption, Option<String>)>> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let option = by_long(name).map_err(|similar| unknown(name, &similar))?;
        if option.takes == Takes::Nothing && value.is_some() {
            return Err(Error::new(format!("`--{}` takes no value", option.long)));
        }
        return Ok(vec![(option, value)]);
    }
    let mut options = Vec::new();
    let mut letters = match word.strip_prefix('-') {
        Some(letters) if !letters.is_empty() => letters.chars(),
        _ => {
            let help = "a value stands behind the option that takes it; a script's own arguments \
                        have no meaning here";
            return Err(Error::new("this is no option").help(help));
        }
    };
    while let Some(letter) = letters.next() {
        let option = by_short(letter).ok_or_else(|| unknown(&word[1..], &[]))?;
        let rest = letters.as_str();
        if option.takes == Takes::Nothing {
            options.push((option, None));
            continue;
        }
        let value = rest.strip_prefix('=').unwrap_or(rest);
        options.push((option, (!value.is_empty()).then(|| value.to_owned())));
        break;
    }
    Ok(options)
}

/// As `argparse` has it: a dash begins an option, but not a negative number or a text with spaces.
fn looks_like_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word.parse::<f64>().is_err() && !word.contains(' ')
}

fn unknown(name: &str, similar: &[&str]) -> Error {
    let names = |names: &[&str]| names.iter().map(|name| format!("`--{name}`")).collect();
    let several: Vec<String> = names(similar);
    if several.len() > 1 {
        let error = Error::new(format!("several options begin so: {}", several.join(", ")));
        return error.help("write out the one that is meant");
    }
    let longs = OPTIONS.iter().map(|option| option.long);
    let error = Error::new("neon and the course's script have no such option");
    match name {
        "h" | "help" | "version" => Error::new("this makes neon print something and train nothing")
            .help("leave it out; `graft run --help` lists the options"),
        _ => match pattern::closest(name, longs) {
            Some(long) => error.help(format!("did you mean `--{long}`?")),
            None => error.help(
                "an option of the script's own: leave it out, and set its key in the experiment",
            ),
        },
    }
}

fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (index, c) in line.char_indices() {
        if matches!(c, '#' | ';') && before.is_whitespace() {
            return &line[..index];
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn given(read: &Read) -> Vec<(&str, &str)> {
        let pairs = read.given.iter();
        pairs
            .map(|it| (it.option.long, it.value.as_str()))
            .collect()
    }

    fn parsed(line: &str) -> Vec<(&'static str, String)> {
        let read = parse(&words(line)).unwrap();
        read.given
            .into_iter()
            .map(|it| (it.option.long, it.value))
            .collect()
    }

    fn message(line: &str) -> String {
        parse(&words(line)).unwrap_err().to_string()
    }

    #[test]
    fn values_stand_behind_the_option_or_are_attached() {
        let ten = [("epochs", "10".to_owned())];
        for line in [
            "-e 10",
            "-e10",
            "-e=10",
            "--epochs 10",
            "--epochs=10",
            "--epoch 10",
            "--ep=10",
        ] {
            assert_eq!(parsed(line), ten, "{line}");
        }
        assert_eq!(parsed("-i -1"), [("device_id", "-1".to_owned())]);
    }

    #[test]
    fn letters_without_values_may_share_a_dash() {
        let names: Vec<_> = parsed("-vvb gpu -vz8").into_iter().collect();
        let empty = String::new;
        assert_eq!(
            names,
            [
                ("verbose", empty()),
                ("verbose", empty()),
                ("backend", "gpu".to_owned()),
                ("verbose", empty()),
                ("batch_size", "8".to_owned()),
            ]
        );
    }

    #[test]
    fn a_value_that_may_be_missing_has_a_default() {
        assert_eq!(parsed("--serialize")[0].1, "1");
        assert_eq!(parsed("--serialize -e 3")[0].1, "1");
        assert_eq!(parsed("--serialize 5 -e 3")[0].1, "5");
    }

    #[test]
    fn neons_one_long_name_with_a_single_dash_and_names_with_hyphens_are_understood() {
        let two = [("eval_freq", "2".to_owned())];
        assert_eq!(parsed("-eval 2"), two);
        assert_eq!(parsed("-eval=2"), two);
        let eight = [("batch_size", "8".to_owned())];
        assert_eq!(parsed("--batch-size 8"), eight);
    }

    #[test]
    fn the_misspelt_serialize_is_read_with_a_warning() {
        let read = parse(&words("--serizalize 1 -e 2")).unwrap();
        assert_eq!(given(&read), [("serialize", "1"), ("epochs", "2")]);
        assert_eq!(
            read.warnings,
            ["`--serizalize` is misspelt and read as `--serialize`"]
        );
        assert_eq!(read.given[0].spelt, "--serizalize 1");
    }

    #[test]
    fn an_unknown_option_is_an_error_with_the_nearest_one() {
        assert_eq!(
            message("-e 3 --bach_size 4"),
            "command line: --bach_size: neon and the course's script have no such option\n  \
             help: did you mean `--batch_size`?"
        );
        assert_eq!(
            message("--wavelets"),
            "command line: --wavelets: neon and the course's script have no such option\n  \
             help: an option of the script's own: leave it out, and set its key in the experiment"
        );
        assert_eq!(
            message("--data x"),
            "command line: --data: several options begin so: `--data_root`, `--data_dir`, \
             `--datatype`\n  help: write out the one that is meant"
        );
        assert!(message("-x 3").starts_with("command line: -x: neon and the course"));
        assert!(message("--version").contains("print something and train nothing"));
        assert!(message("-h").contains("print something and train nothing"));
    }

    #[test]
    fn a_missing_value_and_one_too_many_are_errors() {
        assert_eq!(
            message("-e -b cpu"),
            "command line: -e: there is no N behind it\n  \
             help: --epochs N: Complete passes over the training data"
        );
        assert_eq!(
            message("--caffe=1"),
            "command line: --caffe=1: `--caffe` takes no value"
        );
        assert!(message("-e 3 4").starts_with("command line: 4: this is no option"));
        assert!(message("-").starts_with("command line: -: this is no option"));
    }

    #[test]
    fn a_file_of_options_has_one_a_line() {
        let text = "# neon's\n[runtime]\n---\nepochs = 3\nbatch_size: 16 ; small\n\
                    --backend gpu\nno_progress_bar\ncaffe = false\ndeterministic = True\n\
                    data_root = with#hash # and a comment\n";
        let read = parse_file("neon.cfg", text).unwrap();
        assert_eq!(
            given(&read),
            [
                ("epochs", "3"),
                ("batch_size", "16"),
                ("backend", "gpu"),
                ("no_progress_bar", ""),
                ("deterministic", ""),
                ("data_root", "with#hash"),
            ]
        );
        assert_eq!(read.given[0].spelt, "-c neon.cfg: epochs = 3");
    }

    #[test]
    fn a_wrong_line_of_a_file_is_named() {
        let message = |text| parse_file("neon.cfg", text).unwrap_err().to_string();
        assert_eq!(
            message("epochs = 3\nepoks = 4\n"),
            "neon.cfg:2: --epoks=4: neon and the course's script have no such option\n  \
             help: did you mean `--epochs`?"
        );
        assert!(message("epochs =").starts_with("neon.cfg:1: --epochs: there is no N behind it"));
    }
}
