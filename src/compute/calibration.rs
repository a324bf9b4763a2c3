//! What a device costs and gives: measured once for a device and its driver, in at most [`BUDGET`].
//!
//! Four floors (a dispatch, bytes up, bytes down, multiply-adds; copies inside the device for the benchmark) and, when
//! a kernel is first asked for, its own speed on both backends. A choice by them may be wrong by the noise of a
//! measurement, never in what is computed. Deliberately absent: a file; a process measures again.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::device::{Gpu, GpuError, Shader};
use super::labels::Labels;
use super::work::{Kernel, Work};
use super::{histogram, pairwise_distance, rbf_mmd, resample, worst_slice};

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
/// For one kernel's probe: five of them and the floors stay within [`BUDGET`].
const PROBE: Duration = Duration::from_millis(25);
/// Words of a transfer.
const WORDS: usize = 1 << 19;
/// Most rounds of a multiply-add: loops stay below 65,535 iterations.
const MOST_ROUNDS: u32 = 32_768;

/// The floors of a device.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
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
        let start = Instant::now();
        let part = FLOORS / 5;

        let dispatch_secs = least(part, || {
            gpu.write(&uniform, &[0, 0, 0, 0]);
            gpu.dispatch(&copy, &copying, [1, 1, 1])
        })?;
        let bytes = 4.0 * WORDS as f64;
        let beyond = |secs: f64| (secs - dispatch_secs).max(1e-9);
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
        // Longer until a dispatch is ten times an empty one, or the time is up.
        let (mut rounds, mut flops_per_sec) = (4, 0.0_f64);
        let until = Instant::now() + part;
        loop {
            let begin = Instant::now();
            gpu.write(&uniform, &[0, rounds, 0, 0]);
            gpu.dispatch(&multiply_add, &adding, [widest, 1, 1])?;
            let secs = begin.elapsed().as_secs_f64();
            let flops =
                f64::from(rounds) * f64::from(FLOPS) * f64::from(THREADS) * f64::from(widest);
            flops_per_sec = flops_per_sec.max(flops / beyond(secs).max(secs / 2.0));
            let next = Instant::now() + Duration::from_secs_f64(secs * 4.0);
            if secs > 10.0 * dispatch_secs.max(1e-4) || next > until || rounds >= MOST_ROUNDS {
                break;
            }
            rounds *= 4;
        }
        Ok(Self {
            dispatch_secs,
            upload_bytes_per_sec: bytes / beyond(up),
            download_bytes_per_sec: bytes / beyond(down),
            copy_bytes_per_sec: 2.0 * bytes / beyond(copied),
            flops_per_sec,
            took_secs: start.elapsed().as_secs_f64(),
        })
    }

    fn transfer_secs(&self, work: Work) -> f64 {
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

/// A kernel's speed on both backends.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Rates {
    pub cpu_operations_per_sec: f64,
    pub gpu_operations_per_sec: f64,
    /// What a call on the device takes besides its operations and transfers.
    pub gpu_fixed_secs: f64,
}

impl Rates {
    /// Runs the kernel on both backends, from small to larger until a quarter of [`PROBE`] is spent on each.
    pub fn measure(gpu: &Gpu, calibration: &Calibration, kernel: Kernel) -> Result<Self, GpuError> {
        // Compiles, and lets threads start.
        probe(gpu, kernel, 1, Some(Backend::Gpu))?;
        probe(gpu, kernel, 1, Some(Backend::Cpu))?;
        let time = |backend, scale| {
            let start = Instant::now();
            let work = probe(gpu, kernel, scale, None)?;
            let prepared = start.elapsed();
            let start = Instant::now();
            probe(gpu, kernel, scale, Some(backend))?;
            Ok::<_, GpuError>((
                work,
                start
                    .elapsed()
                    .saturating_sub(prepared)
                    .as_secs_f64()
                    .max(1e-7),
            ))
        };
        let largest = |backend| {
            let (mut scale, mut found) = (1, time(backend, 1)?);
            // Four times the work each time.
            while found.1 * 4.0 < PROBE.as_secs_f64() / 4.0 && scale < 256 {
                scale *= 4;
                found = time(backend, scale)?;
            }
            Ok::<_, GpuError>(found)
        };
        let (work, cpu_secs) = largest(Backend::Cpu)?;
        let cpu_operations_per_sec = work.operations / cpu_secs;
        let (_, small_secs) = time(Backend::Gpu, 1)?;
        let (work, large_secs) = largest(Backend::Gpu)?;
        let gpu_fixed_secs = small_secs
            .min(large_secs / 2.0)
            .max(calibration.dispatch_secs);
        let moved = calibration.transfer_secs(work);
        let beyond = (large_secs - gpu_fixed_secs - moved).max(large_secs / 10.0);
        Ok(Self {
            cpu_operations_per_sec,
            gpu_operations_per_sec: work.operations / beyond,
            gpu_fixed_secs,
        })
    }

    /// Seconds that a piece of work takes on a backend, by these figures.
    pub fn predict(&self, calibration: &Calibration, work: Work, backend: Backend) -> f64 {
        match backend {
            Backend::Cpu => work.operations / self.cpu_operations_per_sec,
            Backend::Gpu => {
                self.gpu_fixed_secs
                    + calibration.transfer_secs(work)
                    + work.operations / self.gpu_operations_per_sec
            }
        }
    }

    /// The backend that is expected to be faster; the CPU if they are even.
    pub fn faster(&self, calibration: &Calibration, work: Work) -> Backend {
        let [cpu, gpu] =
            [Backend::Cpu, Backend::Gpu].map(|backend| self.predict(calibration, work, backend));
        if gpu < cpu {
            Backend::Gpu
        } else {
            Backend::Cpu
        }
    }

