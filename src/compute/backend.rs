//! Which backend does a piece of work, and what happens when a device will not.
//!
//! `auto` takes the device where calibration says that it is faster, and never a software rasteriser; `gpu` takes any
//! device for everything; `cpu` asks for none. Whatever the choice, a device that is missing, refuses or is lost means
//! the CPU, with the same numbers within the kernel's tolerance, and one more on a counter. **Invariant:** a result
//! always comes, and says which backend made it. Deliberately absent: exporting the counters, which is the caller's.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::calibration::{Budget, Calibration, Rates};
use super::device::{Gpu, GpuError};
use super::labels::Labels;
use super::pair_sums::PairSums;
use super::points::Points;
use super::remembered::{self, Figures, Place};
use super::work::{Kernel, Work};
use super::{histogram, pairwise_distance, rbf_mmd, resample, worst_slice};

/// Largest size that is looked at for a crossover.
const LARGEST: usize = 1 << 24;
/// Operations beneath which `auto` does not ask for a device: a few milliseconds of a core, in which none is opened or
/// measured. Whatever was done before, so that the same work has the same backend.
const LITTLE: f64 = 5e7;

/// What made a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    Cpu,
    Gpu,
}

impl Backend {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the operator wants: `--backend auto|cpu|gpu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The faster one, by measurement.
    #[default]
    Auto,
    Cpu,
    /// Any device that there is, a software one too.
    Gpu,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            other => Err(format!("`{other}` is no backend: write auto, cpu or gpu")),
        }
    }
}

/// How often which backend ran, and how often a device would not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counters {
    pub cpu: u64,
    pub gpu: u64,
    /// Runs that were meant for a device and were done by the CPU.
    pub fallbacks: u64,
}

/// The device, if any, what was measured of it, and the counters. One for a process.
#[derive(Debug)]
pub struct Compute {
    choice: Choice,
    device: OnceLock<Result<Gpu, GpuError>>,
    calibration: OnceLock<Option<Calibration>>,
    rates: Mutex<Measured>,
    /// Where what was measured is kept.
    folder: Option<PathBuf>,
    cpu: AtomicU64,
    gpu: AtomicU64,
    fallbacks: AtomicU64,
}

/// What is known of the kernels.
#[derive(Debug, Default)]
struct Measured {
    rates: Vec<(Kernel, Option<Rates>)>,
    /// For the floors, which are measured first, and then for the kernels.
    budget: Budget,
    source: Source,
}

/// Where figures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Measured by this process.
    #[default]
    Measured,
    /// Read from a file that an earlier process wrote.
    Cached,
}

impl Compute {
    /// Nothing is opened or measured before the first piece of work that asks for it.
    pub fn new(choice: Choice) -> Self {
        Self {
            choice,
            device: OnceLock::new(),
            calibration: OnceLock::new(),
            rates: Mutex::default(),
            folder: None,
            cpu: AtomicU64::new(0),
            gpu: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
        }
    }

    /// As [`Compute::new`], and keeps what it measures in a file of this folder, from which a later process reads it: the
    /// data directory, or [`Compute::users_folder`].
    pub fn remembering(choice: Choice, folder: PathBuf) -> Self {
        Self {
            folder: Some(folder),
            ..Self::new(choice)
        }
    }

    /// The user's folder for what may be lost, if there is one.
    pub fn users_folder() -> Option<PathBuf> {
        remembered::users_folder()
    }

    /// Works with this device, whatever it is.
    pub fn with_device(choice: Choice, gpu: Gpu) -> Self {
        let compute = Self::new(choice);
        // Just made, so empty.
        let _ = compute.device.set(Ok(gpu));
        compute
    }

    pub fn choice(&self) -> Choice {
        self.choice
    }

    /// The device, opened if need be; or why there is none.
    pub fn device(&self) -> Result<&Gpu, &GpuError> {
        self.device
            .get_or_init(|| Gpu::open(self.choice == Choice::Gpu))
            .as_ref()
    }

    /// What was measured of the device, read or measured if need be. `None` without one.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration
            .get_or_init(|| {
                let gpu = self.device().ok()?;
                let mut known = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(figures) = self.place(gpu).and_then(|place| place.read()) {
                    for (kernel, rates) in &figures.rates {
                        if let Some(forms) = kernel.forms() {
                            gpu.use_subgroups(forms, rates.subgroups);
                        }
                    }
                    let some = |(kernel, rates)| (kernel, Some(rates));
                    known.rates = figures.rates.into_iter().map(some).collect();
                    known.source = Source::Cached;
                    return Some(figures.calibration);
                }
                let start = Instant::now();
                let found = Calibration::measure(gpu).ok();
                let took = found.map_or(start.elapsed().as_secs_f64(), |found| found.took_secs);
                known.budget.spend(Duration::from_secs_f64(took.max(0.0)));
                if let Some(calibration) = found {
                    tracing::info!(
                        device = gpu.facts().name,
                        ?calibration,
                        "measured the device"
                    );
                }
                found
            })
            .as_ref()
    }

    /// A kernel's speeds on both backends, read or measured if need be. `None` without a device, if it failed, or if
    /// the time for measuring is used up: the kernel then stays with the CPU.
    pub fn rates(&self, kernel: Kernel) -> Option<Rates> {
        let calibration = self.calibration()?;
        let gpu = self.device().ok()?;
        let mut known = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = known.rates.iter().find(|(known, _)| *known == kernel) {
            return *known;
        }
        let found = match known.budget.left().is_zero() {
            true => None,
            false => Rates::within(gpu, calibration, kernel, &mut known.budget)
                .ok()
                .flatten(),
        };
        known.rates.push((kernel, found));
        let from = found
            .and_then(|rates| rates.crossover(calibration, LARGEST, |size| kernel.work_at(size)));
        tracing::info!(kernel = kernel.name(), ?found, ?from, "measured the kernel");
        if let (Some(_), Some(place)) = (found, self.place(gpu)) {
            let rates = known
                .rates
                .iter()
                .filter_map(|(kernel, rates)| Some((*kernel, (*rates)?)))
                .collect();
            place.write(&Figures {
                calibration: *calibration,
                rates,
            });
        }
        found
    }

    /// Whether the floors were read or measured. Of a kernel that the file did not have they are measured all the same.
    pub fn source(&self) -> Source {
        let known = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        known.source
    }

    /// The smallest size, as [`Kernel::size_is`] counts, from which the device does a kernel's work; `None` if the CPU
    /// always does.
    pub fn crossover(&self, kernel: Kernel) -> Option<usize> {
        let (calibration, rates) = (self.calibration()?, self.rates(kernel)?);
        rates.crossover(calibration, LARGEST, |size| kernel.work_at(size))
    }

    fn place(&self, gpu: &Gpu) -> Option<Place> {
        let folder = self.folder.as_deref()?;
        Some(Place::new(folder, gpu.facts()))
    }

    /// How often which backend ran.
    pub fn counters(&self) -> Counters {
        Counters {
            cpu: self.cpu.load(Ordering::Relaxed),
            gpu: self.gpu.load(Ordering::Relaxed),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
        }
    }

    /// The backend for a piece of work.
    pub fn choose(&self, kernel: Kernel, work: Work) -> Backend {
        match self.choice {
            Choice::Cpu => Backend::Cpu,
            Choice::Gpu => Backend::Gpu,
            Choice::Auto if work.operations < LITTLE => Backend::Cpu,
            // Without a device there is nothing to measure.
            Choice::Auto => match (self.calibration(), self.rates(kernel)) {
                (Some(calibration), Some(rates)) => rates.faster(calibration, work),
                _ => Backend::Cpu,
            },
        }
    }

    /// Does a piece of work where it belongs, on the CPU if the device will not.
    fn run<T>(
        &self,
        kernel: Kernel,
        work: Work,
        cpu: impl FnOnce() -> T,
        gpu: impl FnOnce(&Gpu) -> Result<T, GpuError>,
    ) -> (T, Backend) {
        if self.choose(kernel, work) == Backend::Gpu {
            let start = Instant::now();
            match self.device().map_err(Clone::clone).and_then(gpu) {
                Ok(found) => {
                    self.gpu.fetch_add(1, Ordering::Relaxed);
                    return (found, Backend::Gpu);
                }
                Err(why) => {
                    let lost_secs = start.elapsed().as_secs_f64();
                    tracing::warn!(kernel = kernel.name(), %why, lost_secs, "the CPU does what the device would not");
                    self.fallbacks.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.cpu.fetch_add(1, Ordering::Relaxed);
        (cpu(), Backend::Cpu)
    }

    /// [`rbf_mmd::fast`] or [`rbf_mmd::on_gpu`]. `None` if labels are for another number of rows.
    pub fn rbf_mmd(&self, points: &Points, labels: &Labels) -> Option<(Vec<PairSums>, Backend)> {
        let work = Work::of_pairs(points, labels);
        let (found, backend) = self.run(
            Kernel::RbfMmd,
            work,
            || rbf_mmd::fast(points, labels),
            |gpu| rbf_mmd::on_gpu(gpu, points, labels).map(Some),
        );
        Some((found?, backend))
    }

    /// [`pairwise_distance::fast`] or its device's side. `None` if labels are for another number of rows.
    pub fn pairwise_distance(
        &self,
        points: &Points,
        labels: &Labels,
    ) -> Option<(Vec<PairSums>, Backend)> {
        let work = Work::of_pairs(points, labels);
        let (found, backend) = self.run(
            Kernel::PairwiseDistance,
            work,
            || pairwise_distance::fast(points, labels),
            |gpu| pairwise_distance::on_gpu(gpu, points, labels).map(Some),
        );
        Some((found?, backend))
    }

    /// [`histogram::fast`] or its device's side.
    pub fn histogram(
        &self,
        columns: &[histogram::Column<'_>],
    ) -> (Vec<histogram::Counts>, Backend) {
        self.run(
            Kernel::Histogram,
            Work::of_histogram(columns),
            || histogram::fast(columns),
            |gpu| histogram::on_gpu(gpu, columns),
        )
    }

    /// [`resample::fast`] or its device's side.
    pub fn resample(&self, plan: &resample::Plan) -> (resample::Scores, Backend) {
        self.run(
            Kernel::Resample,
            Work::of_resample(plan),
            || resample::fast(plan),
            |gpu| resample::on_gpu(gpu, plan),
        )
    }

    /// [`worst_slice::fast`] or its device's side.
    pub fn worst_slice(&self, rows: &worst_slice::Rows) -> (worst_slice::Counts, Backend) {
        self.run(
            Kernel::WorstSlice,
            Work::of_slices(rows),
            || worst_slice::fast(rows),
            |gpu| worst_slice::on_gpu(gpu, rows),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_words() {
        assert_eq!("gpu".parse(), Ok(Choice::Gpu));
        let refused = "cuda".parse::<Choice>();
        assert_eq!(
            refused,
            Err("`cuda` is no backend: write auto, cpu or gpu".to_owned())
        );
    }

    #[test]
    fn the_cpu_is_asked_for_nothing_else() {
        let compute = Compute::new(Choice::Cpu);
        let points = rbf_mmd::points(&[0.0, 1.0], &[2.0, 3.0], 1, 1.0).expect("rows");
        let labels = Labels::of_rows(2, 2, 1, 0);
        let (_, backend) = compute.rbf_mmd(&points, &labels).expect("as many labels");
        assert_eq!(backend, Backend::Cpu);
        assert!(compute.device.get().is_none(), "no device was opened");
        let counters = Counters {
            cpu: 1,
            gpu: 0,
            fallbacks: 0,
        };
        assert_eq!(compute.counters(), counters);
    }

    #[test]
    fn no_device_is_opened_for_little_work() {
        let compute = Compute::new(Choice::Auto);
        for _ in 0..100 {
            let work = Kernel::RbfMmd.work_at(100);
            assert_eq!(compute.choose(Kernel::RbfMmd, work), Backend::Cpu);
        }
        assert!(compute.device.get().is_none(), "no device was opened");
    }
}
