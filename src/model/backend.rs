//! From the experiment's `backend` to a Burn device, or to an error that says what to do.

use std::panic;

use burn::tensor::{Device, Tensor};

use super::layer;
use crate::config::experiment::Backend;
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::numbers::Dtype;

/// The device on which `backend` computes in `dtype`.
///
/// # Errors
/// The backend is not compiled into this graft, finds no device, or does not have the precision.
pub fn device(backend: Backend, dtype: Dtype) -> Result<Device> {
    let device = match backend {
        Backend::Cpu => Device::flex(),
        Backend::Ndarray => ndarray()?,
        Backend::Wgpu => wgpu()?,
        Backend::Cuda(index) => cuda(index)?,
    };
    match device.supports_dtype(layer::burn_dtype(dtype)) {
        true => Ok(device),
        false => Err(
            Error::new(format!("backend `{backend}` does not compute in {dtype}"))
                .at("dtype")
                .help("backend = \"cpu\" computes in f32, f64, f16 and bf16; every backend in f32"),
        ),
    }
}

/// Opens the device of `backend` and has it add two numbers.
///
/// # Errors
/// As [`device`]; and a driver that fails, or panics, on the way.
pub fn probe(backend: Backend) -> Result<()> {
    let adds = || -> Result<f32> {
        let device = device(backend, Dtype::F32)?;
        let sum = Tensor::<1>::from_floats([1.0, 2.0], &device).sum();
        Ok(sum.into_data().iter::<f32>().sum())
    };
    // What a driver panics with says nothing to whoever asks whether it works.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let added = panic::catch_unwind(adds);
    panic::set_hook(hook);
    match added {
        Ok(Ok(3.0)) => Ok(()),
        Ok(Ok(sum)) => Err(Error::new(format!(
            "backend `{backend}` adds 1 and 2 to {sum}"
        ))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::new(format!("backend `{backend}` cannot be opened"))
            .help("check its driver, or use backend = \"cpu\"")),
    }
}

/// Whether `backend` is part of this build.
pub fn is_compiled(backend: Backend) -> bool {
    match backend {
        Backend::Cpu => true,
        Backend::Ndarray => cfg!(feature = "ndarray"),
        Backend::Wgpu => cfg!(feature = "wgpu"),
        Backend::Cuda(_) => cfg!(feature = "cuda"),
    }
}

/// The backend in words, for records: its name and what does the work.
pub fn describe(backend: Backend) -> String {
    match backend {
        Backend::Cpu => format!(
            "processor, by graft's kernels ({}) and burn-flex",
            InstructionSet::best()
        ),
        Backend::Ndarray => "processor, by burn-ndarray".to_string(),
        Backend::Wgpu => "graphics adapter, by burn-wgpu".to_string(),
        Backend::Cuda(index) => format!("CUDA device {index}, by burn-cuda"),
    }
}

/// What decides, besides its inputs, the last bits of what the processor computes: where this text is
/// the same, results are.
pub fn arithmetic() -> String {
    // On Linux; the sizes of caches, which follow from the model, decide the order of sums.
    let models = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = models.lines().find(|line| line.starts_with("model name"));
    format!(
        "{ARITHMETIC}, {}, {}, {}",
        InstructionSet::best(),
        std::env::consts::ARCH,
        model.unwrap_or_default()
    )
}

/// The version of Burn that graft is built on.
pub const BURN: &str = "0.22.1";

/// Changes when a kernel gives other bits than before.
const ARITHMETIC: &str = "kernels 1, burn-flex 0.22.1";

/// Threads that the processor's backends use.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(feature = "ndarray")]
fn ndarray() -> Result<Device> {
    Ok(Device::ndarray())
}

#[cfg(not(feature = "ndarray"))]
fn ndarray() -> Result<Device> {
    Err(not_compiled("ndarray"))
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device> {
    use burn::tensor::{DeviceKind, DeviceType};
    match Device::enumerate(DeviceType::Wgpu).into_vec().len() {
        0 => Err(Error::new("backend `wgpu` finds no adapter").help(
            "install a Vulkan driver (Mesa's software one is enough), or use backend = \"cpu\"",
        )),
        _ => Ok(Device::wgpu(DeviceKind::DefaultDevice)),
    }
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device> {
    Err(not_compiled("wgpu"))
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device> {
    use burn::tensor::DeviceType;
    match Device::enumerate(DeviceType::Cuda).into_vec().len() {
        0 => Err(Error::new("backend `cuda` finds no device")
            .help("check the driver with `nvidia-smi`, or use backend = \"cpu\"")),
        count if index >= count => Err(Error::new(format!(
            "backend `cuda:{index}`: there are {count} CUDA devices, counted from 0"
        ))),
        _ => Ok(Device::cuda(index)),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<Device> {
    Err(not_compiled("cuda"))
}

#[cfg(not(all(feature = "cuda", feature = "wgpu", feature = "ndarray")))]
fn not_compiled(feature: &str) -> Error {
    Error::new(format!(
        "backend `{feature}` is not compiled into this graft"
    ))
    .help(format!(
        "build with `cargo build --release --features {feature}`, or run with `-b cpu`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_the_one_that_is_built_in() {
        let manifest = include_str!("../../Cargo.toml");
        let line = format!("burn = {{ version = \"={BURN}\"");
        assert!(manifest.contains(&line));
    }

    #[test]
    fn the_processor_computes_and_what_is_not_built_in_says_so() {
        assert_eq!(probe(Backend::Cpu), Ok(()));
        if !is_compiled(Backend::Cuda(0)) {
            let error = probe(Backend::Cuda(0)).unwrap_err().to_string();
            assert!(error.contains("not compiled"), "{error}");
        }
    }
}
