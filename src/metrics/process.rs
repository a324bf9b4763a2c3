//! What the kernel says about this process, under the names that every Prometheus client uses.
//!
//! Read from `/proc`, so all values are absent elsewhere than on Linux.

use std::fs;

/// Ticks a second in `/proc`: fixed to 100 by the kernel's interface to programs, whatever its own clock is.
const USER_HZ: f64 = 100.0;
/// `starttime` is field 22 of `/proc/self/stat`; the fields after the bracketed name begin with the third.
const START_TIME_AFTER_NAME: usize = 22 - 3;

#[derive(Debug, Default)]
pub struct Process {
    pub resident_bytes: Option<f64>,
    pub open_fds: Option<f64>,
    /// Seconds since 1970.
    pub start_secs: Option<f64>,
}

pub fn read() -> Process {
    Process {
        resident_bytes: resident_bytes(),
        open_fds: open_fds(),
        start_secs: start_secs(),
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn open_fds() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

fn start_secs() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name may hold spaces and brackets; only the last bracket ends it.
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks: f64 = after_name
        .split_whitespace()
        .nth(START_TIME_AFTER_NAME)?
        .parse()
        .ok()?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = machine
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + ticks / USER_HZ)
}
