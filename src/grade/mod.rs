//! Grading a class: submissions in, points with reasons out.
//!
//! ```text
//! rubric.rs, sense.rs   what is asked for   grounds.rs   the grader's data and models, by checksum
//! confine.rs     what may be read → submission.rs   experiments and records, as data
//!    → differences.rs   what a record claims and the submission does not
//!    → claims.rs     the data and models it claims, and the experiment that may be run in its place
//!    → contradictions.rs   what it says against itself
//!    → rerun.rs      … run again by child.rs, a watched process; explain.rs and trials.rs name what differs
//!    → report.rs     all that is known of a submission, kept by kept.rs
//!    → copies.rs     what two submissions share     marks.rs, required.rs   points     sheet.rs   what is written
//! ```
//! A submission is somebody else's data. Nothing of it is executed, none of its paths is followed, and
//! its data and models are never used: an experiment is run with the grader's in their place. It
//! does not know how a record is verified; that is [`crate::verify`]'s business.

mod child;
mod claims;
mod confine;
mod contradictions;
mod copies;
mod differences;
mod explain;
pub mod finding;
mod grounds;
mod kept;
pub mod marks;
mod report;
mod required;
mod rerun;
mod rubric;
mod sense;
mod sheet;
mod submission;
mod trials;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{At, Error, Result};
use crate::files::lock::FileLock;
use crate::files::write_atomically;
use crate::runner::opened::Opened;
use claims::{Court, Trained};
use finding::{Finding, Kind};
use grounds::Grounds;
use report::{Judged, Report};
use rerun::Reruns;
use rubric::Rubric;
pub use sheet::Graded;
use submission::{Claimed, Submission};
use trials::Doubt;

/// What is to be graded, by what, and where the grades go.
#[derive(Debug, Clone)]
pub struct Request {
    /// A directory of submissions: each a directory, its name the student's.
    pub submissions: PathBuf,
    pub rubric: PathBuf,
    /// The only directory that is written to.
    pub out: PathBuf,
    /// Segments to replay of each record; absent: all is run again.
    pub samples: Option<usize>,
    /// Names; empty: all.
    pub only: Vec<String>,
    /// Grade again what has not changed.
    pub force: bool,
}

/// Grades all submissions, and writes `grades.csv`, `sheets/`, `gradescope/`. `progress` is told what
/// happens, a line at a time.
///
/// # Errors
/// The rubric is wrong, the grader's data are not there, a directory cannot be read or written. What
/// is wrong with a submission is no error, but in its sheet.
pub fn grade(request: &Request, progress: &mut dyn FnMut(&str)) -> Result<Vec<Graded>> {
    let (rubric, text) = Rubric::read(&request.rubric)?;
    let names = names(request, progress)?;
    let out = Places::make(&request.out)?;
    let _lock = FileLock::try_acquire(&out.root.join("grade.lock"))?.ok_or_else(|| {
        Error::new("another graft process is grading into this directory")
            .at(request.out.display())
            .help("wait until it has ended, or choose another directory")
    })?;
    let grounds = Grounds::open(&rubric, &text, &out.work)?;
    let class = Class {
        request,
        rubric: &rubric,
        grounds: &grounds,
        out: &out,
        opened: Opened::default(),
    };
    let mut reports = Vec::new();
    for (index, name) in names.iter().enumerate() {
        progress(&format!("[{}/{}] {name}", index + 1, names.len()));
        reports.extend(class.report(name, progress)?);
    }
    let mut shared = copies::copies(&reports, grounds.seeds.as_ref());
    let graded = reports.iter().map(|report| {
        let mut findings: Vec<Finding> = report.findings().cloned().collect();
        findings.extend(required::missing(&rubric, report));
        findings.extend(required::not_run(report));
        findings.sort();
        findings.dedup();
        Graded {
            name: report.name.clone(),
            marks: marks::marks(&rubric, report),
            findings,
            shared: shared.remove(&report.name).unwrap_or_default(),
        }
    });
    let graded: Vec<Graded> = graded.collect();
    out.write(&rubric.title, &graded)?;
    Ok(graded)
}

