//! A class of students, and the tools of a forger who knows how records are made.

use std::fs;
use std::path::{Path, PathBuf};

use ::safetensors::SafeTensors;
use graft::config::{self, Environment, Overrides};
use graft::files::{FileStamp, hexadecimal};
use graft::model::digest;
use graft::results::batches::hash_of_samples;
use graft::source::safetensors::{self, StoredData};
use graft::train::order;
use sha2::{Digest, Sha256};

use crate::common::Place;

/// What all experiments of a student share. Every epoch's state is kept, so that parts can be replayed.
const BASE: &str = r#"
epochs = 2
batch_size = 50
checkpoint.keep = 1
[model]
architecture = "vgg11"
widths = [4, 4, 8, 8, 8]
head = [8]
initializer = "kaiming"
dropout = 0.0
[preprocessing]
scale = 0.015625
[optimizer]
learning_rate = 0.01
"#;

/// The files of a student's experiments, seed 1.
pub const STUDENT: [(&str, &str); 5] = [
    ("base.toml", BASE),
    (
        "source.toml",
        "extends = \"base.toml\"\nseed = 1\n\
         [data]\nbuiltin = \"drawn_smiles\"\ndraw_seed = 7\n\
         [model]\nhead_names = [\"fc6\"]\nclassifier = \"cls_source\"\n",
    ),
    (
        "from_scratch.toml",
        "extends = \"base.toml\"\nseed = 1\n\
         [data]\nbuiltin = \"drawn_smiles\"\n[model]\nclassifier = \"cls_smile\"\n",
    ),
    (
        "fine_tuning.toml",
        "extends = \"base.toml\"\nseed = 1\nsource_model = \"results/source/model.safetensors\"\n\
         learning_rate_multiplier = 0.1\n\
         [data]\nbuiltin = \"drawn_smiles\"\n[model]\nclassifier = \"cls_smile\"\n",
    ),
    (
        "feature_extraction.toml",
        "extends = \"base.toml\"\nseed = 1\nsource_model = \"results/source/model.safetensors\"\n\
         learning_rate_multiplier = 0\n\
         [data]\nbuiltin = \"drawn_smiles\"\n[model]\nclassifier = \"cls_smile\"\n",
    ),
];

/// Submissions in `class/`; what students train, they train in `work/`.
pub struct Class {
    pub place: Place,
    /// Submissions so far; a run of each begins at another time.
    count: u64,
}

/// One submission, to be changed.
pub struct Submission {
    pub dir: PathBuf,
}

impl Class {
    pub fn new() -> Self {
        let place = Place::new();
        fs::create_dir_all(place.path("class")).expect("a directory");
        Self { place, count: 0 }
    }

    /// Puts a student's experiments, changed by `change(file, text)`, into the workshop.
    pub fn prepare(&self, change: impl Fn(&str, &str) -> String) {
        for dir in ["work/experiments", "work/results"] {
            let _ = fs::remove_dir_all(self.place.path(dir));
        }
        for (name, text) in STUDENT {
            self.place
                .write(&format!("work/experiments/{name}"), change(name, text));
        }
    }

    /// Runs graft in the workshop, with a number of threads.
    pub fn run(&self, arguments: &[&str], threads: &str) {
        let mut command = self.place.command(arguments);
        command
            .current_dir(self.place.path("work"))
            .env("RAYON_NUM_THREADS", threads);
        let output = command.output().expect("graft starts");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "graft {arguments:?}\n{words}");
    }

    /// Trains all of a student's experiments and hands them in.
    pub fn honest(&self, name: &str, threads: &str, change: impl Fn(&str, &str) -> String) {
        self.prepare(change);
        self.run(&["run", "experiments"], threads);
        self.hand_in(name);
    }

    /// Hands in what is in the workshop.
    pub fn hand_in(&self, name: &str) -> Submission {
        let dir = self.place.path(&format!("class/{name}"));
        for part in ["experiments", "results"] {
            copy(&self.place.path(&format!("work/{part}")), &dir.join(part));
        }
        Submission { dir }
    }

    /// A submission like ann's, trained at another time, and then changed.
    pub fn forge(&mut self, name: &str, change: impl FnOnce(&Submission)) {
        let submission = self.copy("ann", name);
        self.count += 1;
        for record in [
            "source",
            "from_scratch",
            "fine_tuning",
            "feature_extraction",
        ] {
            submission.record(record).retime(self.count);
        }
        change(&submission);
    }

    /// The very same files.
    pub fn copy(&self, from: &str, to: &str) -> Submission {
        let dir = self.place.path(&format!("class/{to}"));
        copy(&self.place.path(&format!("class/{from}")), &dir);
        Submission { dir }
    }
}

impl Submission {
    pub fn record(&self, name: &str) -> Record {
        Record(self.dir.join("results").join(name))
    }

    /// Replaces text in a file.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        edit(&self.dir.join(file), from, to);
    }

    /// Puts another record in the place of one, as if made at another time.
    pub fn replace(&self, record: &str, by: &Path) -> Record {
        let place = self.record(record);
        fs::remove_dir_all(&place.0).expect("removed");
        copy(by, &place.0);
        // No two submissions have it of the same time.
        let name = self.dir.file_name().expect("a name");
        let bytes = name.as_encoded_bytes();
        let sum: u64 = (1..)
            .zip(bytes)
            .map(|(at, &byte)| at * u64::from(byte))
            .sum();
        place.retime(100 + sum % 1000);
        place
    }
}

/// The directory of a record.
pub struct Record(pub PathBuf);

