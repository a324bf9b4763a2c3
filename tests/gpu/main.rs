//! Every kernel on a device against its CPU twin, and every shader against the Rust that feeds it.
//!
//! Any adapter serves, also a software one (Debian's `mesa-vulkan-drivers`). `GPU_TESTS=require` makes its absence a
//! failure, which is what `tests/run` asks for where the driver could be installed; `GPU_TESTS=skip` leaves these tests
//! out; otherwise their absence is said in words. Checks of the shaders' text need no device and always run.

mod backend;
mod counts;
mod golden;
mod law;
mod pairs;
mod shaders;

use std::sync::OnceLock;

use driftline::compute::device::{Gpu, GpuError};
use driftline::compute::work::Kernel;

/// The device of all tests, opened once; `None` where tests do without, which is said.
fn device() -> Option<&'static Gpu> {
    static DEVICE: OnceLock<Option<Gpu>> = OnceLock::new();
    let open = || {
        let wish = std::env::var("GPU_TESTS").unwrap_or_default();
        if wish == "skip" {
            eprintln!("SKIPPED: GPU_TESTS says skip");
            return None;
        }
        match Gpu::open(true) {
            Ok(gpu) => {
                eprintln!("on {} ({})", gpu.facts().name, gpu.facts().driver);
                Some(gpu)
            }
            Err(why) if wish == "require" => panic!("GPU_TESTS says require: {why}"),
            Err(why) => {
                eprintln!("SKIPPED: {why}");
                None
            }
        }
    };
    DEVICE.get_or_init(open).as_ref()
}

/// A device on which the second forms of kernels run, opened once; `None` where tests do without, which is said.
fn second_forms() -> Option<&'static Gpu> {
    static DEVICE: OnceLock<Option<Gpu>> = OnceLock::new();
    let open = || {
        device()?;
        let gpu = Gpu::open(true).expect("there is one");
        if !gpu.has_subgroups() {
            eprintln!(
                "SKIPPED: second forms, {} has no subgroups of one size",
                gpu.facts().name
            );
            return None;
        }
        for forms in Kernel::ALL.into_iter().filter_map(Kernel::forms) {
            gpu.use_subgroups(forms, true);
        }
        Some(gpu)
    };
    DEVICE.get_or_init(open).as_ref()
}

/// Numbers that look random and are the same every time, between −1.5 and 1.5.
fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| next() + next() + next() - 1.5).collect()
}

/// A device of one's own can be lost without harm to the others.
#[test]
fn a_lost_device_fails_and_stays_lost() {
    if device().is_none() {
        return;
    }
    use driftline::compute::{labels::Labels, rbf_mmd};
    let gpu = Gpu::open(true).expect("there is one");
    let points = rbf_mmd::points(&noise(40, 1), &noise(40, 2), 2, 1.0).expect("rows of two");
    let labels = Labels::of_rows(20, 20, 3, 1);
    rbf_mmd::on_gpu(&gpu, &points, &labels).expect("it runs");
    gpu.lose();
    for _ in 0..2 {
        let failed = rbf_mmd::on_gpu(&gpu, &points, &labels);
        assert!(matches!(failed, Err(GpuError::Lost(_))), "{failed:?}");
        assert!(gpu.is_lost());
    }
}
