//! A planted class: honest students, and every forgery that we could think of, some of them made by
//! somebody who knows how records are made. Every honest one passes, every forgery is named.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::forgery::{Class, Record, STUDENT, Submission};

/// What the course asks for.
const RUBRIC: &str = r#"
title  = "Transfer learning"
secret = "only the grader knows"
seeds  = "seeds.csv"

[points]
experiments  = 2
regimes      = 6
consistency  = 4
verification = 4
bounds       = 2
comparisons  = 2

[[data]]
name    = "smiles"
builtin = "drawn_smiles"

[[data]]
name      = "other faces"
builtin   = "drawn_smiles"
draw_seed = 7

[[source_model]]
name       = "own"
trained_on = "other faces"

[[regime]]
regime   = "from_scratch"
data     = "smiles"
accuracy = [0.3, 1.0]

[[regime]]
regime       = "fine_tuning"
data         = "smiles"
source_model = "own"
multiplier   = [0.0001, 0.5]
coverage     = 0.1

[[regime]]
regime       = "feature_extraction"
data         = "smiles"
source_model = "own"
multiplier   = 0

[[comparison]]
between = ["from_scratch", "fine_tuning", "feature_extraction"]
data    = "smiles"

[limits]
max_epochs     = 100
max_parameters = 1000000
max_minutes    = 5
max_memory     = 8
max_file_size  = 0.01
max_files      = 200
"#;

/// A student's file with another seed.
fn with_seed(seed: u64) -> impl Fn(&str, &str) -> String {
    move |_, text| text.replace("seed = 1", &format!("seed = {seed}"))
}

/// Students who did what they say, in several ways.
fn honest(class: &Class) {
    class.honest("ann", "2", with_seed(1));
    class.honest("bob", "2", with_seed(2));
    class.honest("cleo_without_cache", "2", |name, text| {
        let text = with_seed(3)(name, text);
        text.replace("batch_size = 50", "batch_size = 50\ncache = false")
    });
    class.honest("dan_one_thread", "1", with_seed(4));
    class.honest("eve_as_ann", "3", with_seed(1));
    interrupted(class, "fay_interrupted");
}

/// A run that was stopped in its middle and taken up again.
fn interrupted(class: &Class, name: &str) {
    class.prepare(|file, text| {
        let text = with_seed(6)(file, text);
        match file {
            "from_scratch.toml" => format!("epochs = 90\n{text}"),
            _ => text,
        }
    });
    let mut command = class.place.command(&["run", "experiments/from_scratch.toml"]);
    command.current_dir(class.place.path("work")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("graft starts");
    let metrics = class.place.path("work/results/from_scratch.partial/metrics.csv");
    let patience = Instant::now() + Duration::from_secs(120);
    while !metrics.exists() && Instant::now() < patience {
        sleep(Duration::from_millis(2));
    }
    let id = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &id]).status().expect("kill");
    assert_eq!(child.wait().expect("ended").code(), Some(130), "it was not interrupted");
    class.run(&["run", "experiments"], "2");
    class.hand_in(name);
}

/// Records of trainings that differ from the stated ones.
struct Others {
    /// From scratch, on the test file.
    on_test: PathBuf,
    /// Feature extraction at the full rate.
    tuned: PathBuf,
    /// From scratch, four epochs.
    long: PathBuf,
    /// Fine-tuning of another source model.
    other_source: PathBuf,
}

