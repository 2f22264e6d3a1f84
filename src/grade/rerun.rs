//! One record, run again: what `graft verify` says of it, as a verdict with names.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::child::{self, Ended, Job, Reply};
use super::claims::Settled;
use super::explain::explain;
use super::finding::{Finding, Kind};
use super::report::Verdict;
use super::rubric::Rubric;
use super::submission::Claimed;
use crate::error::{At, Result};
use crate::files::write_atomically;
use crate::results::record::MODEL;

/// Where re-runs are made, and how much of them.
pub struct Reruns<'a> {
    pub rubric: &'a Rubric,
    /// The directory for what is made on the way. Absolute.
    pub work: PathBuf,
    /// Segments to replay of each record; absent: all of it.
    pub samples: Option<usize>,
}

/// What came of a re-run.
#[derive(Debug, Clone)]
pub struct Rerun {
    pub verdict: Verdict,
    /// In words.
    pub how: String,
    pub findings: Vec<Finding>,
    /// The model that may be a source of other runs.
    pub model: PathBuf,
}

impl Reruns<'_> {
    /// Re-runs a record of the submission `name`, whose directory is absolute.
    ///
    /// # Errors
    /// The grader's machine refuses: no disk, no process.
    pub fn verify(&self, name: &str, claimed: &Claimed, settled: &Settled) -> Result<Rerun> {
        let dir = self.work.join("runs").join(name).join(&claimed.place);
        fs::create_dir_all(&dir).at(dir.display())?;
        let experiment = dir.join("experiment.toml");
        write_atomically(&experiment, settled.experiment.to_toml()?.as_bytes())?;
        let mut job = Job {
            record: claimed.dir.clone(),
            experiment,
            fresh: self.work.join("fresh"),
            samples: self.samples.map(|n| (n, self.sampling_seed(name, &claimed.place))),
            cwd: dir.join("cwd"),
        };
        let mut ended = child::run(&job, &self.rubric.limits)?;
        let is_other = |ended: &Ended| matches!(ended, Ended::Replied(r) if r.verdict == "differs");
        if job.samples.is_some() && is_other(&ended) {
            // What it is instead, only a whole re-run can tell.
            job.samples = None;
            ended = child::run(&job, &self.rubric.limits)?;
        }
        Ok(self.judge(claimed, settled, ended))
    }

    fn judge(&self, claimed: &Claimed, settled: &Settled, ended: Ended) -> Rerun {
        let own = claimed.dir.join(MODEL);
        let stopped = |kind, text: String| Rerun {
            verdict: Verdict::NotVerified,
            how: text.clone(),
            findings: vec![Finding::new(kind, claimed.place.as_str(), text)],
            model: own.clone(),
        };
        let reply = match ended {
            Ended::Replied(reply) => *reply,
            Ended::Over(what) => {
                return stopped(Kind::OverLimit, format!("its re-run took {what}, and was ended"));
            }
            Ended::Failed(words) => {
                return stopped(Kind::NotVerified, format!("it cannot be run again: {}", self.scrubbed(&words, claimed)));
            }
        };
        let how = self.scrubbed(&reply.text, claimed);
        match reply.verdict.as_str() {
            "identical" | "close" => Rerun {
                verdict: match reply.verdict.as_str() {
                    "identical" => Verdict::Identical,
                    _ => Verdict::Close,
                },
                how: how + &probability(&reply),
                findings: Vec::new(),
                model: reply.fresh.map_or(own, |fresh| fresh.join(MODEL)),
            },
            "differs" => Rerun {
                verdict: Verdict::Differs,
                findings: explain(claimed, settled, reply.fresh.as_deref(), &how),
                how,
                model: own,
            },
            _ => stopped(Kind::NotVerified, format!("it cannot be run again: {how}")),
        }
    }

    /// Known to who knows the rubric's secret, and to nobody else.
    fn sampling_seed(&self, name: &str, place: &str) -> u64 {
        let mut hash = Sha256::new();
        for part in [self.rubric.secret.as_str(), name, place] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        // The command line takes what fits an i64, too.
        u64::from_le_bytes(bytes) >> 1
    }

    /// The words without the grader's directories.
    fn scrubbed(&self, text: &str, claimed: &Claimed) -> String {
        let text = text.replace(&claimed.dir.display().to_string(), &claimed.place);
        text.replace(&format!("{}/", self.work.display()), "")
    }
}

fn probability(reply: &Reply) -> String {
    let tenth = reply.caught.iter().find(|caught| (caught.altered - 0.1).abs() < 1e-9);
    match tenth.or(reply.caught.first()) {
        Some(caught) => format!(
            "; had {:.0} % of the run been altered, that would have shown with a probability of {:.2}",
            100.0 * caught.altered,
            caught.probability
        ),
        None => String::new(),
    }
}

/// Whether two files have the same bytes; a missing one has none.
pub(super) fn same_bytes(one: &Path, other: &Path) -> bool {
    let read = |path: &Path| fs::read(path).ok();
    read(one) == read(other)
}
