//! A planted class: honest students, and every forgery that we could think of, some of them made by
//! somebody who knows how records are made. Every honest one passes, every forgery is named.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::forgeries::{forged, others};
use crate::forgery::{Class, STUDENT};

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
    let mut command = class
        .place
        .command(&["run", "experiments/from_scratch.toml"]);
    command
        .current_dir(class.place.path("work"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("graft starts");
    let state = class
        .place
        .path("work/results/from_scratch.partial/state-1.safetensors");
    let patience = Instant::now() + Duration::from_secs(120);
    while !state.exists() && Instant::now() < patience {
        sleep(Duration::from_millis(2));
    }
    let id = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-INT", &id])
        .status()
        .expect("kill");
    assert_eq!(
        child.wait().expect("ended").code(),
        Some(130),
        "it was not interrupted"
    );
    class.run(&["run", "experiments"], "2");
    class.hand_in(name);
}

/// Everything that grading is to leave the same, by its place.
fn written(class: &Class, out: &str) -> Vec<(String, String)> {
    let root = class.place.path(out);
    let mut places = vec!["grades.csv".to_owned()];
    for entry in fs::read_dir(root.join("sheets")).expect("sheets") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a name");
        places.push(format!(
            "gradescope/{}/results.json",
            name.trim_end_matches(".md")
        ));
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
    #[cfg(unix)]
    std::os::unix::fs::symlink("ann", class.place.path("class/linked")).expect("a link");
    class.place.write("rubric.toml", RUBRIC);
    let honest_seeds = [
        ("ann", 1),
        ("bob", 2),
        ("cleo_without_cache", 3),
        ("dan_one_thread", 4),
        ("fay_interrupted", 6),
    ];
    let mut seeds: String = honest_seeds
        .map(|(name, seed)| format!("{name},{seed}\n"))
        .concat();
    // The forger of the seed was given 5, and whoever copied ann another one.
    seeds += "other_seed,5\nother_seed_throughout,5\ncopied,9\n";
    class
        .place
        .write("seeds.csv", format!("submission,seed\n{seeds}"));

    let grade = |out: &str, more: &[&str]| {
        let started = Instant::now();
        let command = [
            "grade",
            "class",
            "--rubric",
            "rubric.toml",
            "--out",
            out,
            "--format",
            "csv",
        ];
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
    let expected = [&expected[..], &[("linked", "symlink")]].concat();
    for (name, verdict) in &verdicts {
        match expected.iter().find(|(forged, _)| forged == name) {
            Some((_, kind)) => {
                assert!(
                    verdict.split(' ').any(|found| found == *kind),
                    "{name}: {verdict}, not {kind}"
                );
            }
            None => assert_eq!(verdict, "clean", "{name} is honest"),
        }
    }
    for (name, verdict) in self::verdicts(&sampled.out) {
        let is_forged = expected.iter().any(|(forged, _)| *forged == name);
        assert!(
            is_forged || verdict == "clean",
            "{name} is honest: {verdict}"
        );
    }
    // From nothing, it comes to the same bits, which name no directory of the grader's.
    let some = [
        "ann",
        "copied",
        "fay_interrupted",
        "not_frozen_rewritten",
        "typo",
    ];
    let _ = grade("grades again", &[&["--only"][..], &some].concat());
    let before = written(&class, "grades");
    let after = written(&class, "grades again");
    assert_eq!(after.len(), 1 + 2 * some.len());
    for same in after.iter().filter(|(place, _)| place != "grades.csv") {
        assert!(before.contains(same), "other bits: {}", same.0);
    }
    let here = class.place.path("").display().to_string();
    for (place, text) in before {
        assert!(
            !text.contains(here.trim_end_matches('/')),
            "{place}:\n{text}"
        );
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
    let mut text =
        "| submission | points of 20 | found | by `--samples 1` |\n| --- | ---: | --- | --- |\n"
            .to_owned();
    for (line, (_, sampled)) in whole.lines().skip(1).zip(verdicts(sampled)) {
        let cells: Vec<&str> = line.split(',').collect();
        text += &format!(
            "| {} | {} | {} | {sampled} |\n",
            cells[0], cells[1], cells[3]
        );
    }
    text
}

#[test]
fn neither_the_grader_s_environment_nor_a_run_beyond_the_limits_gets_through() {
    let class = Class::new();
    class.honest("ann", "2", |_, text| text.to_owned());
    let rubric = RUBRIC.replace("seeds  = \"seeds.csv\"", "");
    class.place.write("rubric.toml", &rubric);
    let grade = |out: &str| {
        let command = [
            "grade",
            "class",
            "--rubric",
            "rubric.toml",
            "--out",
            out,
            "--format",
            "csv",
        ];
        let mut command = class.place.command(&command);
        let output = command
            .env("GRAFT_EPOCHS", "7")
            .output()
            .expect("graft starts");
        let text = String::from_utf8(output.stdout).expect("a text");
        verdicts(&text)[0].1.clone()
    };
    assert_eq!(grade("grades"), "clean");
    class.place.write(
        "rubric.toml",
        rubric.replace("max_minutes    = 5", "max_minutes = 0.00001"),
    );
    let over = grade("late");
    assert!(over.split(' ').any(|found| found == "over_limit"), "{over}");
    class.place.write(
        "rubric.toml",
        rubric.replace("max_memory     = 8", "max_memory = 0.002"),
    );
    let over = grade("large");
    assert!(
        cfg!(not(target_os = "linux")) || over.contains("over_limit"),
        "{over}"
    );
}

#[test]
fn a_rubric_with_a_mistyped_key_is_refused_with_what_was_meant() {
    let class = Class::new();
    fs::create_dir(class.place.path("class/ann")).expect("a directory");
    class
        .place
        .write("rubric.toml", RUBRIC.replace("max_epochs ", "max_epoch "));
    let command = [
        "grade",
        "class",
        "--rubric",
        "rubric.toml",
        "--out",
        "grades",
    ];
    let printed = class.place.fail(&command);
    assert!(
        printed.err.contains("did you mean `max_epochs`?"),
        "{}",
        printed.err
    );
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