    /// The smallest size for which the device is expected to be faster, if there is one up to `most`; `work` says how
    /// much work a size is.
    pub fn crossover(
        &self,
        calibration: &Calibration,
        most: usize,
        work: impl Fn(usize) -> Work,
    ) -> Option<usize> {
        let faster = |size| self.faster(calibration, work(size)) == Backend::Gpu;
        if !faster(most) {
            return None;
        }
        let (mut below, mut above) = (0, most);
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if faster(middle) {
                above = middle
            } else {
                below = middle
            }
        }
        Some(above)
    }
}

/// A kernel's input, `scale` times as much work as the smallest, run on a backend; only made for `None`.
fn probe(
    gpu: &Gpu,
    kernel: Kernel,
    scale: usize,
    backend: Option<Backend>,
) -> Result<Work, GpuError> {
    // Sizes of a small window; pairs grow with the square.
    let side = scale.isqrt();
    let unfit = GpuError::Unsuited("a probe's own input");
    let ramp = |count: usize| {
        (0..count)
            .map(|i| (i * 7919 % 1000) as f64 / 1000.0)
            .collect::<Vec<f64>>()
    };
    match kernel {
        Kernel::RbfMmd | Kernel::PairwiseDistance => {
            let (rows, dims) = (64 * side, 16);
            let (first, second) = (ramp(rows * dims), ramp(rows * dims));
            let labels = Labels::of_rows(rows, rows, 63, 1);
            let points = match kernel {
                Kernel::RbfMmd => rbf_mmd::points(&first, &second, dims, 1.0),
                _ => pairwise_distance::points(&first, &second, dims),
            };
            let points = points.ok_or(unfit)?;
            match (kernel, backend) {
                (Kernel::RbfMmd, Some(Backend::Cpu)) => {
                    drop(black_box(rbf_mmd::fast(&points, &labels)))
                }
                (Kernel::RbfMmd, Some(Backend::Gpu)) => {
                    drop(rbf_mmd::on_gpu(gpu, &points, &labels)?)
                }
                (_, Some(Backend::Cpu)) => {
                    drop(black_box(pairwise_distance::fast(&points, &labels)))
                }
                (_, Some(Backend::Gpu)) => drop(pairwise_distance::on_gpu(gpu, &points, &labels)?),
                (_, None) => {}
            }
            Ok(Work::of_pairs(&points, &labels))
        }
        Kernel::Histogram => {
            let (values, edges) = (
                ramp(4096 * scale),
                (1..256).map(|i| f64::from(i) / 256.0).collect::<Vec<_>>(),
            );
            let column = histogram::Column {
                values: &values,
                edges: &edges,
                domain: None,
            };
            match backend {
                Some(Backend::Cpu) => drop(black_box(histogram::fast(&[column]))),
                Some(Backend::Gpu) => drop(histogram::on_gpu(gpu, &[column])?),
                None => {}
            }
            Ok(Work::of_histogram(&[column]))
        }
        Kernel::Resample => {
            let draws = 4 * scale as u32;
            let plan = resample::Plan::new(&[vec![10; 10]], 1000, 1000, draws, 1).ok_or(unfit)?;
            match backend {
                Some(Backend::Cpu) => drop(black_box(resample::fast(&plan))),
                Some(Backend::Gpu) => drop(resample::on_gpu(gpu, &plan)?),
                None => {}
            }
            Ok(Work::of_resample(&plan))
        }
        Kernel::WorstSlice => {
            let rows = 2048 * scale;
            let bins: Vec<Vec<u8>> = (1..9)
                .map(|f| (0..rows).map(|row| (row * f % 13) as u8).collect())
                .collect();
            let is_window: Vec<bool> = (0..rows).map(|row| row % 2 == 0).collect();
            let rows = worst_slice::Rows::new(bins, &is_window, &is_window).ok_or(unfit)?;
            match backend {
                Some(Backend::Cpu) => drop(black_box(worst_slice::fast(&rows))),
                Some(Backend::Gpu) => drop(worst_slice::on_gpu(gpu, &rows)?),
                None => {}
            }
            Ok(Work::of_slices(&rows))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALIBRATION: Calibration = Calibration {
        dispatch_secs: 3e-5,
        upload_bytes_per_sec: 1e9,
        download_bytes_per_sec: 1e9,
        copy_bytes_per_sec: 1e11,
        flops_per_sec: 1e13,
        took_secs: 0.0,
    };
    const RATES: Rates = Rates {
        cpu_operations_per_sec: 1e10,
        gpu_operations_per_sec: 1e12,
        gpu_fixed_secs: 1e-3,
    };

    fn work(size: usize) -> Work {
        Work {
            operations: (size * size) as f64,
            bytes_up: 0.0,
            bytes_down: 0.0,
        }
    }

    #[test]
    fn a_device_pays_from_where_its_fixed_cost_is_earned_back() {
        // size² / 1e10 = 1e-3 + size² / 1e12 at size² = 1.0101e7.
        assert_eq!(RATES.crossover(&CALIBRATION, 1 << 20, work), Some(3179));
        assert_eq!(RATES.faster(&CALIBRATION, work(3178)), Backend::Cpu);
        assert_eq!(RATES.faster(&CALIBRATION, work(3179)), Backend::Gpu);
    }

    #[test]
    fn transfers_may_cost_more_than_is_won() {
        let moved = |size: usize| Work {
            bytes_up: 8.0 * size as f64,
            operations: 8.0 * size as f64,
            bytes_down: 0.0,
        };
        assert_eq!(RATES.crossover(&CALIBRATION, 1 << 30, moved), None);
    }
}
