//! Every forgery that we could think of, some of them made by somebody who knows how records are made:
//! `…_sealed` has checksums that fit, `…_throughout` and `…_denied` contradict themselves nowhere that their
//! author thought of.

use std::fs;
use std::path::PathBuf;

use crate::forgery::{Class, Record, Submission, copy};

/// Records of trainings that differ from the stated ones.
pub struct Others {
    /// From scratch, on the test file.
    on_test: PathBuf,
    /// Feature extraction at the full rate.
    tuned: PathBuf,
    /// From scratch, four epochs.
    long: PathBuf,
    /// Fine-tuning of another source model.
    other_source: PathBuf,
}

pub fn others(class: &Class) -> Others {
    let keep = |name: &str, record: &str| {
        let to = class.place.path(&format!("others/{name}"));
        copy(&class.place.path(&format!("work/results/{record}")), &to);
        to
    };
    class.prepare(|_, text| text.to_owned());
    let run = |file: &str, set: &[&str]| {
        let file = format!("experiments/{file}.toml");
        let sets = set.iter().flat_map(|set| ["--set", set]);
        let arguments: Vec<&str> = ["run", &file].into_iter().chain(sets).collect();
        class.run(&arguments, "2");
    };
    run("feature_extraction", &["learning_rate_multiplier=1.0"]);
    let tuned = keep("tuned", "feature_extraction");
    run("from_scratch", &["epochs=4"]);
    let long = keep("long", "from_scratch");
    let root = "data.root=data/drawn_smiles-v1-2018";
    run(
        "from_scratch",
        &[root, "data.train=test.h5", "data.test=test.h5"],
    );
    let on_test = keep("on_test", "from_scratch");
    run("source", &["epochs=3"]);
    run("fine_tuning", &[]);
    Others {
        on_test,
        tuned,
        long,
        other_source: keep("other_source", "fine_tuning"),
    }
}

/// Makes every forgery. Returns, of each submission, what it is to be called.
pub fn forged(class: &mut Class, others: &Others) -> Vec<(&'static str, &'static str)> {
    let mut expected = Vec::new();
    let mut forge = |name, kind, change: &dyn Fn(&Submission)| {
        class.forge(name, change);
        expected.push((name, kind));
    };
    tables(&mut forge);
    weights(&mut forge);
    trainings(&mut forge, others);
    sources(&mut forge, others);
    experiments(&mut forge);
    files(&mut forge);
    class.copy("ann", "copied");
    expected.push(("copied", "copied"));
    expected
}

type Forge<'a> = dyn FnMut(&'static str, &'static str, &dyn Fn(&Submission)) + 'a;

fn tables(forge: &mut Forge) {
    let better = |record: &Record| {
        let mut rows = record.table("metrics.csv");
        let cost: f64 = rows[2][1].parse().expect("a cost");
        rows[2][1] = (cost * 0.5).to_string();
        record.write_table("metrics.csv", &rows);
        (cost * 0.5).to_string()
    };
    forge("metrics_edited", "metrics_edited", &|s| {
        drop(better(&s.record("fine_tuning")))
    });
    forge("metrics_edited_sealed", "metrics_edited", &|s| {
        let record = s.record("fine_tuning");
        let cost = better(&record);
        record.set(&["metrics", "training_cost"], &cost);
        record.seal();
    });
    forge("metrics_edited_throughout", "metrics_edited", &|s| {
        // The costs of all batches, too, so that nothing contradicts anything.
        let record = s.record("fine_tuning");
        let cost = better(&record);
        record.set(&["metrics", "training_cost"], &cost);
        let mut rows = record.table("batches.csv");
        for row in rows.iter_mut().filter(|row| row[0] == "2") {
            let cost: f64 = row[3].parse().expect("a cost");
            row[3] = (cost * 0.5).to_string();
        }
        record.write_table("batches.csv", &rows);
        record.seal();
    });
    forge("outputs_edited", "outputs_edited", &|s| {
        let record = s.record("feature_extraction");
        let mut rows = record.table("outputs.csv");
        rows[1].swap(3, 4);
        record.write_table("outputs.csv", &rows);
    });
    forge("outputs_edited_throughout", "outputs_edited", &|s| {
        flatter(&s.record("feature_extraction"))
    });
}

/// Has the model answer a third of its wrong samples right, in every file that says so.
fn flatter(record: &Record) {
    let mut rows = record.table("outputs.csv");
    let wrong = rows[1..].iter_mut().filter(|row| row[1] != row[2]);
    for row in wrong.step_by(3) {
        row.swap(3, 4);
        row[2] = row[1].clone();
    }
    record.write_table("outputs.csv", &rows);
    let outputs = graft::results::rows::read_outputs(&record.path("outputs.csv")).expect("outputs");
    let text = graft::results::inference::to_text(&outputs);
    fs::write(record.path("inference.txt"), text).expect("written");
    let right = outputs
        .iter()
        .filter(|row| row.label == row.predicted)
        .count();
    let accuracy = (right as f64 / outputs.len() as f64).to_string();
    let confidences: Vec<f64> = outputs
        .iter()
        .flat_map(|row| row.confidences.clone())
        .collect();
    let labels: Vec<u32> = outputs.iter().map(|row| row.label as u32).collect();
    let loss = graft::config::experiment::LossName::CrossEntropy;
    let cost = graft::train::loss::reported(loss, &confidences, &labels) / outputs.len() as f64;
    let mut metrics = record.table("metrics.csv");
    metrics[2][2] = cost.to_string();
    metrics[2][3] = accuracy.clone();
    record.write_table("metrics.csv", &metrics);
    record.set(&["metrics", "test_cost"], &cost.to_string());
    record.set(&["metrics", "accuracy"], &accuracy);
    record.seal();
}

