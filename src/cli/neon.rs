//! neon's options as arguments of graft's verbs, made from the table in [`crate::config::neon`].

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::config::neon::options::{Meaning, NeonOption, OPTIONS, Takes, respelt};
use crate::config::neon::{Given, Read, Translation, translate};
use crate::error::{At, Result};

/// The options that were given.
#[derive(Debug, Clone, Default)]
pub struct Options(Vec<Given>);

impl Options {
    /// What they come to, those of a `-c` file below them.
    ///
    /// # Errors
    /// An option that graft refuses, or a value that it does not take.
    pub fn translate(&self) -> Result<Translation> {
        let read = Read {
            given: self.0.clone(),
            ..Read::default()
        };
        let read = read.with_file(read_options)?;
        read.warnings.iter().for_each(|warning| warn(warning));
        translate(&read.given)
    }
}

/// The text of a file of options.
///
/// # Errors
/// It cannot be read.
pub fn read_options(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).at(path.display());
    text.map_err(|error| error.help("`-c` names a file of neon's options, one a line"))
}

pub fn warn(warning: &str) {
    eprintln!("warning: {warning}");
}

/// The words as clap can read them: neon's `-eval` has a single dash.
pub fn respell(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut verb = None;
    let mut end = false;
    words.enumerate().map(move |(index, word)| {
        if index == 1 {
            verb = Some(word.clone());
        }
        end |= word == "--";
        let reads_options = verb
            .as_ref()
            .is_some_and(|verb| verb == "run" || verb == "plan");
        match word
            .to_str()
            .filter(|_| reads_options && !end)
            .and_then(respelt)
        {
            Some((read, warning)) => {
                warning.iter().for_each(|warning| warn(warning));
                read.into()
            }
            None => word,
        }
    })
}

impl Args for Options {
    fn augment_args(command: Command) -> Command {
        command
            .infer_long_args(true)
            .args(OPTIONS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = OPTIONS.iter().filter_map(|option| match option.takes {
            Takes::Nothing => (matches.get_flag(option.long)).then(|| Given::new(option, None)),
            Takes::One(_) | Takes::Optional(..) => {
                let value = matches.get_one::<String>(option.long)?.as_str();
                Some(Given::new(
                    option,
                    Some(value).filter(|value| !value.is_empty()),
                ))
            }
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(option: &'static NeonOption) -> Arg {
    let argument = Arg::new(option.long)
        .long(option.long)
        .overrides_with(option.long)
        .visible_aliases(option.alias)
        .help(option.help);
    let argument = match option.short {
        Some(letter) => argument.short(letter),
        None => argument,
    };
    let argument = match option.takes {
        Takes::Nothing => argument.action(ArgAction::SetTrue),
        Takes::One(what) => argument.value_name(what),
        Takes::Optional(what, missing) => argument
            .value_name(what)
            .num_args(0..=1)
            .default_missing_value(missing),
    };
    // The few that one needs stand among graft's own.
    match option.meaning {
        Meaning::Refused(..) => argument.hide(true),
        _ if OWN.contains(&option.long) => argument,
        _ => argument.help_heading("neon's options"),
    }
}

/// Options that name keys of every experiment.
const OWN: [&str; 8] = [
    "backend",
    "epochs",
    "batch_size",
    "rng_seed",
    "data_root",
    "source_model",
    "save_path",
    "serialize",
];