fn others(class: &Class) -> Others {
    let keep = |name: &str, record: &str| {
        let to = class.place.path(&format!("others/{name}"));
        crate::forgery::copy(&class.place.path(&format!("work/results/{record}")), &to);
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
    run("from_scratch", &[root, "data.train=test.h5", "data.test=test.h5"]);
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
fn forged(class: &mut Class, others: &Others) -> Vec<(&'static str, &'static str)> {
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
    forge("metrics_edited", "metrics_edited", &|s| drop(better(&s.record("fine_tuning"))));
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
    forge("outputs_edited_throughout", "outputs_edited", &|s| flatter(&s.record("feature_extraction")));
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
    let right = outputs.iter().filter(|row| row.label == row.predicted).count();
    let accuracy = (right as f64 / outputs.len() as f64).to_string();
    let confidences: Vec<f64> = outputs.iter().flat_map(|row| row.confidences.clone()).collect();
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
        let other = s.dir.with_file_name("bob").join("results/from_scratch/model.safetensors");
        fs::copy(other, record.path("model.safetensors")).expect("copied");
        record
    };
    forge("weights_swapped", "weights_swapped", &|s| drop(swap(s)));
    forge("weights_swapped_sealed", "weights_swapped", &|s| swap(s).seal());
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
    forge("trained_on_test", "trained_on_test", &|s| {
        s.replace("from_scratch", &others.on_test);
    });
    forge("trained_on_test_denied", "trained_on_test", &|s| {
        let honest = s.record("from_scratch").read("experiment.toml");
        let data = data_of(&s.record("from_scratch").read("record.json"));
        let record = s.replace("from_scratch", &others.on_test);
        fs::write(record.path("experiment.toml"), honest).expect("written");
        let own = data_of(&record.read("record.json"));
        record.edit("record.json", &own, &data);
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

/// The part of `record.json` about the data.
fn data_of(record: &str) -> String {
    let start = record.find("\"data\": {").expect("data");
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
            value["source"]["sha256"].as_str().expect("a checksum").to_owned()
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
    forge("typo", "invalid_experiment", &|s| s.edit(file, "learning_rate_mul", "learning_rate_mutl"));
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
        s.edit("experiments/from_scratch.toml", "base.toml", "../../ann/experiments/base.toml");
    });
    forge("path_escape_absolute", "path_escape", &|s| {
        s.edit("experiments/from_scratch.toml", "[data]", "[data]\nroot = \"/etc\"");
    });
    forge("path_escape_in_record", "path_escape", &|s| {
        let record = s.record("from_scratch");
        record.edit("record.json", "\"log.txt\": {", "\"../../../ann/results/source/log.txt\": {");
    });
    #[cfg(unix)]
    forge("symlink", "symlink", &|s| {
        let model = s.record("from_scratch").path("model.safetensors");
        fs::remove_file(&model).expect("removed");
        let other = s.dir.with_file_name("bob").join("results/from_scratch/model.safetensors");
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

/// Everything that grading is to leave the same, by its place.
fn written(class: &Class, out: &str) -> Vec<(String, String)> {
    let root = class.place.path(out);
    let mut places = vec!["grades.csv".to_owned()];
    for entry in fs::read_dir(root.join("sheets")).expect("sheets") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        places.push(format!("gradescope/{}/results.json", name.trim_end_matches(".md")));
        places.push(format!("sheets/{name}"));
    }
    places.sort();
    let read = |place: String| {
        let text = fs::read_to_string(root.join(&place)).expect("a text");
        (place, text)
    };
    places.into_iter().map(read).collect()
}

#[test]
fn every_honest_student_passes_and_every_forgery_is_named_for_what_it_is() {
    let mut class = Class::new();
    honest(&class);
    let others = others(&class);
    let expected = forged(&mut class, &others);
    class.place.write("rubric.toml", RUBRIC);
    let honest_seeds = [("ann", 1), ("bob", 2), ("cleo_without_cache", 3), ("dan_one_thread", 4), ("fay_interrupted", 6)];
    let mut seeds: String = honest_seeds.map(|(name, seed)| format!("{name},{seed}\n")).concat();
    // The forger of the seed was given 5, and whoever copied ann another one.
    seeds += "other_seed,5\nother_seed_throughout,5\ncopied,9\n";
    class.place.write("seeds.csv", format!("submission,seed\n{seeds}"));

    let grade = |out: &str, more: &[&str]| {
        let started = Instant::now();
        let command = ["grade", "class", "--rubric", "rubric.toml", "--out", out, "--format", "csv"];
        let printed = class.place.succeed(&[&command, more].concat());
        (printed, started.elapsed())
    };
    let (whole, took_whole) = grade("grades", &[]);
    let (_, took_again) = grade("grades", &[]);
    let (sampled, took_samples) = grade("sampled", &["--samples", "1"]);

    println!("{}", table(&whole.out, &sampled.out));
    println!(
        "whole: {took_whole:.1?}; again, nothing changed: {took_again:.1?}; --samples 1: {took_samples:.1?}"
    );
    let verdicts = verdicts(&whole.out);
    let students = verdicts.len();
    assert!(students >= 30, "{students} submissions");
    for (name, verdict) in &verdicts {
        match expected.iter().find(|(forged, _)| forged == name) {
            Some((_, kind)) => {
                assert!(verdict.split(' ').any(|found| found == *kind), "{name}: {verdict}, not {kind}");
            }
            None => assert_eq!(verdict, "clean", "{name} is honest"),
        }
    }
    for (name, verdict) in self::verdicts(&sampled.out) {
        let is_forged = expected.iter().any(|(forged, _)| *forged == name);
        assert!(is_forged || verdict == "clean", "{name} is honest: {verdict}");
    }
    // The same class, from nothing, comes to the same bits, which name no directory of the grader's.
    let before = written(&class, "grades");
    let _ = grade("grades again", &[]);
    assert!(before == written(&class, "grades again"), "other bits");
    let here = class.place.path("").display().to_string();
    for (place, text) in before {
        assert!(!text.contains(here.trim_end_matches('/')), "{place}:\n{text}");
    }
}

fn verdicts(csv: &str) -> Vec<(String, String)> {
    let rows = csv.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].to_owned(), cells[3].to_owned())
    });
    rows.collect()
}

/// The table of the documentation.
fn table(whole: &str, sampled: &str) -> String {
    let mut text = "| submission | points of 20 | found | by `--samples 1` |\n| --- | ---: | --- | --- |\n".to_owned();
    for (line, (_, sampled)) in whole.lines().skip(1).zip(verdicts(sampled)) {
        let cells: Vec<&str> = line.split(',').collect();
        text += &format!("| {} | {} | {} | {sampled} |\n", cells[0], cells[1], cells[3]);
    }
    text
}

#[test]
fn a_rubric_with_a_mistyped_key_is_refused_with_what_was_meant() {
    let class = Class::new();
    fs::create_dir(class.place.path("class/ann")).expect("a directory");
    class.place.write("rubric.toml", RUBRIC.replace("max_epochs ", "max_epoch "));
    let command = ["grade", "class", "--rubric", "rubric.toml", "--out", "grades"];
    let printed = class.place.fail(&command);
    assert!(printed.err.contains("did you mean `max_epochs`?"), "{}", printed.err);
    assert!(!class.place.path("grades").exists());
}

#[test]
fn a_rubric_beside_experiments_is_no_experiment() {
    let class = Class::new();
    class.place.write("experiments/rubric.toml", RUBRIC);
    class.place.write("experiments/rubric_late.toml", RUBRIC);
    for (name, text) in STUDENT {
        class.place.write(&format!("experiments/{name}"), text);
    }
    let printed = class.place.succeed(&["plan", "experiments"]);
    assert!(!printed.out.contains("rubric"), "{}", printed.out);
}