fn weights(forge: &mut Forge) {
    let swap = |s: &Submission| {
        let record = s.record("from_scratch");
        let other = s
            .dir
            .with_file_name("bob")
            .join("results/from_scratch/model.safetensors");
        fs::copy(other, record.path("model.safetensors")).expect("copied");
        record
    };
    forge("weights_swapped", "weights_swapped", &|s| drop(swap(s)));
    forge("weights_swapped_sealed", "weights_swapped", &|s| {
        swap(s).seal()
    });
    forge("weights_swapped_throughout", "weights_swapped", &|s| {
        let record = swap(s);
        record.fix_digest();
        record.seal();
    });
}

fn trainings(forge: &mut Forge, others: &Others) {
    let other_seed = |s: &Submission| {
        s.edit("experiments/from_scratch.toml", "seed = 1", "seed = 5");
        let record = s.record("from_scratch");
        record.set(&["seed"], "5");
        record
    };
    forge("other_seed", "other_seed", &|s| other_seed(s).seal());
    forge("other_seed_throughout", "other_seed", &|s| {
        let record = other_seed(s);
        record.edit("experiment.toml", "seeds = [1]", "seeds = [5]");
        record.seal();
    });
    forge("other_seed_rewritten", "other_seed", &|s| {
        // The order of samples, too, is that of the seed it claims.
        let record = other_seed(s);
        record.edit("experiment.toml", "seeds = [1]", "seeds = [5]");
        record.fix_samples(5);
        record.seal();
    });
    forge("trained_on_test", "trained_on_test", &|s| {
        s.replace("from_scratch", &others.on_test);
    });
    forge("trained_on_test_denied", "trained_on_test", &|s| {
        let honest = s.record("from_scratch").read("experiment.toml");
        let data = part("data", &s.record("from_scratch").read("record.json"));
        let record = s.replace("from_scratch", &others.on_test);
        fs::write(record.path("experiment.toml"), honest).expect("written");
        let own = part("data", &record.read("record.json"));
        record.edit("record.json", &own, &data);
        record.seal();
    });
    forge("trained_on_test_rewritten", "trained_on_test", &|s| {
        let honest = s.record("from_scratch").read("experiment.toml");
        let data = part("data", &s.record("from_scratch").read("record.json"));
        let record = s.replace("from_scratch", &others.on_test);
        fs::write(record.path("experiment.toml"), honest).expect("written");
        let own = part("data", &record.read("record.json"));
        record.edit("record.json", &own, &data);
        shorten_batches(&record);
        record.fix_samples(1);
        record.seal();
    });
    forge("not_frozen", "not_frozen", &|s| {
        s.replace("feature_extraction", &others.tuned);
    });
    forge("not_frozen_denied", "not_frozen", &|s| {
        let honest = s.record("feature_extraction").read("experiment.toml");
        let record = s.replace("feature_extraction", &others.tuned);
        fs::write(record.path("experiment.toml"), honest).expect("written");
        record.seal();
    });
    forge("not_frozen_rewritten", "not_frozen", &|s| {
        // The model gets back the layers that were to be frozen; the answers stay.
        let honest = s.record("feature_extraction");
        let experiment = honest.read("experiment.toml");
        let parameters = part("parameters", &honest.read("record.json"));
        let frozen = fs::read(honest.path("model.safetensors")).expect("a model");
        let record = s.replace("feature_extraction", &others.tuned);
        fs::write(record.path("experiment.toml"), experiment).expect("written");
        record.edit("record.json", "      1.0\n", "      0.0\n");
        let own = part("parameters", &record.read("record.json"));
        record.edit("record.json", &own, &parameters);
        record.take_layers("conv", &frozen);
        record.fix_digest();
        record.seal();
    });
    forge("not_frozen_by_its_file", "not_frozen", &|s| {
        let file = "experiments/feature_extraction.toml";
        s.edit(file, "multiplier = 0", "multiplier = 1.0");
        s.replace("feature_extraction", &others.tuned);
    });
    forge("more_epochs", "other_epochs", &|s| {
        let honest = s.record("from_scratch").read("experiment.toml");
        let record = s.replace("from_scratch", &others.long);
        fs::write(record.path("experiment.toml"), honest).expect("written");
        record.seal();
    });
    forge("more_epochs_denied", "other_epochs", &|s| {
        // The first two epochs are those of the stated training; the model went on.
        let model = others.long.join("model.safetensors");
        let record = s.record("from_scratch");
        fs::copy(model, record.path("model.safetensors")).expect("copied");
        record.fix_digest();
        record.seal();
    });
}