/// The names of all submissions, sorted.
fn names(request: &Request, progress: &mut dyn FnMut(&str)) -> Result<Vec<String>> {
    let root = &request.submissions;
    let [inside, out] =
        [root, &request.out].map(|path| std::path::absolute(path).at(path.display()));
    if out?.starts_with(inside?) {
        return Err(Error::new("the grades would stand among the submissions")
            .at(request.out.display())
            .help("choose another --out"));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(root).at(root.display())? {
        let entry = entry.at(root.display())?;
        let name = entry.file_name();
        let is_file = entry.file_type().at(root.display())?.is_file();
        match name.to_str() {
            Some(name) if is_file || name.starts_with('.') => {}
            Some(name) if !name.chars().any(char::is_control) => names.push(name.to_owned()),
            _ => progress(&format!(
                "passed over: {}",
                name.to_string_lossy().escape_debug()
            )),
        }
    }
    names.sort();
    if let Some(unknown) = request.only.iter().find(|only| !names.contains(only)) {
        return Err(Error::new(format!("there is no submission `{unknown}`")).at(root.display()));
    }
    match names.is_empty() {
        true => Err(Error::new("there is no submission")
            .at(root.display())
            .help("a directory a student, with experiments/ and results/ in it")),
        false => Ok(names),
    }
}

/// Where everything is written. All absolute.
struct Places {
    root: PathBuf,
    work: PathBuf,
    kept: PathBuf,
}

impl Places {
    fn make(out: &Path) -> Result<Self> {
        let root = std::path::absolute(out).at(out.display())?;
        let places = Self {
            work: root.join("work"),
            kept: root.join("work/reports"),
            root,
        };
        for dir in [
            &places.kept,
            &places.root.join("sheets"),
            &places.root.join("gradescope"),
        ] {
            fs::create_dir_all(dir).at(dir.display())?;
        }
        Ok(places)
    }

    fn write(&self, title: &str, graded: &[Graded]) -> Result<()> {
        for one in graded {
            let sheet = self.root.join("sheets").join(format!("{}.md", one.name));
            write_atomically(&sheet, sheet::sheet(title, one).as_bytes())?;
            let dir = self.root.join("gradescope").join(&one.name);
            fs::create_dir_all(&dir).at(dir.display())?;
            write_atomically(
                &dir.join("results.json"),
                sheet::gradescope(one)?.as_bytes(),
            )?;
        }
        write_atomically(
            &self.root.join("grades.csv"),
            sheet::grades(graded)?.as_bytes(),
        )
    }
}

/// All that looking at one submission needs.
struct Class<'a> {
    request: &'a Request,
    rubric: &'a Rubric,
    grounds: &'a Grounds,
    out: &'a Places,
    opened: Opened,
}

