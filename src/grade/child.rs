//! A re-run in a process of its own, watched: so long, so much memory, and no longer.
//!
//! The process is the same binary, `graft verify`, in an empty directory and without the grader's
//! `GRAFT_*` variables. It is ended when it takes more than it may; what it then leaves is taken up by
//! no one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::rubric::Limits;
use crate::error::{At, Error, Result};

/// Between two looks at the process.
const TICK: Duration = Duration::from_millis(20);

/// What to re-run.
#[derive(Debug)]
pub struct Job {
    /// The record. All paths are absolute.
    pub record: PathBuf,
    /// The experiment that is run in place of the record's own.
    pub experiment: PathBuf,
    /// Where complete re-runs are kept, and found again.
    pub fresh: PathBuf,
    /// Segments to replay, and the seed that chooses them; absent: all of it.
    pub samples: Option<(usize, u64)>,
    /// Where the process works and writes what it says.
    pub cwd: PathBuf,
}

/// What `graft verify --format json` says of one record.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Reply {
    pub verdict: String,
    pub text: String,
    /// Directory of the fresh record.
    #[serde(default)]
    pub fresh: Option<PathBuf>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// What it said.
    Said(String),
    /// It took more than it may: what, in words.
    Over(String),
    /// It said nothing: its last words.
    Failed(String),
}

/// Runs `graft` with these arguments in the directory `cwd`, to its end or to the limits'.
///
/// # Errors
/// The process cannot be started or waited for.
pub fn run(arguments: &[&OsStr], cwd: &Path, limits: &Limits) -> Result<Ended> {
    fs::create_dir_all(cwd).at(cwd.display())?;
    let [out, err] = ["said.txt", "errors.txt"].map(|name| cwd.with_extension(name));
    let open = |path: &Path| File::create(path).at(path.display());
    let mut command = command(arguments, cwd)?;
    command
        .stdin(Stdio::null())
        .stdout(open(&out)?)
        .stderr(open(&err)?);
    let mut child = command.spawn().at("graft")?;
    let ended = watch(&mut child, limits);
    if !matches!(ended, Ok(None)) {
        // It may have ended by itself in the meantime.
        let _ = child.kill();
        let _ = child.wait();
    }
    if let Some(over) = ended? {
        return Ok(Ended::Over(over));
    }
    let said = fs::read_to_string(&out).at(out.display())?;
    if !said.trim().is_empty() {
        return Ok(Ended::Said(said));
    }
    let words = fs::read(&err).at(err.display())?;
    Ok(Ended::Failed(
        String::from_utf8_lossy(&words).trim().to_owned(),
    ))
}

impl Job {
    /// Has `graft verify` do it.
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(&self, limits: &Limits) -> Result<Ended> {
        let mut arguments: Vec<&OsStr> = ["verify", "--format", "json", "--experiment"]
            .map(OsStr::new)
            .into();
        arguments.push(self.experiment.as_os_str());
        let numbers = self
            .samples
            .map(|(samples, seed)| (samples.to_string(), seed.to_string()));
        match &numbers {
            Some((samples, seed)) => {
                let words = ["--samples", samples, "--sampling-seed", seed];
                arguments.extend(words.map(OsStr::new));
            }
            None => arguments.extend([OsStr::new("--fresh"), self.fresh.as_os_str()]),
        }
        arguments.push(self.record.as_os_str());
        run(&arguments, &self.cwd, limits)
    }
}

fn command(arguments: &[&OsStr], cwd: &Path) -> Result<Command> {
    let binary = std::env::current_exe()
        .map_err(|error| Error::new(format!("the program cannot find itself: {error}")))?;
    let mut command = Command::new(binary);
    command.args(arguments).current_dir(cwd);
    // Temporary files, too, stay below the directory of the grades.
    for name in ["TMPDIR", "TMP", "TEMP"] {
        command.env(name, cwd);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GRAFT_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Waits for the end; says what went over the limits, if something did.
fn watch(child: &mut Child, limits: &Limits) -> Result<Option<String>> {
    let most = Duration::try_from_secs_f64(limits.max_minutes * 60.0).unwrap_or(Duration::MAX);
    let started = Instant::now();
    loop {
        if child.try_wait().at("graft")?.is_some() {
            return Ok(None);
        }
        if started.elapsed() > most {
            return Ok(Some(format!("more than {} minutes", limits.max_minutes)));
        }
        if resident(child.id()).is_some_and(|bytes| bytes as f64 > limits.max_memory * 1e9) {
            return Ok(Some(format!(
                "more than {} GB of memory",
                limits.max_memory
            )));
        }
        sleep(TICK);
    }
}

/// Bytes of memory that the process holds; `None` where the system does not say.
fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The reply in what `graft verify` said: a list of one, or it alone.
pub fn reply(text: &str) -> Option<Reply> {
    let list: Result<Vec<Reply>, _> = serde_json::from_str(text);
    match list {
        Ok(list) => list.into_iter().next(),
        Err(_) => serde_json::from_str(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_takes_too_long_or_too_much_is_ended() {
        let mut limits = Limits {
            max_minutes: 0.001,
            ..Limits::default()
        };
        let sleeping = || Command::new("sleep").arg("20").spawn().unwrap();
        let mut child = sleeping();
        let over = watch(&mut child, &limits).unwrap();
        assert_eq!(over.as_deref(), Some("more than 0.001 minutes"));
        child.kill().unwrap();
        child.wait().unwrap();
        limits.max_minutes = 1.0;
        limits.max_memory = 1e-6;
        let mut child = sleeping();
        if cfg!(target_os = "linux") {
            let over = watch(&mut child, &limits).unwrap().unwrap();
            assert!(over.contains("of memory"), "{over}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_reply_is_read_alone_or_in_a_list() {
        let one = r#"{"record":"r","verdict":"identical","text":"the same","from_epoch":null,
            "findings":[{"what":"metrics","text":"t"}],"caught":[{"altered":0.1,"probability":0.5}],"fresh":null}"#;
        let alone = reply(one).unwrap();
        assert_eq!(alone.verdict, "identical");
        assert_eq!(reply(&format!("[{one}]")), Some(alone));
        assert_eq!(reply("error: no"), None);
    }
}
