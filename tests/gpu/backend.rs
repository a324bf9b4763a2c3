//! The choice between backends, calibration, and what happens when a device is lost.

use std::time::Duration;

use driftline::compute::backend::{Backend, Choice, Compute, Counters, Source};
use driftline::compute::calibration::{BUDGET, Budget, Calibration, Rates};
use driftline::compute::device::Gpu;
use driftline::compute::histogram::Column;
use driftline::compute::labels::Labels;
use driftline::compute::work::Kernel;
use driftline::compute::{rbf_mmd, resample, worst_slice};

use crate::{device, noise};

/// Every call of `compute` gives the CPU's numbers; returns the backends that gave them.
fn all_kernels(compute: &Compute) -> Vec<Backend> {
    let points = rbf_mmd::points(&noise(60, 1), &noise(80, 2), 2, 1.0).expect("rows of two");
    let labels = Labels::of_rows(30, 40, 9, 3);
    let (sums, rbf) = compute.rbf_mmd(&points, &labels).expect("as many labels");
    let expect = rbf_mmd::fast(&points, &labels).expect("as many labels");
    assert!((sums[0].across - expect[0].across).abs() < 1200.0 * 2.0 * rbf_mmd::KERNEL_TOLERANCE);
    let (_, distance) = compute
        .pairwise_distance(&points, &labels)
        .expect("as many labels");
    let values = noise(500, 4);
    let column = Column {
        values: &values,
        edges: &[-0.5, 0.0, 0.5],
        domain: None,
    };
    let (counts, histogram) = compute.histogram(&[column]);
    assert_eq!(counts, driftline::compute::histogram::plain(&[column]));
    let plan = resample::Plan::new(&[vec![3, 4, 5]], 100, 50, 4, 6).expect("within limits");
    let (scores, resampled) = compute.resample(&plan);
    assert_eq!(scores.values.len(), 4);
    let rows = worst_slice::Rows::new(vec![vec![1; 90]], &[true; 90], &[false; 90]).expect("rows");
    let (slices, worst) = compute.worst_slice(&rows);
    assert_eq!(slices, worst_slice::plain(&rows));
    vec![rbf, distance, histogram, resampled, worst]
}

#[test]
fn gpu_takes_any_device_for_everything_until_it_is_lost() {
    if device().is_none() {
        return;
    }
    let compute = Compute::with_device(Choice::Gpu, Gpu::open(true).expect("there is one"));
    assert_eq!(all_kernels(&compute), [Backend::Gpu; 5]);
    compute.device().expect("just used").lose();
    assert_eq!(all_kernels(&compute), [Backend::Cpu; 5]);
    let counters = Counters {
        cpu: 5,
        gpu: 5,
        fallbacks: 5,
    };
    assert_eq!(compute.counters(), counters);
}

#[test]
fn auto_leaves_a_software_device_alone() {
    let Some(gpu) = device() else { return };
    if !gpu.facts().is_cpu {
        return;
    }
    // None that `auto` would take is here, or one that is no CPU.
    if let Ok(found) = Gpu::open(false) {
        assert!(!found.facts().is_cpu);
    } else {
        let compute = Compute::new(Choice::Auto);
        // Looked for now, as for much work: for little it would not be.
        assert!(compute.device().is_err());
        assert_eq!(all_kernels(&compute), [Backend::Cpu; 5]);
        assert_eq!(compute.counters().fallbacks, 0);
    }
}

#[test]
fn calibration_gives_figures_that_make_sense() {
    if device().is_none() {
        return;
    }
    let gpu = Gpu::open(true).expect("there is one");
    let calibration = Calibration::measure(&gpu).expect("the device runs");
    let figures = [
        calibration.dispatch_secs,
        calibration.upload_bytes_per_sec,
        calibration.download_bytes_per_sec,
        calibration.copy_bytes_per_sec,
        calibration.flops_per_sec,
    ];
    assert!(
        figures
            .iter()
            .all(|figure| figure.is_finite() && *figure > 0.0),
        "{calibration:?}"
    );
    // Asked of the clock without a bound: machines stall. It must be seconds away from a mistake of a thousand.
    assert!(
        calibration.took_secs < 100.0 * BUDGET.as_secs_f64(),
        "{calibration:?}"
    );
    for kernel in Kernel::ALL {
        let rates = Rates::measure(&gpu, &calibration, kernel).expect("the device runs");
        let speeds = [
            rates.cpu_operations_per_sec,
            rates.gpu_operations_per_sec,
            rates.gpu_fixed_secs,
        ];
        assert!(
            speeds.iter().all(|speed| speed.is_finite() && *speed > 0.0),
            "{}: {rates:?}",
            kernel.name()
        );
    }
}

