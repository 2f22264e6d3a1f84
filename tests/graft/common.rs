//! A place to run the real binary in: a temporary directory with experiment files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A temporary working directory; paths in experiments and arguments are relative to it.
pub struct Place {
    dir: TempDir,
}

/// What a command printed, and how it ended.
pub struct Printed {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with the directories on its way.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory");
        }
        fs::write(&path, content).expect("a file");
        path
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Copies a file of `tests/data` to the same place below this directory.
    pub fn copy_data(&self, name: &str) -> PathBuf {
        let from = data(name);
        let content = fs::read(&from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        self.write(name, content)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graft"));
        command.args(arguments).current_dir(self.dir.path());
        for (name, _) in std::env::vars() {
            if name.starts_with("GRAFT_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs graft to its end.
    pub fn graft(&self, arguments: &[&str]) -> Printed {
        let output = self.command(arguments).output().expect("graft starts");
        Printed::from(output)
    }

    /// Runs graft, which must succeed.
    pub fn succeed(&self, arguments: &[&str]) -> Printed {
        let printed = self.graft(arguments);
        assert_eq!(
            printed.code,
            Some(0),
            "graft {arguments:?}\n{}{}",
            printed.out,
            printed.err
        );
        printed
    }

    /// Runs graft, which must fail with an error message, not with a panic.
    pub fn fail(&self, arguments: &[&str]) -> Printed {
        let printed = self.graft(arguments);
        assert!(!printed.err.contains("panicked"), "{}", printed.err);
        assert!(printed.err.contains("error"), "{}", printed.err);
        assert!(
            printed.code.is_some_and(|code| code != 0),
            "graft {arguments:?}\n{}{}",
            printed.out,
            printed.err
        );
        printed
    }
}

impl From<Output> for Printed {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A file of `tests/data`.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A target experiment small enough to train in a second: 300 drawn images, a tiny VGG-11.
pub const TINY: &str = r#"
epochs = 1
[data]
builtin = "drawn_smiles"
[model]
architecture = "vgg11"
widths = [4, 4, 8, 8, 8]
head = [8]
classifier = "cls_smile"
initializer = "kaiming"
[preprocessing]
scale = 0.015625
"#;
