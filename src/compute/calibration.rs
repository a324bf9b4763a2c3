//! What a device costs and gives: measured once for a device and its driver, in at most [`BUDGET`].
//!
//! Floors: a dispatch, bytes up, bytes down, multiply-adds, copies inside the device. When a kernel is first asked for,
//! its own speed follows ([`super::rates`]), out of the same budget: what does not fit it is not measured, and stays with
//! the CPU. A choice by these figures may be wrong by the noise of a measurement, never in what is computed.

use std::time::{Duration, Instant};

use super::device::{Gpu, GpuError, Shader};
pub use super::rates::Rates;
use super::work::Work;

/// The device's side.
pub static SHADER: Shader = Shader {
    name: "calibration",
    parts: &[include_str!("../../shaders/calibration.wgsl")],
};

pub const THREADS: u32 = 256;
/// Operations of a round of multiply-adds: 8 chains of 4, twice, two operations each.
pub const FLOPS: u32 = 128;
/// Members of `Params`, a word each.
pub const PARAMS: [&str; 4] = ["words", "rounds", "zero", "unused"];

/// For the floors and the probes of all kernels together; compiling shaders, which is needed anyway, is not measuring.
pub const BUDGET: Duration = Duration::from_millis(200);
/// Of it, for the floors.
const FLOORS: Duration = Duration::from_millis(60);
/// Words of a transfer.
const WORDS: usize = 1 << 19;
/// Words of a copy for the benchmark: more than any device's cache.
const MANY_WORDS: usize = 1 << 26;
/// What the benchmark gives each ceiling.
const PATIENTLY: Duration = Duration::from_millis(500);
/// Most rounds of a multiply-add: loops stay below 65,535 iterations.
const MOST_ROUNDS: u32 = 32_768;

/// What is left of the time for measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    left: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: BUDGET }
    }
}

impl Budget {
    /// So much time.
    pub fn new(left: Duration) -> Self {
        Self { left }
    }

    /// What is left.
    pub fn left(&self) -> Duration {
        self.left
    }

    /// Whether a measurement that is expected to take so long may begin.
    pub(crate) fn allows(&self, expected: Duration) -> bool {
        self.left > Duration::ZERO && expected <= self.left
    }

    pub(crate) fn spend(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }
}

/// The floors of a device.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Calibration {
    /// An empty dispatch, awaited.
    pub dispatch_secs: f64,
    pub upload_bytes_per_sec: f64,
    pub download_bytes_per_sec: f64,
    /// Bytes read and written by a copy inside the device.
    pub copy_bytes_per_sec: f64,
    /// Multiplications and additions of `f32`.
    pub flops_per_sec: f64,
    /// What the measurement took, compiling apart.
    pub took_secs: f64,
}

impl Calibration {
    /// Measures the floors. Each gets a part of the budget and stops at what it has.
    pub fn measure(gpu: &Gpu) -> Result<Self, GpuError> {
        let copy = gpu.pipeline(&SHADER, "copy")?;
        let multiply_add = gpu.pipeline(&SHADER, "multiply_add")?;
        let words = vec![1u32; WORDS];
        let target = gpu.zeros("target", WORDS)?;
        let source = gpu.upload("source", &words)?;
        let uniform = gpu.zeros("params", PARAMS.len())?;
        let copying = gpu.bind(&copy, &[(0, &uniform), (1, &source), (2, &target)]);
        let adding = gpu.bind(&multiply_add, &[(0, &uniform), (2, &target)]);
        let widest = gpu.widest().min(4096) as u32;
        // Some drivers compile at the first dispatch.
        gpu.write(&uniform, &[0, 1, 0, 0]);
        gpu.dispatch(&copy, &copying, [1, 1, 1])?;
        gpu.dispatch(&multiply_add, &adding, [1, 1, 1])?;
        // And make a buffer to read from at the first read.
        gpu.download(&target)?;
        let start = Instant::now();
        let part = FLOORS / 5;

        let dispatch_secs = least(part, || {
            gpu.write(&uniform, &[0, 0, 0, 0]);
            gpu.dispatch(&copy, &copying, [1, 1, 1])
        })?;
        let bytes = 4.0 * WORDS as f64;
        // What is lost in the noise of a dispatch is not infinitely fast.
        let beyond = |secs: f64| (secs - dispatch_secs).max(secs / 10.0).max(1e-9);
        let up = least(part, || {
            gpu.write(&source, &words);
            gpu.write(&uniform, &[0, 0, 0, 0]);
            gpu.dispatch(&copy, &copying, [1, 1, 1])
        })?;
        let down = least(part, || gpu.download(&target).map(drop))?;
        let copied = least(part, || {
            gpu.write(&uniform, &[WORDS as u32, 0, 0, 0]);
            gpu.dispatch(&copy, &copying, [widest.min(2048), 1, 1])
        })?;
        let add = |rounds| {
            gpu.write(&uniform, &[0, rounds, 0, 0]);
            gpu.dispatch(&multiply_add, &adding, [widest, 1, 1])
        };
        let flops_per_sec = most_flops(part, dispatch_secs, widest, add)?;
        Ok(Self {
            dispatch_secs,
            upload_bytes_per_sec: bytes / beyond(up),
            download_bytes_per_sec: bytes / beyond(down),
            copy_bytes_per_sec: 2.0 * bytes / beyond(copied),
            flops_per_sec,
            took_secs: start.elapsed().as_secs_f64(),
        })
    }