/// The device goes while it works: whenever that is, the result comes, it is right, and the loss is counted once.
#[test]
fn a_device_lost_in_the_middle_costs_no_result() {
    if device().is_none() {
        return;
    }
    let points = rbf_mmd::points(&noise(8000, 1), &noise(8000, 2), 8, 2.0).expect("rows of eight");
    let labels = Labels::of_rows(1000, 1000, 99, 3);
    let expect = rbf_mmd::fast(&points, &labels).expect("as many labels");
    let mut lost_in_time = 0;
    for wait_millis in [0, 1, 5, 20] {
        let compute = Compute::with_device(Choice::Gpu, Gpu::open(true).expect("there is one"));
        // Compiled before the clock starts.
        let few = rbf_mmd::points(&[0.0, 1.0], &[2.0, 3.0], 1, 1.0).expect("rows");
        compute
            .rbf_mmd(&few, &Labels::of_rows(2, 2, 1, 0))
            .expect("as many labels");
        let (sums, backend) = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(wait_millis));
                compute.device().expect("just used").lose();
            });
            compute.rbf_mmd(&points, &labels).expect("as many labels")
        });
        for (found, expect) in sums.iter().zip(&expect) {
            let bound = 1e6 * 2.0 * rbf_mmd::KERNEL_TOLERANCE;
            assert!((found.across - expect.across).abs() <= bound, "{found:?}");
        }
        let Counters {
            cpu,
            gpu,
            fallbacks,
        } = compute.counters();
        let fell_back = u64::from(backend == Backend::Cpu);
        assert_eq!((cpu, gpu, fallbacks), (fell_back, 2 - fell_back, fell_back));
        lost_in_time += fell_back;
        // And it stays with the CPU.
        let (_, after) = compute
            .rbf_mmd(&few, &Labels::of_rows(2, 2, 1, 0))
            .expect("as many labels");
        assert_eq!(after, Backend::Cpu);
    }
    assert!(lost_in_time > 0, "no device was lost while it worked");
}

#[test]
fn what_was_measured_is_read_by_the_next_process() {
    if device().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        let compute = Compute::remembering(Choice::Gpu, folder.path().to_owned());
        let calibration = *compute.calibration().expect("a device that runs");
        (compute, calibration)
    };
    let (first, measured) = open();
    assert_eq!(first.source(), Source::Measured);
    let rates = first.rates(Kernel::WorstSlice);
    let (second, read) = open();
    match rates {
        Some(rates) => {
            assert_eq!((second.source(), read), (Source::Cached, measured));
            assert_eq!(second.rates(Kernel::WorstSlice), Some(rates));
            assert_eq!(
                second.crossover(Kernel::WorstSlice),
                first.crossover(Kernel::WorstSlice)
            );
        }
        // A machine so slow that the budget was spent before: nothing is kept, and the CPU does it.
        None => assert_eq!(second.source(), Source::Measured),
    }
    // What is broken is measured anew.
    for entry in std::fs::read_dir(folder.path()).expect("the folder") {
        std::fs::write(entry.expect("a file").path(), "{").expect("written");
    }
    assert_eq!(open().0.source(), Source::Measured);
}

/// What does not fit the time is not begun, and the rest of it is forfeited.
#[test]
fn a_spent_budget_measures_nothing() {
    if device().is_none() {
        return;
    }
    let gpu = Gpu::open(true).expect("there is one");
    let calibration = Calibration::measure(&gpu).expect("the device runs");
    for (left, measured) in [
        (Duration::ZERO, false),
        (Duration::from_nanos(1), false),
        (Duration::MAX, true),
    ] {
        let mut budget = Budget::new(left);
        let found = Rates::within(&gpu, &calibration, Kernel::Resample, &mut budget)
            .expect("the device runs");
        assert_eq!(found.is_some(), measured, "{left:?}");
        assert_eq!(budget.left().is_zero(), !measured);
    }
}
