//! `driftline gpu`: the device, what was measured of it, and from which sizes on it is used.

use std::io::Write;

use serde_json::json;

use crate::compute::backend::{Choice, Compute, Source};
use crate::compute::work::Kernel;

/// What `driftline gpu` takes.
#[derive(Debug, clap::Args)]
pub struct GpuArguments {
    /// Which devices count: `auto` leaves software devices out, `gpu` takes any.
    #[arg(long, value_name = "auto|gpu", default_value = "gpu")]
    backend: Choice,
    /// Measure anew, whatever an earlier run has kept in the user's cache.
    #[arg(long)]
    measure: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints adapter, limits, features, calibration and crossovers. That there is no device is an answer, no failure.
pub fn run(arguments: &GpuArguments, out: &mut impl Write) -> anyhow::Result<()> {
    let compute = match Compute::users_folder() {
        Some(folder) if !arguments.measure => Compute::remembering(arguments.backend, folder),
        _ => Compute::new(arguments.backend),
    };
    let facts = match compute.device() {
        Ok(gpu) => gpu.facts().clone(),
        Err(why) => {
            match arguments.json {
                true => writeln!(out, "{}", json!({"adapter": null, "why": why.to_string()}))?,
                false => writeln!(out, "{why}\nEverything runs on the CPU.")?,
            }
            return Ok(());
        }
    };
    let calibration = compute.calibration().copied();
    let rates: Vec<_> = Kernel::ALL
        .map(|kernel| (kernel, compute.rates(kernel)))
        .into();
    if arguments.json {
        let kernels: Vec<_> = rates
            .iter()
            .map(|(kernel, rates)| {
                json!({"kernel": kernel, "size_is": kernel.size_is(), "rates": rates, "crossover": compute.crossover(*kernel)})
            })
            .collect();
        let all = json!({"adapter": facts, "calibration": calibration, "source": compute.source(), "kernels": kernels});
        writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        return Ok(());
    }
    writeln!(
        out,
        "{}: {}, {}, driver {}",
        facts.name, facts.kind, facts.api, facts.driver
    )?;
    if facts.is_cpu {
        writeln!(out, "  a device in software: `auto` leaves it alone")?;
    }
    writeln!(
        out,
        "  buffers up to {} MiB, bindings {} MiB, workgroup memory {} KiB, {} invocations, {} workgroups a dimension",
        facts.max_buffer_bytes >> 20,
        facts.max_binding_bytes >> 20,
        facts.max_workgroup_memory_bytes >> 10,
        facts.max_workgroup_invocations,
        facts.max_workgroups_per_dimension
    )?;
    let [least, most] = facts.subgroup_sizes;
    writeln!(
        out,
        "  subgroups of {least} to {most}; features: {}",
        facts.features.join(" ")
    )?;
    let Some(calibration) = calibration else {
        writeln!(out, "It could not be measured; everything runs on the CPU.")?;
        return Ok(());
    };
    writeln!(
        out,
        "{}: dispatch {:.0} µs, up {:.2} GB/s, down {:.2} GB/s, copy {:.1} GB/s, {:.1} GFLOP/s",
        match compute.source() {
            Source::Measured => format!("Measured in {:.0} ms", calibration.took_secs * 1e3),
            Source::Cached => "Measured by an earlier run (`--measure` does it again)".to_owned(),
        },
        calibration.dispatch_secs * 1e6,
        calibration.upload_bytes_per_sec * 1e-9,
        calibration.download_bytes_per_sec * 1e-9,
        calibration.copy_bytes_per_sec * 1e-9,
        calibration.flops_per_sec * 1e-9
    )?;
    for (kernel, rates) in rates {
        let Some(rates) = rates else {
            writeln!(
                out,
                "{:18} not measured, for want of time or because it failed: always the CPU",
                kernel.name()
            )?;
            continue;
        };
        let from = match compute.crossover(kernel) {
            Some(size) => format!("the device from {size}"),
            None => "always the CPU".to_owned(),
        };
        writeln!(
            out,
            "{:18} CPU {:7.2} Gop/s, device {:7.2} Gop/s + {:.2} ms{}: {from} ({})",
            kernel.name(),
            rates.cpu_operations_per_sec * 1e-9,
            rates.gpu_operations_per_sec * 1e-9,
            rates.gpu_fixed_secs * 1e3,
            if rates.subgroups {
                ", by subgroups"
            } else {
                ""
            },
            kernel.size_is()
        )?;
    }
    Ok(())
}