    /// The same with the ceilings measured at length, for a benchmark: a copy larger than any cache where the device has
    /// room for it, and multiply-adds for half a second.
    pub fn at_length(self, gpu: &Gpu) -> Result<Self, GpuError> {
        let copy = gpu.pipeline(&SHADER, "copy")?;
        let multiply_add = gpu.pipeline(&SHADER, "multiply_add")?;
        let uniform = gpu.zeros("params", PARAMS.len())?;
        let widest = gpu.widest().min(4096) as u32;
        let words = match gpu.facts().is_cpu {
            true => WORDS,
            false => MANY_WORDS.min(gpu.facts().max_binding_bytes as usize / 4),
        };
        let (source, target) = (gpu.zeros("source", words)?, gpu.zeros("target", words)?);
        let copying = gpu.bind(&copy, &[(0, &uniform), (1, &source), (2, &target)]);
        gpu.write(&uniform, &[words as u32, 0, 0, 0]);
        let once = || gpu.dispatch(&copy, &copying, [widest, 1, 1]);
        // The first touches memory for the first time.
        once()?;
        let copied = least(PATIENTLY, once)?;
        let adding = gpu.bind(&multiply_add, &[(0, &uniform), (2, &target)]);
        let add = |rounds| {
            gpu.write(&uniform, &[0, rounds, 0, 0]);
            gpu.dispatch(&multiply_add, &adding, [widest, 1, 1])
        };
        let flops_per_sec = most_flops(PATIENTLY, self.dispatch_secs, widest, add)?;
        let beyond = (copied - self.dispatch_secs).max(copied / 2.0);
        Ok(Self {
            copy_bytes_per_sec: 8.0 * words as f64 / beyond,
            flops_per_sec: flops_per_sec.max(self.flops_per_sec),
            ..self
        })
    }

    pub(super) fn transfer_secs(&self, work: Work) -> f64 {
        work.bytes_up / self.upload_bytes_per_sec + work.bytes_down / self.download_bytes_per_sec
    }
}

/// The shortest of as many runs as fit the time, at least one.
fn least(time: Duration, mut run: impl FnMut() -> Result<(), GpuError>) -> Result<f64, GpuError> {
    let until = Instant::now() + time;
    let mut least = f64::INFINITY;
    loop {
        let start = Instant::now();
        run()?;
        let took = start.elapsed();
        least = least.min(took.as_secs_f64());
        if Instant::now() + took > until {
            return Ok(least);
        }
    }
}

/// Multiply-adds in longer and longer dispatches, until one is a hundred times an empty one or the time is up; the
/// fastest counts.
fn most_flops(
    time: Duration,
    dispatch_secs: f64,
    widest: u32,
    mut add: impl FnMut(u32) -> Result<(), GpuError>,
) -> Result<f64, GpuError> {
    let until = Instant::now() + time;
    let (mut rounds, mut most) = (4, 0.0_f64);
    loop {
        let begin = Instant::now();
        add(rounds)?;
        let secs = begin.elapsed().as_secs_f64();
        let flops = f64::from(rounds) * f64::from(FLOPS) * f64::from(THREADS) * f64::from(widest);
        most = most.max(flops / (secs - dispatch_secs).max(secs / 2.0));
        let next = Instant::now() + Duration::from_secs_f64(secs * 4.0);
        if secs > 100.0 * dispatch_secs.max(1e-4) || next > until || rounds >= MOST_ROUNDS {
            return Ok(most);
        }
        rounds *= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends() {
        let mut budget = Budget::new(Duration::from_millis(10));
        assert!(budget.allows(Duration::from_millis(10)));
        budget.spend(Duration::from_millis(7));
        assert!(
            !budget.allows(Duration::from_millis(4)) && budget.allows(Duration::from_millis(3))
        );
        budget.spend(Duration::from_millis(70));
        assert_eq!(budget.left(), Duration::ZERO);
        assert!(!budget.allows(Duration::ZERO));
    }
}
