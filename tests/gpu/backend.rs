//! The choice between backends, calibration, and what happens when a device is lost.

use driftline::compute::backend::{Backend, Choice, Compute, Counters};
use driftline::compute::calibration::{BUDGET, Calibration, Rates};
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
