//! The processor, the memory, this build of graft, its backends, the environment.

use std::collections::BTreeSet;
use std::env;

use serde::Serialize;

use crate::config::experiment::Backend;
use crate::files::stamps;
use crate::kernels::InstructionSet;
use crate::memory;
use crate::model::backend;

/// The machine, as far as it decides bits or speed.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// As the system names it; empty where it does not.
    pub processor: String,
    pub architecture: &'static str,
    pub system: &'static str,
    /// What the processor can do, of all that graft or its libraries ask for.
    pub features: Vec<&'static str>,
    /// The instructions that graft's kernels use here.
    pub kernels: String,
    /// See [`backend::arithmetic`]: where this text is the same, results are.
    pub arithmetic: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// Threads that compute; fewer where `RAYON_NUM_THREADS` says so. They change no bit.
    pub threads: usize,
    /// Bytes; absent where the system does not say.
    pub memory: Option<u64>,
    pub memory_free: Option<u64>,
}

/// This graft.
#[derive(Debug, Serialize)]
pub struct Build {
    pub graft: &'static str,
    /// SHA-256 of the program; absent where it cannot be read.
    pub sha256: Option<String>,
    pub burn: &'static str,
    /// The oldest compiler that builds it.
    pub rust_at_least: &'static str,
    pub target: String,
    /// Whether the compiler checks every index and overflow, which is slow and changes no bit.
    pub debug: bool,
}

/// One backend.
#[derive(Debug, Serialize)]
pub struct BackendState {
    /// As an experiment names it.
    pub name: String,
    pub is_compiled: bool,
    /// Whether its device was opened and computed something.
    pub works: bool,
    /// What does the work, or why nothing does.
    pub text: String,
}

/// A variable of the environment.
#[derive(Debug, Serialize)]
pub struct Variable {
    pub name: String,
    pub value: String,
    /// What it changes.
    pub effect: String,
}

impl Machine {
    /// The machine that this process runs on.
    pub fn here() -> Self {
        Self {
            processor: processor(),
            architecture: env::consts::ARCH,
            system: env::consts::OS,
            features: features(),
            kernels: InstructionSet::best().to_string(),
            arithmetic: backend::arithmetic(),
            processors: backend::threads(),
            threads: rayon::current_num_threads(),
            memory: memory::total(),
            memory_free: memory::free(),
        }
    }
}

impl Build {
    /// The program that runs.
    pub fn this() -> Self {
        let program = env::current_exe().ok();
        let stamp = program.and_then(|program| stamps::stamp(&program).ok());
        let pointer = if cfg!(target_pointer_width = "64") {
            "64 bits"
        } else {
            "32 bits"
        };
        Self {
            graft: env!("CARGO_PKG_VERSION"),
            sha256: stamp.map(|stamp| stamp.sha256),
            burn: backend::BURN,
            rust_at_least: env!("CARGO_PKG_RUST_VERSION"),
            target: format!("{} {}, {pointer}", env::consts::ARCH, env::consts::OS),
            debug: cfg!(debug_assertions),
        }
    }
}

/// Every backend, and those besides that experiments have `asked` for, such as a second CUDA device.
pub(super) fn backends(asked: impl Iterator<Item = Backend>) -> Vec<BackendState> {
    let mut all = vec![
        Backend::Cpu,
        Backend::Ndarray,
        Backend::Wgpu,
        Backend::Cuda(0),
    ];
    for backend in asked {
        if !all.contains(&backend) {
            all.push(backend);
        }
    }
    all.into_iter().map(state).collect()
}

fn state(backend: Backend) -> BackendState {
    let opened = backend::probe(backend);
    BackendState {
        name: backend.to_string(),
        is_compiled: backend::is_compiled(backend),
        works: opened.is_ok(),
        text: match opened {
            Ok(()) => backend::describe(backend),
            Err(error) => error.to_string(),
        },
    }
}

/// Variables that are set and change something: keys of experiments, numbers of threads, devices.
pub(super) fn environment() -> Vec<Variable> {
    const OTHERS: [(&str, &str); 5] = [
        (
            "GRAFT_INSTRUCTION_SET",
            "the instructions that kernels use; the last bits depend on it",
        ),
        (
            "RAYON_NUM_THREADS",
            "threads that compute; no bit depends on it",
        ),
        ("CUDA_VISIBLE_DEVICES", "which devices `cuda` counts"),
        ("TMPDIR", "where `graft verify` trains again"),
        ("GRAFT_LOG", "no key of an experiment, and not read"),
    ];
    let names: BTreeSet<String> = env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .collect();
    let effect = |name: &str| match OTHERS.iter().find(|(other, _)| *other == name) {
        Some((_, effect)) => Some((*effect).to_owned()),
        None => {
            let key = name.strip_prefix("GRAFT_")?;
            let key = key.to_lowercase().replace("__", ".");
            Some(format!("overrides `{key}` of every experiment file"))
        }
    };
    let variable = |name: String| {
        let value = env::var_os(&name)?.to_string_lossy().into_owned();
        Some(Variable {
            effect: effect(&name)?,
            name,
            value,
        })
    };
    names.into_iter().filter_map(variable).collect()
}

/// Linux alone says it here.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or(String::new(), |(_, name)| name.trim().to_owned())
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    macro_rules! detected {
        ($($feature:tt)*) => {
            [$(($feature, is_x86_feature_detected!($feature))),*]
        };
    }
    let all = detected!(
        "sse4.2" "avx" "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512dq" "avx512vl"
        "avx512vnni" "avx512bf16"
    );
    all.into_iter()
        .filter_map(|(name, has)| has.then_some(name))
        .collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}