/// Has `batches.csv` list six batches an epoch, as of 300 samples, at the mean cost of the epoch.
fn shorten_batches(record: &Record) {
    let metrics = record.table("metrics.csv");
    let rows = record.table("batches.csv");
    let mut short = vec![rows[0].clone()];
    for epoch in ["1", "2"] {
        let of_epoch: Vec<_> = rows.iter().filter(|row| row[0] == epoch).collect();
        let last = of_epoch.last().expect("a batch");
        let cost = &metrics
            .iter()
            .find(|row| row[0] == epoch)
            .expect("an epoch")[1];
        for batch in 1..=6 {
            let mut row = of_epoch[0].clone();
            row[1] = batch.to_string();
            row[3] = cost.clone();
            if batch == 6 {
                row[6] = last[6].clone();
            }
            short.push(row);
        }
    }
    record.write_table("batches.csv", &short);
}

/// The part of `record.json` below `key`.
fn part(key: &str, record: &str) -> String {
    let start = record.find(&format!("\"{key}\": {{")).expect("a part");
    let end = start + record[start..].find("\n  }").expect("an end");
    record[start..end].to_owned()
}

fn sources(forge: &mut Forge, others: &Others) {
    forge("source_replaced", "source_model_replaced", &|s| {
        s.replace("fine_tuning", &others.other_source);
    });
    forge("source_replaced_denied", "source_model_replaced", &|s| {
        let sum = |text: &str| {
            let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
            value["source"]["sha256"]
                .as_str()
                .expect("a checksum")
                .to_owned()
        };
        let honest = sum(&s.record("fine_tuning").read("record.json"));
        let record = s.replace("fine_tuning", &others.other_source);
        let other = sum(&record.read("record.json"));
        record.edit("record.json", &other, &honest);
        record.edit("receipt.json", &other, &honest);
        record.seal();
    });
}

fn experiments(forge: &mut Forge) {
    let file = "experiments/fine_tuning.toml";
    forge("typo", "invalid_experiment", &|s| {
        s.edit(file, "learning_rate_mul", "learning_rate_mutl")
    });
    forge("missing_regime", "missing_regime", &|s| {
        fs::remove_file(s.dir.join("experiments/feature_extraction.toml")).expect("removed");
        fs::remove_dir_all(s.record("feature_extraction").0).expect("removed");
    });
    forge("never_run", "not_run", &|s| {
        fs::remove_dir_all(s.record("feature_extraction").0).expect("removed");
    });
    forge("huge_model", "huge_model", &|s| {
        s.edit("experiments/base.toml", "head = [8]", "head = [4096000]");
    });
    forge("huge_record", "huge_model", &|s| {
        let record = s.record("from_scratch");
        record.edit("experiment.toml", "head = [8]", "head = [4096000]");
        record.seal();
    });
    forge("endless_epochs", "endless_epochs", &|s| {
        s.edit("experiments/base.toml", "epochs = 2", "epochs = 2000000000");
    });
    forge("endless_record", "endless_epochs", &|s| {
        let record = s.record("from_scratch");
        record.edit("experiment.toml", "epochs = 2", "epochs = 2000000000");
        record.set(&["epochs"], "2000000000");
        record.seal();
    });
}

fn files(forge: &mut Forge) {
    forge("path_escape", "path_escape", &|s| {
        s.edit(
            "experiments/from_scratch.toml",
            "base.toml",
            "../../ann/experiments/base.toml",
        );
    });
    forge("path_escape_absolute", "path_escape", &|s| {
        s.edit(
            "experiments/from_scratch.toml",
            "[data]",
            "[data]\nroot = \"/etc\"",
        );
    });
    forge("path_escape_in_record", "path_escape", &|s| {
        let record = s.record("from_scratch");
        record.edit(
            "record.json",
            "\"log.txt\": {",
            "\"../../../ann/results/source/log.txt\": {",
        );
    });
    #[cfg(unix)]
    forge("symlink", "symlink", &|s| {
        let model = s.record("from_scratch").path("model.safetensors");
        fs::remove_file(&model).expect("removed");
        let other = s
            .dir
            .with_file_name("bob")
            .join("results/from_scratch/model.safetensors");
        std::os::unix::fs::symlink(other, &model).expect("a link");
    });
    #[cfg(unix)]
    forge("symlink_of_a_directory", "symlink", &|s| {
        fs::remove_dir_all(s.record("from_scratch").0).expect("removed");
        let other = s.dir.with_file_name("bob").join("results/from_scratch");
        std::os::unix::fs::symlink(other, s.record("from_scratch").0).expect("a link");
    });
    forge("huge_file", "file_too_large", &|s| {
        let file = fs::File::create(s.dir.join("results/dump.bin")).expect("a file");
        file.set_len(100 << 20).expect("a length");
    });
    forge("many_files", "too_many_files", &|s| {
        for number in 0..300 {
            fs::write(s.dir.join(format!("{number}.txt")), "").expect("a file");
        }
    });
}
