//! How fast a kernel is on both backends, and from which size on the device is faster.
//!
//! Measured by running it on made-up input, from small to larger, within what is left of the budget
//! ([`super::calibration`]). Between the sizes that were measured, and beyond, time is taken for a fixed part plus one
//! that grows with operations and bytes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::calibration::{Budget, Calibration};
use super::device::{Gpu, GpuError};
use super::labels::Labels;
use super::subgroups::Forms;
use super::work::{Kernel, Work};
use super::{histogram, pairwise_distance, rbf_mmd, resample, worst_slice};

/// For one kernel's probe: five of them and the floors stay within the budget.
const PROBE: Duration = Duration::from_millis(25);
/// Most work of a probe, in units of the smallest; more would need more time to make its input than to be probed.
const LARGEST: usize = 256;
/// The same of redraws, which have next to no input: so many that a device takes its time for them, not for a dispatch.
const MOST_REDRAWS: usize = 1 << 16;
/// The share of the second form's speed that the first must stay below for the second to be used: less is noise.
const WORTH_IT: f64 = 0.95;
/// Seconds below which a probe is run twice.
const SHORT: f64 = 2e-3;

/// A kernel's speed on both backends.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Rates {
    pub cpu_operations_per_sec: f64,
    pub gpu_operations_per_sec: f64,
    /// What a call on the device takes besides its operations and transfers.
    pub gpu_fixed_secs: f64,
    /// Whether the kernel's second form is the faster one.
    pub subgroups: bool,
}

impl Rates {
    /// [`Rates::within`] with all the time it may want.
    pub fn measure(gpu: &Gpu, calibration: &Calibration, kernel: Kernel) -> Result<Self, GpuError> {
        let mut budget = Budget::new(Duration::MAX);
        let found = Self::within(gpu, calibration, kernel, &mut budget)?;
        found.ok_or(GpuError::Unsuited("a budget without end has ended"))
    }

    /// Runs the kernel on both backends, from small to larger until a quarter of [`PROBE`] is spent on each, and in its
    /// second form, if it has one that the device can run: the faster form is the one that runs from then on.
    /// `None`, and the budget spent, if the next measurement would not have fitted into it.
    pub fn within(
        gpu: &Gpu,
        calibration: &Calibration,
        kernel: Kernel,
        budget: &mut Budget,
    ) -> Result<Option<Self>, GpuError> {
        let forms = kernel.forms().filter(|_| gpu.has_subgroups());
        // Compiles, and lets threads start: what would be needed anyway.
        for with in [true, false] {
            if let Some(forms) = forms {
                gpu.use_subgroups(forms, with);
            }
            probe(gpu, kernel, 1, Backend::Gpu)?;
        }
        probe(gpu, kernel, 1, Backend::Cpu)?;
        let measured = Self::on_both(gpu, calibration, kernel, forms, budget);
        if !matches!(measured, Ok(Some(_))) {
            *budget = Budget::new(Duration::ZERO);
            if let Some(forms) = forms {
                gpu.use_subgroups(forms, false);
            }
        }
        measured
    }

    fn on_both(
        gpu: &Gpu,
        calibration: &Calibration,
        kernel: Kernel,
        forms: Option<&'static Forms>,
        budget: &mut Budget,
    ) -> Result<Option<Self>, GpuError> {
        let mut stopwatch = Stopwatch {
            gpu,
            kernel,
            budget,
        };
        let Some((work, cpu_secs)) = stopwatch.largest(Backend::Cpu)? else {
            return Ok(None);
        };
        let cpu_operations_per_sec = work.operations / cpu_secs;
        let Some((_, small_secs)) = stopwatch.time(Backend::Gpu, 1, Duration::ZERO)? else {
            return Ok(None);
        };
        let Some((mut work, mut large_secs)) = stopwatch.largest(Backend::Gpu)? else {
            return Ok(None);
        };
        let mut subgroups = false;
        if let Some(forms) = forms {
            gpu.use_subgroups(forms, true);
            let Some((second_work, second_secs)) = stopwatch.largest(Backend::Gpu)? else {
                return Ok(None);
            };
            // By speed: the largest size need not be the same.
            let [first, second] = [
                work.operations / large_secs,
                second_work.operations / second_secs,
            ];
            subgroups = first < WORTH_IT * second;
            gpu.use_subgroups(forms, subgroups);
            if subgroups {
                (work, large_secs) = (second_work, second_secs);
            }
        }
        let gpu_fixed_secs = small_secs
            .min(large_secs / 2.0)
            .max(calibration.dispatch_secs);
        let moved = calibration.transfer_secs(work);
        let beyond = (large_secs - gpu_fixed_secs - moved).max(large_secs / 10.0);
        Ok(Some(Self {
            cpu_operations_per_sec,
            gpu_operations_per_sec: work.operations / beyond,
            gpu_fixed_secs,
            subgroups,
        }))
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

/// Times probes, and keeps the budget.
struct Stopwatch<'a> {
    gpu: &'a Gpu,
    kernel: Kernel,
    budget: &'a mut Budget,
}

impl Stopwatch<'_> {
    /// What a probe of this scale takes, making its input apart. `None` if what is expected does not fit the budget.
    fn time(
        &mut self,
        backend: Backend,
        scale: usize,
        expected: Duration,
    ) -> Result<Option<(Work, f64)>, GpuError> {
        if !self.budget.allows(expected) {
            return Ok(None);
        }
        let start = Instant::now();
        let (work, mut secs) = probe(self.gpu, self.kernel, scale, backend)?;
        // A thread that had to be woken, or a device that had gone to sleep, is not what a longer run is like.
        if secs < SHORT {
            secs = secs.min(probe(self.gpu, self.kernel, scale, backend)?.1);
        }
        self.budget.spend(start.elapsed());
        let secs = secs.max(1e-7);
        Ok(Some((work, secs)))
    }

