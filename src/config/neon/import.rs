//! A command of the course → the experiment file that says the same.
//!
//! The command line does not say all: the model, the data files and the optimizer stand in the
//! course's script. They are written out as that script has them, each marked as assumed.

use std::fmt::Write;
use std::path::Path;

use toml_edit::Value;

use super::shell::{self, Script};
use super::translate::{Plain, Show, Translation, translate};
use super::words;
use crate::config::keys::{self, KEYS};
use crate::error::{At, Result};

/// An experiment file, and what there is to say about it.
#[derive(Debug)]
pub struct Imported {
    pub toml: String,
    pub warnings: Vec<String>,
    pub notes: Vec<String>,
}

/// What the course's script has, and neon's defaults.
const ASSUMED: &[(&str, &str, &str)] = &[
    (
        "compatibility",
        r#""neon""#,
        "neon's defaults for every key that is not here",
    ),
    (
        "backend",
        r#""cpu""#,
        "no -b: neon takes a GPU if it finds one, which is \"cuda\" here",
    ),
    ("seed", "42", "no -r: neon takes another seed every time"),
    ("epochs", "10", "neon's default"),
    ("batch_size", "128", "neon's default"),
    ("data.train", r#""train.h5""#, ASSUMPTION),
    ("data.test", r#""test.h5""#, ASSUMPTION),
    ("model.architecture", r#""vgg16""#, ASSUMPTION),
    ("model.head", "[4096, 4096]", ASSUMPTION),
    ("model.head_names", r#"["fc6_new", "fc7_new"]"#, ASSUMPTION),
    ("model.classifier", r#""cls_imdb_wiki_face""#, ASSUMPTION),
    ("model.classes", "2", ASSUMPTION),
    ("model.dropout", "0.5", ASSUMPTION),
    ("loss.name", r#""binary_cross_entropy""#, ASSUMPTION),
    ("optimizer.algorithm", r#""momentum""#, ASSUMPTION),
    ("optimizer.learning_rate", "0.001", ASSUMPTION),
    ("optimizer.momentum", "0.9", ASSUMPTION),
    ("optimizer.weight_decay", "0.0005", ASSUMPTION),
];

const ASSUMPTION: &str = "assumed";

/// Translates a command: one text as one would type it into a shell, or its words. `read` reads the
/// file behind `-c`.
///
/// # Errors
/// What is no command, no option or refused.
pub fn import(command: &[String], read: impl Fn(&Path) -> Result<String>) -> Result<Imported> {
    let typed = command.join(" ");
    let script = match command {
        [line] => shell::script_in(line),
        words => shell::script(words).map_or_else(|| shell::script_in(&typed), Ok),
    };
    let Script { words, variables } = script.at("command line")?;
    let parsed = words::parse(&words)?.with_file(read)?;
    let translation = translate(&parsed.given)?;
    let mut notes = translation.notes.clone();
    notes.extend(variables.iter().map(|variable| {
        format!("`{variable}` is no option: set it in front of `graft run` if it is to count there")
    }));
    notes.extend(at_run_time(&translation.show));
    let gives = |key| gives(&translation, key);
    if gives("checkpoint.every") && !gives("save_path") {
        notes.push(
            "neon would save to neon_model.pkl; graft keeps the model in the record, and a copy \
             where `save_path` says"
                .to_owned(),
        );
    }
    Ok(Imported {
        toml: toml(&typed, &translation),
        warnings: parsed.warnings,
        notes,
    })
}

fn gives(translation: &Translation, key: &str) -> bool {
    translation
        .settings
        .iter()
        .any(|setting| setting.key == key)
}

/// What an experiment file cannot say.
fn at_run_time(show: &Show) -> Option<String> {
    let log = show.log.as_ref().map(|log| format!("-l {}", log.display()));
    let options = [
        show.no_bar.then(|| "--no_progress_bar".to_owned()),
        show.epochs.then(|| "-v".to_owned()),
        log,
    ];
    let options: Vec<String> = options.into_iter().flatten().collect();
    let text = format!(
        "no keys of an experiment: say `{}` to `graft run`",
        options.join(" ")
    );
    (!options.is_empty()).then_some(text)
}

/// One key of the file that is written.
struct Line {
    key: &'static str,
    value: String,
    comment: String,
}

fn toml(command: &str, translation: &Translation) -> String {
    let command = command.replace("\\\n", " ").replace("\\\r\n", " ");
    let command = command.replace(char::is_control, " ");
    let command: Vec<&str> = command.split_whitespace().collect();
    let mut text = format!(
        "# {}\n\
         #\n\
         # Each key names the option that gives it. \"{ASSUMPTION}\": no option does, and this is what the\n\
         # course's script has; compare it with yours.\n\n",
        command.join(" ")
    );
    let lines = lines(translation);
    let mut table = "";
    for (index, line) in lines.iter().enumerate() {
        let (home, key) = keys::split(line.key);
        if home != table {
            if table.is_empty() && gives(translation, "source_model") {
                text.push_str(MULTIPLIER);
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "\n[{home}]\n");
            table = home;
        }
        let same_table = |other: &&Line| keys::split(other.key).0 == home;
        let around = lines[..index].iter().rev().take_while(same_table);
        let around = around.chain(lines[index..].iter().take_while(same_table));
        let (wide, long) = around.fold((0, 0), |(wide, long), other| {
            let name = keys::split(other.key).1;
            (wide.max(name.len()), long.max(other.value.chars().count()))
        });
        let _ = writeln!(
            text,
            "{key:wide$} = {:long$}  # {}",
            line.value, line.comment
        );
    }
    text
}

/// Where the script decides how the imported layers are trained.
const MULTIPLIER: &str = "\
# How fast the imported layers learn is not said on the command line but in the script.
# As it stands, they learn like the new ones. To train them on slowly, or not at all:
# learning_rate_multiplier = 0.001
# learning_rate_multiplier = 0
";

/// What the options give and what is assumed, in the order in which one writes keys.
fn lines(translation: &Translation) -> Vec<Line> {
    let given = translation.settings.iter().map(|setting| Line {
        key: setting.key,
        value: match &setting.value {
            Plain::Text(text) => Value::from(text.as_str()).to_string(),
            Plain::Whole(number) => number.to_string(),
        },
        // A line break in a file's name must not end the comment.
        comment: setting.spelt.replace(char::is_control, " "),
    });
    let assumed = ASSUMED.iter().filter(|(key, ..)| !gives(translation, key));
    let assumed = assumed.map(|&(key, value, comment)| Line {
        key,
        value: value.to_owned(),
        comment: comment.to_owned(),
    });
    let mut lines: Vec<Line> = given.chain(assumed).collect();
    if gives(translation, "save_path") && !gives(translation, "checkpoint.every") {
        lines.push(Line {
            key: "checkpoint.every",
            value: "1".to_owned(),
            comment: "-s alone: neon saves after every epoch".to_owned(),
        });
    }
    // Keys of the top level, then table by table.
    let tables = keys::tables();
    lines.sort_by_key(|line| {
        let home = keys::split(line.key).0;
        let place = KEYS.iter().position(|(key, _)| *key == line.key);
        let table = tables.iter().position(|table| *table == home);
        (
            table.map_or(0, |table| table + 1),
            place.unwrap_or(KEYS.len()),
        )
    });
    lines
}

#[cfg(test)]
mod tests;
