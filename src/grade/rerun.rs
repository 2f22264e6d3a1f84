//! One record, run again: what `graft verify` says of it, as a verdict with names.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::child::{Ended, Job, reply};
use super::claims::Settled;
use super::explain::explain;
use super::finding::{Finding, Kind};
use super::grounds::Grounds;
use super::report::Verdict;
use super::rubric::Rubric;
use super::submission::Claimed;
use super::trials::{Doubt, tried};
use crate::error::{At, Result};
use crate::files::write_atomically;
use crate::model::digest;
use crate::results::record::MODEL;
use crate::source::document;
use crate::source::safetensors::{self, StoredData};

/// Where re-runs are made, and how much of them.
pub struct Reruns<'a> {
    pub rubric: &'a Rubric,
    pub grounds: &'a Grounds,
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
            samples: self
                .samples
                .map(|n| (n, self.sampling_seed(name, &claimed.place))),
            cwd: dir.join("cwd"),
        };
        let mut ended = job.run(&self.rubric.limits)?;
        let is_other = |ended: &Ended| match ended {
            Ended::Said(text) => reply(text).is_some_and(|reply| reply.verdict == "differs"),
            _ => false,
        };
        if job.samples.is_some() && is_other(&ended) {
            // What it is instead, only a whole re-run can tell.
            job.samples = None;
            ended = job.run(&self.rubric.limits)?;
        }
        let mut rerun = self.judge(claimed, settled, ended);
        let doubt = rerun
            .findings
            .iter()
            .find_map(|finding| match finding.kind {
                Kind::NotReproduced => Some(Doubt::Training),
                Kind::WeightsSwapped => Some(Doubt::Model),
                _ => None,
            });
        if let Some(doubt) = doubt
            && let Some(found) = self.tried(claimed, settled, doubt)?
        {
            rerun.findings = vec![found];
        }
        Ok(rerun)
    }

    /// What a record that is not of its experiment is, if a trial says it.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn tried(
        &self,
        claimed: &Claimed,
        settled: &Settled,
        doubt: Doubt,
    ) -> Result<Option<Finding>> {
        let on = (&self.rubric.limits, self.work.as_path());
        tried((claimed, doubt), settled, self.grounds, on)
    }

    fn judge(&self, claimed: &Claimed, settled: &Settled, ended: Ended) -> Rerun {
        let own = claimed.dir.join(MODEL);
        let stopped = |kind, text: String| Rerun {
            verdict: Verdict::NotVerified,
            how: text.clone(),
            findings: vec![Finding::new(kind, claimed.place.as_str(), text)],
            model: own.clone(),
        };
        let (said, words) = match ended {
            Ended::Said(text) => (reply(&text), text),
            Ended::Failed(words) => (None, words),
            Ended::Over(what) => {
                return stopped(
                    Kind::OverLimit,
                    format!("its re-run took {what}, and was ended"),
                );
            }
        };
        let Some(reply) = said else {
            let words = self.scrubbed(&words, claimed);
            return stopped(
                Kind::NotVerified,
                format!("it cannot be run again: {words}"),
            );
        };
        let how = self.scrubbed(&reply.text, claimed);
        match reply.verdict.as_str() {
            "identical" | "close" => Rerun {
                verdict: match reply.verdict.as_str() {
                    "identical" => Verdict::Identical,
                    _ => Verdict::Close,
                },
                how,
                findings: Vec::new(),
                model: match reply.fresh.map(|fresh| fresh.join(MODEL)) {
                    // Others name it by its checksum.
                    Some(fresh) if same_bytes(&own, &fresh) => fresh,
                    _ => own,
                },
            },
            "differs" => Rerun {
                verdict: Verdict::Differs,
                findings: explain(claimed, settled, reply.fresh.as_deref(), &how),
                how,
                model: own,
            },
            // Neither a proof nor a forgery: a person decides.
            "drifts" => stopped(Kind::NotVerified, how),
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

/// Whether two files have the same bytes; a missing one has none.
pub(super) fn same_bytes(one: &Path, other: &Path) -> bool {
    let read = |path: &Path| fs::read(path).ok();
    read(one) == read(other)
}

/// The digest of a model's weights, as `batches.csv` has it; none of a file that is no model.
pub(super) fn digest_of(model: &Path) -> Option<String> {
    let mut tensors = Vec::new();
    for stored in safetensors::load(model).ok()?.tensors {
        if let StoredData::Numbers(values) = &stored.data
            && !document::is_state(&stored.name)
        {
            tensors.push((stored.name, values.sha256()));
        }
    }
    Some(digest::of_model(tensors))
}