impl Record {
    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).expect(file)
    }

    pub fn edit(&self, file: &str, from: &str, to: &str) {
        edit(&self.path(file), from, to);
    }

    /// Gives the number behind the first `"key":` of `record.json`, or behind that in a table, a value.
    pub fn set(&self, keys: &[&str], value: &str) {
        let text = self.read("record.json");
        let mut at = 0;
        for key in keys {
            let key = format!("\"{key}\": ");
            at += text[at..].find(&key).expect(&key) + key.len();
        }
        let end = at + text[at..].find([',', '\n']).expect("an end");
        let new = format!("{}{value}{}", &text[..at], &text[end..]);
        fs::write(self.path("record.json"), new).expect("written");
    }

    /// The cells of a table, the header first.
    pub fn table(&self, file: &str) -> Vec<Vec<String>> {
        let text = self.read(file);
        text.lines()
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect()
    }

    pub fn write_table(&self, file: &str, rows: &[Vec<String>]) {
        let lines: Vec<String> = rows.iter().map(|row| row.join(",") + "\n").collect();
        fs::write(self.path(file), lines.concat()).expect("written");
    }

    /// As if the run had been at another time, in all that says when and how long.
    fn retime(&self, count: u64) {
        let text = self.read("record.json");
        let started = text
            .split("\"started\": \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let started = started.expect("a start").to_owned();
        self.edit(
            "record.json",
            &started,
            &format!("2026-01-01T{:02}:{:02}:00Z", count / 60, count % 60),
        );
        self.set(&["seconds"], &format!("{count}.5"));
        let mut rows = self.table("timings.csv");
        for row in &mut rows[1..] {
            let seconds: f64 = row[1].parse().expect("seconds");
            row[1] = (seconds + count as f64).to_string();
        }
        self.write_table("timings.csv", &rows);
        self.seal();
    }

    /// Makes `record.json` agree with the files again, its own checksum included.
    pub fn seal(&self) {
        let mut text = self.read("record.json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for (name, old) in value["files"].as_object().expect("files") {
            let new = FileStamp::of(&self.path(name)).expect("a file");
            let at = text.rfind(&format!("\"{name}\": {{")).expect("an entry");
            let end = at + text[at..].find('}').expect("its end");
            let entry = text[at..end]
                .replace(old["sha256"].as_str().expect("a checksum"), &new.sha256)
                .replace(
                    &format!("\"bytes\": {}", old["bytes"]),
                    &format!("\"bytes\": {}", new.bytes),
                );
            text.replace_range(at..end, &entry);
        }
        let old = value["checksum"].as_str().expect("a checksum");
        let blank = text.replace(&format!("\"checksum\": \"{old}\""), "\"checksum\": \"\"");
        let sum = hexadecimal(&Sha256::digest(&blank));
        let sealed = blank.replace("\"checksum\": \"\"", &format!("\"checksum\": \"{sum}\""));
        fs::write(self.path("record.json"), sealed).expect("written");
    }

    /// The digest of the model, as the last row of `batches.csv` has it.
    pub fn digest(&self) -> String {
        let stored = safetensors::load(&self.path("model.safetensors"))
            .expect("a model")
            .tensors;
        let tensors = stored.into_iter().filter_map(|tensor| match &tensor.data {
            StoredData::Numbers(values) => Some((tensor.name, values.sha256())),
            _ => None,
        });
        digest::of_model(tensors.collect())
    }

    /// Has `batches.csv` end with the digest of the model.
    pub fn fix_digest(&self) {
        let mut rows = self.table("batches.csv");
        let last = rows.last_mut().expect("a row");
        *last.last_mut().expect("a cell") = self.digest();
        self.write_table("batches.csv", &rows);
    }

    /// Has `batches.csv` name the samples that `seed` puts into the batches of its experiment.
    pub fn fix_samples(&self, seed: u64) {
        let file = self.path("experiment.toml");
        let experiment = config::load_with(&file, &Overrides::default(), &Environment::none());
        let experiment = experiment.expect("an experiment");
        let mut rows = self.table("batches.csv");
        for row in &mut rows[1..] {
            let [epoch, batch] =
                [0, 1].map(|cell| row[cell].parse::<usize>().expect("a number") - 1);
            let order = order::samples(&experiment.data, seed, epoch, 300, experiment.batch_size);
            let samples = order.chunks(experiment.batch_size).nth(batch);
            row[5] = hash_of_samples(samples.expect("a batch"));
        }
        self.write_table("batches.csv", &rows);
    }

    /// Puts the tensors whose names begin with `prefix` of another model's bytes into the model.
    pub fn take_layers(&self, prefix: &str, from: &[u8]) {
        let path = self.path("model.safetensors");
        let own = fs::read(&path).expect("a model");
        let (_, header) = SafeTensors::read_metadata(&own).expect("a header");
        let (own, from) = (
            SafeTensors::deserialize(&own),
            SafeTensors::deserialize(from),
        );
        let (own, from) = (own.expect("a model"), from.expect("a model"));
        let tensors = own.names().into_iter().map(|name| {
            let model = if name.starts_with(prefix) {
                &from
            } else {
                &own
            };
            (name, model.tensor(name).expect("a tensor"))
        });
        let bytes = ::safetensors::serialize(tensors, header.metadata().clone());
        fs::write(path, bytes.expect("a model")).expect("written");
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&from, &to),
            false => drop(fs::copy(&from, &to).expect("copied")),
        }
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a text");
    assert!(
        text.contains(from),
        "{}: no {from:?} in\n{text}",
        path.display()
    );
    fs::write(path, text.replace(from, to)).expect("written");
}
