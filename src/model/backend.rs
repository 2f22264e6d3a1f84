//! From the experiment's `backend` to a Burn device, or to an error that says what to do.

use burn::tensor::Device;

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
