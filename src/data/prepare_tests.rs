use std::fs;

use super::*;
use crate::data::dataset::Dataset;

const OPTIONS: Options = Options {
    size: 8,
    resize: None,
    seed: 42,
    test_fraction: 0.25,
    on_error: OnError::Fail,
    force: false,
};

/// A directory with class folders of one-coloured images, red for cats and blue for dogs.
struct Folders(tempfile::TempDir);

impl Folders {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn out(&self) -> PathBuf {
        self.path().join(".out")
    }

    fn with(self, folder: &str, images: usize) -> Self {
        let colour = if folder.ends_with("cats") {
            [200, 0, 0]
        } else {
            [0, 0, 100]
        };
        for index in 0..images {
            let image = image::RgbImage::from_pixel(12, 10, image::Rgb(colour));
            self.write(&format!("{folder}/{index}.png"), &[]);
            image
                .save(self.path().join(format!("{folder}/{index}.png")))
                .unwrap();
        }
        self
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn prepare(&self, options: &Options) -> Result<Summary> {
        images(self.path(), &self.out(), options)
    }

    fn problem(&self, options: &Options) -> String {
        let error = self.prepare(options).unwrap_err().to_string();
        assert!(
            !self.out().join("train.h5").exists(),
            "left a file after: {error}"
        );
        error
    }
}

#[test]
fn class_folders_are_split_class_by_class() {
    let folders = Folders::new().with("cats", 8).with("dogs", 12);
    folders.write("dogs/notes.txt", b"no image");
    folders.write(".hidden/x", b"");
    let summary = folders.prepare(&OPTIONS).unwrap();
    let count = |name: &str, train, test| ClassCount {
        name: name.to_owned(),
        train,
        test,
    };
    assert_eq!(summary.classes, [count("cats", 6, 2), count("dogs", 9, 3)]);
    assert_eq!(summary.skipped, []);
    // 6 of 15 training images are red, 9 are blue.
    assert_eq!(summary.mean, [80.0, 0.0, 60.0]);

    let train = Dataset::open(&summary.train).unwrap();
    assert_eq!(
        (train.len(), train.shape(), train.classes()),
        (15, [3, 8, 8], 2)
    );
    assert_eq!(train.class_names(), ["cats", "dogs"]);
    assert!(
        train.labels().windows(2).any(|pair| pair[0] > pair[1]),
        "is not shuffled"
    );
    let test = Dataset::open(&summary.test).unwrap();
    assert_eq!(test.mean().unwrap(), train.mean().unwrap());
    let mut pixels = Vec::<f32>::new();
    for sample in 0..train.len() {
        train.read(&[sample], &mut pixels).unwrap();
        let cat = train.labels()[sample] == 0;
        assert_eq!(pixels[0], if cat { 200.0 } else { 0.0 });
    }
}

#[test]
fn folders_named_train_and_test_are_the_splits() {
    let folders = Folders::new().with("train/cats", 3).with("train/dogs", 2);
    let folders = folders.with("val/cats", 1).with("val/dogs", 1);
    let summary = folders.prepare(&OPTIONS).unwrap();
    assert_eq!(Dataset::open(summary.train).unwrap().len(), 5);
    assert_eq!(Dataset::open(summary.test).unwrap().len(), 2);
}

#[test]
fn splits_must_have_the_same_classes() {
    let folders = Folders::new()
        .with("train/cats", 1)
        .with("test/cats", 1)
        .with("test/dogs", 1);
    let problem = folders.problem(&OPTIONS);
    assert!(
        problem.contains("class `dogs` is tested, but not trained"),
        "{problem}"
    );
    let folders = Folders::new().with("train/cats", 1);
    assert!(
        folders
            .problem(&OPTIONS)
            .contains("neither `test` nor `val`")
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folders = Folders::new().with("cats", 4).with("dogs", 4);
    let hash = |summary: Summary| Dataset::open(summary.train).unwrap().sha256().unwrap();
    let first = hash(folders.prepare(&OPTIONS).unwrap());
    let forced = Options {
        force: true,
        ..OPTIONS
    };
    assert_eq!(first, hash(folders.prepare(&forced).unwrap()));
    let other = Options { seed: 1, ..forced };
    assert_ne!(first, hash(folders.prepare(&other).unwrap()));
}

#[test]
fn a_broken_image_is_named_and_fatal_or_skipped() {
    let folders = Folders::new().with("cats", 4).with("dogs", 4);
    folders.write("cats/broken.jpg", b"\xff\xd8\xff\xe0 not much of a JPEG");
    let problem = folders.problem(&OPTIONS);
    assert!(
        problem.contains("broken.jpg") && problem.contains("--on_error skip"),
        "{problem}"
    );

    let skip = Options {
        on_error: OnError::Skip,
        ..OPTIONS
    };
    let summary = folders.prepare(&skip).unwrap();
    assert_eq!(summary.skipped.len(), 1);
    assert!(summary.skipped[0].to_string().contains("broken.jpg"));
    let written = summary
        .classes
        .iter()
        .map(|class| class.train + class.test)
        .sum::<usize>();
    assert_eq!(written, 8);
    assert_eq!(Dataset::open(summary.train).unwrap().len(), 6);
}

#[test]
fn files_are_not_overwritten_unless_forced() {
    let folders = Folders::new().with("cats", 4);
    folders.prepare(&OPTIONS).unwrap();
    let problem = folders.prepare(&OPTIONS).unwrap_err().to_string();
    assert!(problem.contains("train.h5: exists already"), "{problem}");
    folders
        .prepare(&Options {
            force: true,
            ..OPTIONS
        })
        .unwrap();
}

#[test]
fn what_cannot_be_prepared_is_said() {
    assert!(
        Folders::new()
            .problem(&OPTIONS)
            .contains("holds no class folders")
    );
    assert!(
        Folders::new()
            .with("cats", 1)
            .problem(&OPTIONS)
            .contains("cats: has a single image")
    );
    let folders = Folders::new().with("cats", 2);
    assert!(
        folders
            .problem(&Options { size: 0, ..OPTIONS })
            .contains("--size")
    );
    assert!(
        folders
            .problem(&Options {
                test_fraction: 1.0,
                ..OPTIONS
            })
            .contains("--test_fraction")
    );
    folders.write("dogs/notes.txt", b"");
    assert!(
        folders
            .problem(&OPTIONS)
            .contains("dogs: holds no JPEG or PNG file")
    );
    let nowhere = images(Path::new("no/such/place"), &folders.out(), &OPTIONS);
    assert!(
        nowhere
            .unwrap_err()
            .to_string()
            .starts_with("no/such/place: ")
    );
}