impl Class<'_> {
    /// What is known of a submission: from an earlier call, or now. Nothing of one that is not to be
    /// graded and has not been.
    fn report(&self, name: &str, progress: &mut dyn FnMut(&str)) -> Result<Option<Report>> {
        let Request {
            only,
            force,
            samples,
            submissions,
            ..
        } = self.request;
        let kept = self.out.kept.join(format!("{name}.json"));
        let root = std::path::absolute(submissions.join(name)).at(name)?;
        let is_asked_for = only.is_empty() || only.iter().any(|only| only == name);
        let failed = |kind, text: &str| is_asked_for.then(|| unreadable(name, kind, text));
        if !fs::symlink_metadata(&root).at(root.display())?.is_dir() {
            return Ok(failed(Kind::Symlink, "it is a link, and was not followed"));
        }
        let mut submission = match Submission::open(name, &root, &self.rubric.limits) {
            Ok(submission) => submission,
            Err(error) => {
                let root = format!("{}/", root.display());
                return Ok(failed(
                    Kind::StrangeFile,
                    &error.to_string().replace(&root, ""),
                ));
            }
        };
        let key = kept::key(&submission.hash, &self.grounds.hash, *samples);
        let found = kept::read(&kept, &key).filter(|_| !(*force && is_asked_for));
        if found.is_some() || !is_asked_for {
            return Ok(found);
        }
        submission.read();
        let report = self.judge(&submission, progress)?;
        kept::write(&kept, key, &report)?;
        Ok(Some(report))
    }

    fn court(&self) -> Court<'_> {
        Court {
            rubric: self.rubric,
            grounds: self.grounds,
            features: self.out.work.join("features"),
            opened: &self.opened,
        }
    }

    fn judge(&self, submission: &Submission, progress: &mut dyn FnMut(&str)) -> Result<Report> {
        let court = self.court();
        let looked = submission
            .experiments
            .iter()
            .map(|submitted| court.look(submitted));
        let mut records = Vec::new();
        let mut trained = Vec::new();
        for claimed in sources_first(&submission.records) {
            progress(&format!("   {}", claimed.place));
            records.push(self.record(submission, claimed, &mut trained)?);
        }
        records.sort_by(|one, other| one.place.cmp(&other.place));
        Ok(Report {
            name: submission.name.clone(),
            experiments: looked.collect(),
            records,
            findings: submission.findings.clone(),
        })
    }

    /// Judges one record; if it is verified, its model may be a source of others.
    fn record(
        &self,
        submission: &Submission,
        claimed: &Claimed,
        trained: &mut Vec<Trained>,
    ) -> Result<Judged> {
        let court = self.court();
        let mut claims = differences::against_submission(claimed, submission);
        let settled = court.settle(claimed, trained, &submission.records);
        let settled = settled.map_err(|finding| claims.push(finding)).ok();
        if let Some(settled) = &settled {
            claims.extend(court.of_another(&submission.name, claimed, settled));
            claims.extend(contradictions::contradictions(claimed));
        }
        let timings = submission
            .sums
            .get(&format!("{}/timings.csv", claimed.place));
        let mut judged = claims::unverified(claimed, settled.as_ref(), claims);
        judged.fingerprint.timings = timings.cloned().unwrap_or_default();
        let Some(settled) = settled else {
            return Ok(judged);
        };
        let reruns = Reruns {
            rubric: self.rubric,
            grounds: self.grounds,
            work: self.out.work.clone(),
            samples: self.request.samples,
        };
        if !judged.claims.is_empty() {
            let is_swapped = |finding: &Finding| finding.kind == Kind::WeightsSwapped;
            if judged.claims.iter().all(is_swapped)
                && let Some(found) = reruns.tried(claimed, &settled, Doubt::Model)?
            {
                judged.claims.insert(0, found);
            }
            return Ok(judged);
        }
        let rerun = reruns.verify(&submission.name, claimed, &settled)?;
        judged.verdict = rerun.verdict;
        judged.how = rerun.how;
        judged.reruns = rerun.findings;
        if judged.is_verified() {
            trained.push(Trained {
                model: claimed.model.clone(),
                path: rerun.model,
                data: settled.data,
            });
        }
        Ok(judged)
    }
}

/// The records, those whose models others import before those others.
fn sources_first(records: &[Claimed]) -> Vec<&Claimed> {
    let mut waiting: Vec<&Claimed> = records.iter().collect();
    let mut order: Vec<&Claimed> = Vec::new();
    let reads = |one: &Claimed, other: &Claimed| {
        let record = &one.record;
        let source = record.source.as_ref().map(|source| &source.sha256);
        let initial = record
            .initial_weights
            .as_ref()
            .map(|initial| &initial.sha256);
        one.place != other.place && (source == Some(&other.model) || initial == Some(&other.model))
    };
    loop {
        let ready: Vec<&Claimed> = waiting
            .iter()
            .filter(|one| !waiting.iter().any(|other| reads(one, other)))
            .copied()
            .collect();
        if ready.is_empty() {
            // None, or a circle, which no training can have made.
            order.extend(waiting);
            return order;
        }
        waiting.retain(|one| !ready.iter().any(|ready| ready.place == one.place));
        order.extend(ready);
    }
}

fn unreadable(name: &str, kind: Kind, text: &str) -> Report {
    Report {
        name: name.to_owned(),
        experiments: Vec::new(),
        records: Vec::new(),
        findings: vec![Finding::new(kind, "", text)],
    }
}
