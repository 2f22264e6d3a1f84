//! `graft verify`: a record's experiment run again by somebody else, in a place of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::claim;
use super::judge::{Judgement, Tolerance, Verdict, judge};
use super::{Finding, Findings, check, experiment, replay};
use crate::config::experiment::Backend;
use crate::config::{self, Environment, Overrides};
use crate::error::{Error, Result};
use crate::model::backend;
use crate::plan::Run;
use crate::results::loaded::LoadedRecord;
use crate::results::record::Record;
use crate::runner::identity::Contents;
use crate::runner::{self, Outcome, Reporter, Shared, setup};

/// How to verify.
#[derive(Debug, Clone)]
pub struct Options {
    /// Fresh records go below this directory, each under its identity; one that is there already, and
    /// complete, is used again.
    pub fresh: PathBuf,
    /// The experiment to run in place of the record's own: the same, with paths of whoever verifies.
    pub experiment: Option<PathBuf>,
    /// Without the kernels that trade accuracy for speed, whatever the experiment says.
    pub exact: bool,
    pub tolerance: Tolerance,
    /// Only some stretches between the states that the record holds.
    pub sampling: Option<Sampling>,
}

/// Which stretches to replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    pub stretches: usize,
    /// Decides which; nobody should know it who could forge a record.
    pub seed: u64,
}

/// What came of verifying one record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    pub record: PathBuf,
    #[serde(flatten)]
    pub judgement: Judgement,
    /// What [`check::check`] found before.
    pub findings: Vec<Finding>,
    pub unchecked: Vec<String>,
    /// Absent after a whole re-run, which catches everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caught: Vec<Caught>,
    /// The fresh record.
    pub fresh: Option<PathBuf>,
}

/// How likely a forgery would have been noticed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Caught {
    /// Share of the stretches that were altered.
    pub altered: f64,
    pub probability: f64,
}

impl Verification {
    /// Whether the record is what training gives, and nothing about it is odd.
    pub fn is_good(&self) -> bool {
        let verdict = self.judgement.verdict;
        self.findings.is_empty() && matches!(verdict, Verdict::Identical | Verdict::Close)
    }
}

/// Verifies the record at `dir`. What goes wrong with it is a finding or a verdict. The data and the
/// models that its experiment names are read; written are a built-in task's data where they are not drawn
/// yet, the cache of its experiment, and what is below `options.fresh`.
///
/// # Errors
/// Somebody asked for an end; no temporary directory; the fresh record cannot be read.
pub fn verify(
    dir: &Path,
    options: &Options,
    shared: &Shared,
    reporter: &mut dyn Reporter,
) -> Result<Verification> {
    let mut found = Findings::default();
    let claim = check::claim(dir, &mut found);
    if let (Some(claim), None) = (&claim, &options.experiment) {
        experiment::outside(claim, &mut found);
    }
    let mut verification = Verification {
        record: dir.to_owned(),
        judgement: impossible("the record cannot be read".to_string()),
        findings: found.findings,
        unchecked: found.unchecked,
        caught: Vec::new(),
        fresh: None,
    };
    let Some(claim) = claim else {
        return Ok(verification);
    };
    let loaded = &claim.loaded;
    let run = match run_of(loaded, options) {
        Ok(run) => run,
        Err(error) => {
            verification.judgement = impossible(error.to_string());
            return Ok(verification);
        }
    };
    let tolerance = tolerance(&loaded.record, options, run.experiment.backend);
    // By other arithmetic a whole training drifts apart, however honest; single epochs hardly do.
    let every = Sampling {
        stretches: usize::MAX,
        seed: 0,
    };
    let sampling = options.sampling.or(tolerance.map(|_| every));
    if let Some(sampling) = sampling {
        let replayed = replay::replay(&claim, &run, sampling, tolerance, shared, reporter)?;
        if let Some(replay::Replayed { judgement, caught }) = replayed {
            (verification.judgement, verification.caught) = (judgement, caught);
            return Ok(verification);
        }
        if options.sampling.is_some() {
            let text = "stretches by themselves: there are no states in the record to replay from, so the whole \
                    run was trained again";
            verification.unchecked.push(text.to_string());
        }
    }
    match runner::run(&run, false, shared, reporter) {
        Ok(Outcome::Stopped) => return Err(Error::new("stopped").at(dir.display())),
        Ok(_) => {}
        Err(error) => {
            let text = format!("training it again came to no end: {error}");
            verification.judgement = impossible(text);
            return Ok(verification);
        }
    }
    let fresh = LoadedRecord::read(&run.dir)?;
    verification.judgement = match judge(loaded, &fresh, tolerance) {
        Ok(judgement) => judgement,
        Err(error) => differs(error.to_string()),
    };
    verification.fresh = Some(run.dir);
    Ok(verification)
}

pub(super) fn differs(text: String) -> Judgement {
    Judgement {
        verdict: Verdict::Differs,
        text,
        from_epoch: None,
    }
}

fn impossible(text: String) -> Judgement {
    Judgement {
        verdict: Verdict::Impossible,
        ..differs(text)
    }
}

/// Other arithmetic gives other bits, and what is not computed by graft's own kernels may do so any time.
fn tolerance(record: &Record, options: &Options, backend: Backend) -> Option<Tolerance> {
    let here = backend::arithmetic();
    let same = record
        .build
        .as_ref()
        .is_some_and(|build| build.arithmetic == here);
    let exact = same && !options.exact && backend == Backend::Cpu;
    (!exact).then_some(options.tolerance)
}

/// The run that the record claims to be of, on the data and models that it names.
///
/// # Errors
/// They are not here, or others.
fn run_of(loaded: &LoadedRecord, options: &Options) -> Result<Run> {
    let record = &loaded.record;
    let mut experiment = match &options.experiment {
        Some(path) => config::load_with(path, &Overrides::default(), &Environment::none())?,
        None => claim::experiment(loaded)?,
    };
    experiment.save_path = None;
    experiment.seeds = vec![record.seed];
    experiment.exact |= options.exact;
    let (train, test) = setup::files(&experiment.data)?;
    let files = setup::open(&train, &test)?;
    let contents = runner::contents(&experiment, &files)?;
    same_contents(&contents, record)?;
    let identity = runner::identity_of(&experiment, &contents, record.seed)?;
    Ok(Run {
        experiment: Arc::new(experiment),
        seed: record.seed,
        dir: options.fresh.join(identity),
        after: Vec::new(),
    })
}

fn same_contents(contents: &Contents, record: &Record) -> Result<()> {
    let claimed = Contents::of(record);
    let which = match contents {
        same if *same == claimed => return Ok(()),
        _ if contents.train != claimed.train => "the training data",
        _ if contents.test != claimed.test => "the test data",
        _ if contents.source != claimed.source => "the source model",
        _ => "the initial weights",
    };
    let problem = format!("{which} here are not what the record was made from: another checksum");
    Err(Error::new(problem)
        .help("put the files of the record in their place, or name them in --experiment"))
}
