//! The options of neon 2.6's `NeonArgparser`, and the two that the course's script adds.
//!
//! One table for all who read them: `graft run`, a file behind `-c`, a command to import. It says
//! what each option means to graft; how they are parsed is not its business.

/// One option.
#[derive(Debug)]
pub struct NeonOption {
    /// Without its dashes.
    pub long: &'static str,
    pub short: Option<char>,
    /// Other words for it: graft's own, without dashes.
    pub alias: Option<&'static str>,
    pub takes: Takes,
    pub meaning: Meaning,
    /// What graft does with it, in a few words.
    pub help: &'static str,
}

/// What may stand behind an option. The text is what help calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    One(&'static str),
    /// A value, or the one that stands for none.
    Optional(&'static str, &'static str),
}

/// What an option means to graft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The key gets the text.
    Text(&'static str),
    /// The key gets the number, which is at least so large.
    Whole(&'static str, u64),
    /// The key gets the text, one of these words.
    OneOf(&'static str, &'static [&'static str]),
    /// The key gets this word.
    Fixed(&'static str, &'static str),
    /// `backend`; with a number of a GPU behind [`Meaning::Device`].
    Backend,
    Device,
    /// `data.root`, unless another option gives that key.
    DataDirectory,
    /// Only 1 is what graft does.
    History,
    /// A file with more options.
    Config,
    /// A line an epoch on the terminal.
    EpochLines,
    NoProgressBar,
    /// A file to which everything that is said goes too.
    Log,
    /// graft does so anyway, or neon does nothing either; the words say which.
    Nothing(&'static str),
    /// The reason, and graft's way.
    Refused(&'static str, &'static str),
}

/// Words that people write for options, and the options.
pub const MISSPELT: &[(&str, &str)] = &[("serizalize", "serialize")];

/// Every option but `-h` and `--version`, which make neon print something and train nothing.
pub const OPTIONS: &[NeonOption] = &[
    option("backend", Some('b'), Takes::One("NAME"), Meaning::Backend)
        .help("cpu, ndarray, wgpu, cuda or cuda:1; neon's gpu means cuda"),
    option("epochs", Some('e'), N, Meaning::Whole("epochs", 1))
        .help("Complete passes over the training data"),
    option("batch_size", Some('z'), N, Meaning::Whole("batch_size", 1)).help("Samples a step"),
    option(
        "rng_seed",
        Some('r'),
        Takes::One("SEED"),
        Meaning::Whole("seed", 0),
    )
    .alias("seed")
    .help("One run with this seed"),
    option("data_root", None, DIRECTORY, Meaning::Text("data.root"))
        .help("Directory of the data files"),
    option("source_model", None, FILE, Meaning::Text("source_model"))
        .help("File whose layers are imported"),
    option("save_path", Some('s'), FILE, Meaning::Text("save_path"))
        .help("Where a copy of the trained model goes"),
    option(
        "serialize",
        None,
        Takes::Optional("N", "1"),
        Meaning::Whole("checkpoint.every", 0),
    )
    .help("Epochs between checkpoints; alone: 1"),
    option("config", Some('c'), FILE, Meaning::Config)
        .help("Read more of these options from FILE; those given here win"),
    option("verbose", Some('v'), Takes::Nothing, Meaning::EpochLines)
        .help("Print a line for every epoch"),
    option(
        "no_progress_bar",
        None,
        Takes::Nothing,
        Meaning::NoProgressBar,
    )
    .help("Draw no progress bar"),
    option("data_dir", Some('w'), DIRECTORY, Meaning::DataDirectory)
        .help("Directory of the data files, if --data_root names none"),
    option(
        "model_file",
        None,
        FILE,
        Meaning::Text("model.initial_weights"),
    )
    .help("Model whose weights the training starts from"),
    option("log", Some('l'), Takes::Optional("FILE", ""), Meaning::Log)
        .help("Append what is said to FILE too; each record has its log.txt"),
    option("eval_freq", None, N, Meaning::Whole("evaluation.every", 0))
        .help("Epochs between evaluations of the test file; also -eval N"),
    option("history", Some('H'), N, Meaning::History)
        .help("Only 1: graft keeps the one checkpoint from which a run goes on"),
    option("device_id", Some('i'), N, Meaning::Device).help("Number of the GPU, with -b gpu"),
    option("max_devices", Some('m'), N, Meaning::Nothing(ONE_GPU))
        .help("Nothing: it goes with neon's mgpu"),
    option(
        "datatype",
        Some('d'),
        Takes::One("TYPE"),
        Meaning::OneOf("dtype", DTYPES),
    )
    .help("Precision: f32, f64, f16 or bf16"),
    option(
        "caffe",
        None,
        Takes::Nothing,
        Meaning::Fixed("compatibility", "caffe"),
    )
    .help("Caffe's pooling and dropout, and all other defaults neon's"),
    option(
        "deterministic",
        None,
        Takes::Nothing,
        Meaning::Nothing(NO_CHOICE),
    )
    .help("Nothing: CPU runs repeat exactly anyway; on a GPU Burn chooses"),
    refused("output_file", Some('o'), FILE, NO_METRICS_FILE),
    refused(
        "rounding",
        Some('u'),
        Takes::Optional("BITS", ""),
        NO_ROUNDING,
    ),
    refused("manifest", None, FILE, NO_MANIFEST),
    refused("manifest_root", None, DIRECTORY, NO_MANIFEST),
    refused("log_token", None, Takes::One("TOKEN"), NO_LOG_SERVICE),
    refused("profile", None, Takes::Nothing, NO_PROFILE),
    refused("profiling_method", None, Takes::One("METHOD"), NO_PROFILE),
    refused("profile_inference", None, Takes::Nothing, NO_PROFILE),
    refused("profile_iterations", None, N, NO_PROFILE),
    refused("profile_iter_skip", None, N, NO_PROFILE),
];

const N: Takes = Takes::One("N");
const FILE: Takes = Takes::One("FILE");
const DIRECTORY: Takes = Takes::One("DIR");
const DTYPES: &[&str] = &["f32", "f64", "f16", "bf16"];

const ONE_GPU: &str = "it goes with neon's mgpu only; graft trains a run on one device";
const NO_CHOICE: &str =
    "a run on the CPU repeats exactly anyway, and on a GPU Burn chooses the kernels";

const NO_METRICS_FILE: Meaning = Meaning::Refused(
    "graft writes no HDF5 file of metrics",
    "each record has metrics.csv, with a row for every epoch; `graft compare` makes tables of them",
);
const NO_ROUNDING: Meaning = Meaning::Refused(
    "graft does not round stochastically",
    "choose a precision: `-d f16` or `dtype = \"bf16\"`",
);
const NO_MANIFEST: Meaning = Meaning::Refused(
    "graft does not read aeon's manifests",
    "`graft prepare images` makes data files of folders of pictures; [data] names them",
);
const NO_LOG_SERVICE: Meaning = Meaning::Refused(
    "graft sends its log to no service",
    "each record has log.txt and metrics.csv; `-l FILE` writes a log as it goes",
);
const NO_PROFILE: Meaning = Meaning::Refused(
    "graft has no benchmark of its layers",
    "metrics.csv in each record has the seconds and the images a second of every epoch",
);

impl NeonOption {
    /// The option as one writes it out: `--epochs`.
    pub fn dashed(&self) -> String {
        format!("--{}", self.long)
    }

    /// Whether `name` is one of its long names.
    pub fn is_called(&self, name: &str) -> bool {
        self.long == name || self.alias == Some(name)
    }

    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    const fn alias(self, alias: &'static str) -> Self {
        Self {
            alias: Some(alias),
            ..self
        }
    }
}

const fn option(
    long: &'static str,
    short: Option<char>,
    takes: Takes,
    meaning: Meaning,
) -> NeonOption {
    NeonOption {
        long,
        short,
        alias: None,
        takes,
        meaning,
        help: "",
    }
}

const fn refused(
    long: &'static str,
    short: Option<char>,
    takes: Takes,
    reason: Meaning,
) -> NeonOption {
    option(long, short, takes, reason).help("graft refuses it")
}

/// The option of this long name, or of an unambiguous beginning of it, as `argparse` has it.
/// `Err`: the names that begin so, of which there are none or several.
pub fn by_long(name: &str) -> Result<&'static NeonOption, Vec<&'static str>> {
    if let Some(option) = OPTIONS.iter().find(|option| option.is_called(name)) {
        return Ok(option);
    }
    let begins = |option: &&NeonOption| {
        let names = [Some(option.long), option.alias];
        names.iter().flatten().any(|long| long.starts_with(name))
    };
    let found: Vec<&NeonOption> = OPTIONS.iter().filter(begins).collect();
    match found[..] {
        [option] if !name.is_empty() => Ok(option),
        _ => Err(found.iter().map(|option| option.long).collect()),
    }
}

/// The option of this letter.
pub fn by_short(letter: char) -> Option<&'static NeonOption> {
    OPTIONS.iter().find(|option| option.short == Some(letter))
}

/// A word as the other options are spelt, for one that somebody spells otherwise: neon `-eval`,
/// which no parser of short options can read; some people `--batch-size`; the course
/// `--serizalize`, which gets a warning.
pub fn respelt(word: &str) -> Option<(String, Option<String>)> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, format!("={value}")),
        None => (word, String::new()),
    };
    if name == "-eval" {
        return Some((format!("--eval_freq{value}"), None));
    }
    let name = name.strip_prefix("--")?;
    let underscores = name.replace('-', "_");
    if underscores != name && OPTIONS.iter().any(|option| option.long == underscores) {
        return Some((format!("--{underscores}{value}"), None));
    }
    let (wrong, right) = MISSPELT.iter().find(|(wrong, _)| *wrong == name)?;
    let warning = format!("`--{wrong}` is misspelt and read as `--{right}`");
    Some((format!("--{right}{value}"), Some(warning)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_options_share_a_name() {
        let longs = OPTIONS.iter().flat_map(|o| [Some(o.long), o.alias]);
        let longs: Vec<_> = longs.flatten().collect();
        assert_eq!(longs.iter().collect::<BTreeSet<_>>().len(), longs.len());
        let shorts: Vec<_> = OPTIONS.iter().filter_map(|o| o.short).collect();
        assert_eq!(shorts.iter().collect::<BTreeSet<_>>().len(), shorts.len());
    }

    #[test]
    fn the_options_are_those_of_neons_help() {
        let listed: BTreeSet<_> = OPTIONS.iter().map(|option| option.long).collect();
        let help = "config verbose no_progress_bar profile profiling_method profile_inference \
            profile_iterations profile_iter_skip data_dir epochs save_path serialize model_file \
            log output_file eval_freq history log_token manifest manifest_root backend device_id \
            max_devices rng_seed rounding datatype batch_size caffe deterministic data_root \
            source_model";
        assert_eq!(listed, help.split_whitespace().collect());
    }

    #[test]
    fn the_beginning_of_a_name_will_do_if_it_is_one_options_only() {
        let found = |name| by_long(name).map(|option| option.long);
        assert_eq!(found("epoch"), Ok("epochs"));
        assert_eq!(found("data_r"), Ok("data_root"));
        assert_eq!(found("see"), Ok("rng_seed"));
        assert_eq!(found("profile"), Ok("profile"));
        assert_eq!(
            found("data"),
            Err(vec!["data_root", "data_dir", "datatype"])
        );
        assert_eq!(found("nonsense"), Err(vec![]));
    }
}
