//! The ways to a device, what an adapter says of itself, and which of several is the best.

use std::sync::OnceLock;

/// A way to devices.
#[derive(Debug, Clone, Copy)]
pub(super) enum Api {
    Vulkan,
    Gl,
}

impl Api {
    pub fn backends(self) -> wgpu::Backends {
        match self {
            Self::Vulkan => wgpu::Backends::VULKAN,
            Self::Gl => wgpu::Backends::GL,
        }
    }

    /// One for the process, and never let go: with the last instance the driver is unloaded, and a thread that has once
    /// called it then ends in what is not there any more. With NVIDIA's (580) that is the end of the process.
    pub fn instance(self) -> &'static wgpu::Instance {
        static VULKAN: OnceLock<wgpu::Instance> = OnceLock::new();
        static GL: OnceLock<wgpu::Instance> = OnceLock::new();
        let cell = match self {
            Self::Vulkan => &VULKAN,
            Self::Gl => &GL,
        };
        cell.get_or_init(|| {
            let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
            descriptor.backends = self.backends();
            wgpu::Instance::new(descriptor)
        })
    }
}

/// What an adapter says of itself.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AdapterFacts {
    pub name: String,
    /// `DiscreteGpu`, `IntegratedGpu`, `VirtualGpu`, `Cpu` or `Other`.
    pub kind: String,
    pub api: String,
    pub driver: String,
    /// True for a software rasteriser.
    pub is_cpu: bool,
    pub max_buffer_bytes: u64,
    pub max_binding_bytes: u64,
    pub max_workgroup_memory_bytes: u32,
    pub max_workgroup_invocations: u32,
    pub max_workgroups_per_dimension: u32,
    pub subgroup_sizes: [u32; 2],
    pub features: Vec<String>,
}

/// Which adapter comes first.
pub(super) fn rank(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

pub(super) fn facts(adapter: &wgpu::Adapter, limits: &wgpu::Limits) -> AdapterFacts {
    let info = adapter.get_info();
    AdapterFacts {
        is_cpu: info.device_type == wgpu::DeviceType::Cpu,
        kind: format!("{:?}", info.device_type),
        api: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .to_owned(),
        name: info.name,
        max_buffer_bytes: limits.max_buffer_size,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
        max_workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        max_workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
        subgroup_sizes: [info.subgroup_min_size, info.subgroup_max_size],
        features: adapter
            .features()
            .iter_names()
            .map(|(name, _)| name.to_owned())
            .collect(),
    }
}