    /// The largest scale that stays within a quarter of [`PROBE`], four times the work each time.
    fn largest(&mut self, backend: Backend) -> Result<Option<(Work, f64)>, GpuError> {
        let most = match self.kernel {
            Kernel::Resample => MOST_REDRAWS,
            _ => LARGEST,
        };
        let mut scale = 1;
        let mut found = self.time(backend, scale, Duration::ZERO)?;
        while let Some((_, secs)) = found {
            let expected = Duration::from_secs_f64(4.0 * secs);
            if expected >= PROBE / 4 || scale >= most {
                break;
            }
            scale *= 4;
            // Twice: the input takes time too.
            found = self.time(backend, scale, 2 * expected)?;
        }
        Ok(found)
    }
}

/// A kernel's input, `scale` times as much work as the smallest, run on a backend: the work, and the seconds that it
/// took, making the input apart.
fn probe(
    gpu: &Gpu,
    kernel: Kernel,
    scale: usize,
    backend: Backend,
) -> Result<(Work, f64), GpuError> {
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
            let start = Instant::now();
            match (kernel, backend) {
                (Kernel::RbfMmd, Backend::Cpu) => drop(black_box(rbf_mmd::fast(&points, &labels))),
                (Kernel::RbfMmd, Backend::Gpu) => drop(rbf_mmd::on_gpu(gpu, &points, &labels)?),
                (_, Backend::Cpu) => drop(black_box(pairwise_distance::fast(&points, &labels))),
                (_, Backend::Gpu) => drop(pairwise_distance::on_gpu(gpu, &points, &labels)?),
            }
            Ok((
                Work::of_pairs(&points, &labels),
                start.elapsed().as_secs_f64(),
            ))
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
            let start = Instant::now();
            match backend {
                Backend::Cpu => drop(black_box(histogram::fast(&[column]))),
                Backend::Gpu => drop(histogram::on_gpu(gpu, &[column])?),
            }
            Ok((Work::of_histogram(&[column]), start.elapsed().as_secs_f64()))
        }
        Kernel::Resample => {
            let draws = 4 * scale as u32;
            let plan = resample::Plan::new(&[vec![10; 10]], 1000, 1000, draws, 1).ok_or(unfit)?;
            let start = Instant::now();
            match backend {
                Backend::Cpu => drop(black_box(resample::fast(&plan))),
                Backend::Gpu => drop(resample::on_gpu(gpu, &plan)?),
            }
            Ok((Work::of_resample(&plan), start.elapsed().as_secs_f64()))
        }
        Kernel::WorstSlice => {
            let rows = 2048 * scale;
            let bins: Vec<Vec<u8>> = (1..9)
                .map(|f| (0..rows).map(|row| (row * f % 13) as u8).collect())
                .collect();
            let is_window: Vec<bool> = (0..rows).map(|row| row % 2 == 0).collect();
            let rows = worst_slice::Rows::new(bins, &is_window, &is_window).ok_or(unfit)?;
            let start = Instant::now();
            match backend {
                Backend::Cpu => drop(black_box(worst_slice::fast(&rows))),
                Backend::Gpu => drop(worst_slice::on_gpu(gpu, &rows)?),
            }
            Ok((Work::of_slices(&rows), start.elapsed().as_secs_f64()))
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
        subgroups: false,
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
