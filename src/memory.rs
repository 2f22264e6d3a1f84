//! How much memory the machine has, where its system says so.

use std::fs;

/// Bytes of memory that programs may still take.
pub fn free() -> Option<u64> {
    line("MemAvailable:")
}

/// Bytes of memory in all.
pub fn total() -> Option<u64> {
    line("MemTotal:")
}

/// Linux alone has this file, which counts in units of 1,024 bytes.
fn line(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}
