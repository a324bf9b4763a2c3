//! The device: an adapter opened with its real limits, its pipelines, and one way to run a dispatch.
//!
//! Kernels hand over words and get words back; nothing else here knows what they mean. A dispatch is awaited, so that
//! no more than one is under way and each is short ([`Gpu::in_steps`]): drivers kill what holds a screen too long.
//! **Invariant:** nothing here panics on what a driver does. Errors that wgpu reports on the side are kept and make the
//! next wait fail; a device that failed once is never used again. Deliberately absent: queues of work.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::adapter::{self, AdapterFacts, Api};
use super::subgroups::{self, Forms};

/// What a step should take: half of the 100 ms that no dispatch may exceed.
const STEP_TARGET: Duration = Duration::from_millis(50);
/// Bytes of a buffer for reading that is kept.
const MOST_KEPT: u64 = 1 << 26;
/// Operations of a first step on a device that is not in software.
const FIRST_OPERATIONS: f64 = 2e9;
/// How many times as much work as the step before a step may have. Time grows no faster than work, so that a target kept
/// by the last step's measure is kept; this is for measures that are wrong.
const GROWTH: u64 = 4;
/// Longest wait for one dispatch. Drivers give up after 2 to 10 s themselves; later it is taken for lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why something did not run on a device. Every one of these sends the work to the CPU.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GpuError {
    /// No adapter, or none of the kind that was asked for.
    #[error("no adapter: {0}")]
    Missing(String),
    /// The device was lost, or refused something. It is not asked again.
    #[error("the device failed: {0}")]
    Lost(String),
    /// The work does not fit the device's limits.
    #[error("{what} needs {needed} bytes, and the device has {limit}")]
    TooLarge {
        what: &'static str,
        needed: u64,
        limit: u64,
    },
    /// The input is not one that the kernel is for.
    #[error("{0}")]
    Unsuited(&'static str),
}

/// A shader and what its text is made of.
#[derive(Debug)]
pub struct Shader {
    /// Stem of its file under `shaders/` and of its twin here.
    pub name: &'static str,
    /// WGSL, in the order in which it is put together.
    pub parts: &'static [&'static str],
}

impl Shader {
    /// The whole text.
    pub fn source(&self) -> String {
        self.parts.concat()
    }
}

/// An open device.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    facts: AdapterFacts,
    pipelines: Mutex<HashMap<(&'static str, &'static str), wgpu::ComputePipeline>>,
    has_subgroups: bool,
    /// Names of the shaders whose second form is to run.
    with_subgroups: Mutex<HashSet<&'static str>>,
    /// For reading; `None` while it is in use.
    staging: Mutex<Option<wgpu::Buffer>>,
    trouble: Arc<Trouble>,
    /// Nanoseconds in dispatches, from handing over to the end.
    busy_nanos: AtomicU64,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

/// What went wrong, as told by callbacks on whatever thread.
#[derive(Debug, Default)]
struct Trouble {
    any: AtomicBool,
    first: Mutex<Option<String>>,
}

impl Trouble {
    fn note(&self, what: String) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(what);
        self.any.store(true, Ordering::Release);
    }

    fn check(&self) -> Result<(), GpuError> {
        if !self.any.load(Ordering::Acquire) {
            return Ok(());
        }
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        Err(GpuError::Lost(first.clone().unwrap_or_default()))
    }
}

/// A buffer on the device.
#[derive(Debug)]
pub(crate) struct Words {
    buffer: wgpu::Buffer,
    words: usize,
}

impl Gpu {
    /// Opens the best adapter: Vulkan first (asking for GL makes it write to standard error), discrete before
    /// integrated before virtual; software rasterisers only if `accept_cpu`.
    pub fn open(accept_cpu: bool) -> Result<Self, GpuError> {
        let mut refused = Vec::new();
        for api in [Api::Vulkan, Api::Gl] {
            let mut adapters = block_on(api.instance().enumerate_adapters(api.backends()));
            adapters.sort_by_key(|adapter| adapter::rank(&adapter.get_info()));
            for adapter in adapters {
                let info = adapter.get_info();
                if info.device_type == wgpu::DeviceType::Cpu && !accept_cpu {
                    refused.push(format!("{} is a CPU", info.name));
                    continue;
                }
                if adapter.limits().max_compute_invocations_per_workgroup < 256 {
                    refused.push(format!("{} has no compute shaders to speak of", info.name));
                    continue;
                }
                match Self::of_adapter(&adapter) {
                    Ok(gpu) => return Ok(gpu),
                    Err(why) => refused.push(format!("{}: {why}", info.name)),
                }
            }
        }
        Err(GpuError::Missing(match refused.is_empty() {
            true => "neither Vulkan nor GL has any".to_owned(),
            false => refused.join("; "),
        }))
    }

    fn of_adapter(adapter: &wgpu::Adapter) -> Result<Self, GpuError> {
        let limits = adapter.limits();
        let facts = adapter::facts(adapter, &limits);
        let has_subgroups = adapter.features().contains(wgpu::Features::SUBGROUP)
            && subgroups::usable(facts.subgroup_sizes);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("driftline"),
            required_features: match has_subgroups {
                true => wgpu::Features::SUBGROUP,
                false => wgpu::Features::empty(),
            },
            required_limits: limits,
            ..Default::default()
        };
        let opened = block_on(adapter.request_device(&descriptor));
        let (device, queue) = opened.map_err(|why| GpuError::Missing(why.to_string()))?;
        let trouble = Arc::new(Trouble::default());
        let note = Arc::clone(&trouble);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            note.note(error.to_string())
        }));
        let note = Arc::clone(&trouble);
        device.set_device_lost_callback(move |reason, message| {
            note.note(format!("{reason:?}: {message}"))
        });
        Ok(Self {
            device,
            queue,
            facts,
            pipelines: Mutex::default(),
            has_subgroups,
            with_subgroups: Mutex::default(),
            staging: Mutex::default(),
            trouble,
            busy_nanos: AtomicU64::new(0),
        })
    }

    /// What the adapter says of itself.
    pub fn facts(&self) -> &AdapterFacts {
        &self.facts
    }

    /// Ends the device, as a driver that resets does: for tests of what comes after.
    pub fn lose(&self) {
        self.device.destroy();
        self.trouble.note("destroyed on purpose".to_owned());
    }

    /// Whether it can still be asked.
    pub fn is_lost(&self) -> bool {
        self.trouble.any.load(Ordering::Acquire)
    }

    /// Whether second forms of kernels can run ([`super::subgroups`]).
    pub fn has_subgroups(&self) -> bool {
        self.has_subgroups
    }

    /// Whether the second form of a kernel is to run, where the device can. Results are the same.
    pub fn use_subgroups(&self, forms: &'static Forms, wanted: bool) {
        let mut with = self
            .with_subgroups
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match wanted && self.has_subgroups {
            true => with.insert(forms.plain.name),
            false => with.remove(forms.plain.name),
        };
    }

    /// The form of a kernel that is to run.
    pub(crate) fn form(&self, forms: &'static Forms) -> &'static Shader {
        let with = self
            .with_subgroups
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match with.contains(forms.plain.name) {
            true => forms.subgroups,
            false => forms.plain,
        }
    }

    /// A pipeline, compiled once.
    pub(crate) fn pipeline(
        &self,
        shader: &'static Shader,
        entry: &'static str,
    ) -> Result<wgpu::ComputePipeline, GpuError> {
        self.trouble.check()?;
        let mut pipelines = self
            .pipelines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = (shader.name, entry);
        if let Some(pipeline) = pipelines.get(&key) {
            return Ok(pipeline.clone());
        }
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(shader.name),
                source: wgpu::ShaderSource::Wgsl(shader.source().into()),
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(shader.name),
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
        self.trouble.check()?;
        pipelines.insert(key, pipeline.clone());
        Ok(pipeline)
    }

    /// A buffer that holds `words`; one zero word if there are none, since no binding may be empty.
    pub(crate) fn upload(&self, what: &'static str, words: &[u32]) -> Result<Words, GpuError> {
        let buffer = self.zeros(what, words.len())?;
        if !words.is_empty() {
            self.queue
                .write_buffer(&buffer.buffer, 0, bytemuck::cast_slice(words));
        }
        self.trouble.check()?;
        Ok(buffer)
    }

    /// A buffer of zeros.
    pub(crate) fn zeros(&self, what: &'static str, words: usize) -> Result<Words, GpuError> {
        let needed = words.max(1) as u64 * 4;
        let limit = self
            .facts
            .max_binding_bytes
            .min(self.facts.max_buffer_bytes);
        if needed > limit {
            return Err(GpuError::TooLarge {
                what,
                needed,
                limit,
            });
        }
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: needed,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::UNIFORM
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        self.trouble.check()?;
        Ok(Words { buffer, words })
    }

    /// Writes the parameters of a dispatch.
    pub(crate) fn write(&self, buffer: &Words, words: &[u32]) {
        self.queue
            .write_buffer(&buffer.buffer, 0, bytemuck::cast_slice(words));
    }

    /// Binds buffers to numbers of group 0: those that the entry point uses, no others.
    pub(crate) fn bind(
        &self,
        pipeline: &wgpu::ComputePipeline,
        buffers: &[(u32, &Words)],
    ) -> wgpu::BindGroup {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = buffers
            .iter()
            .map(|(binding, words)| wgpu::BindGroupEntry {
                binding: *binding,
                resource: words.buffer.as_entire_binding(),
            })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// One dispatch, awaited.
    pub(crate) fn dispatch(
        &self,
        pipeline: &wgpu::ComputePipeline,
        group: &wgpu::BindGroup,
        workgroups: [u32; 3],
    ) -> Result<(), GpuError> {
        let start = Instant::now();
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(workgroups[0], workgroups[1], workgroups[2]);
        }
        self.queue.submit([encoder.finish()]);
        self.wait()?;
        self.busy_nanos
            .fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Seconds in dispatches so far, transfers apart.
    pub fn busy_secs(&self) -> f64 {
        self.busy_nanos.load(Ordering::Relaxed) as f64 * 1e-9
    }

    /// Pieces of work for a first step, of so many operations each: on a device what takes one with 0.1 TFLOP/s 20 ms,
    /// where it takes longer one; in software `in_software`.
    pub(crate) fn first_step(&self, operations: f64, in_software: u64) -> u64 {
        match self.facts.is_cpu {
            true => in_software,
            false => (FIRST_OPERATIONS / operations.max(1.0)) as u64,
        }
    }

    /// Runs `units` pieces of work in steps of about [`STEP_TARGET`]: `step(from, count)` does at most that many in one
    /// dispatch and says how many. The first step has `first` pieces; each later one has at most [`GROWTH`]
    /// times as many as the one before.
    pub(crate) fn in_steps(
        &self,
        units: u64,
        first: u64,
        mut step: impl FnMut(u64, u64) -> Result<u64, GpuError>,
    ) -> Result<(), GpuError> {
        let mut at = 0;
        let mut size = first.max(1);
        while at < units {
            let count = size.min(units - at);
            let start = Instant::now();
            let count = step(at, count)?.max(1);
            at += count;
            let fits = STEP_TARGET.as_secs_f64() / start.elapsed().as_secs_f64().max(1e-6);
            size = ((count as f64 * fits) as u64).clamp(1, GROWTH * size);
        }
        Ok(())
    }

    /// The words of a buffer.
    pub(crate) fn download(&self, words: &Words) -> Result<Vec<u32>, GpuError> {
        if words.words == 0 {
            return Ok(Vec::new());
        }
        let size = words.words as u64 * 4;
        let staging = self.staging(size);
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&words.buffer, 0, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        let slice = staging.slice(..size);
        let trouble = Arc::clone(&self.trouble);
        slice.map_async(wgpu::MapMode::Read, move |mapped| {
            if let Err(why) = mapped {
                trouble.note(why.to_string());
            }
        });
        self.wait()?;
        let view = slice
            .get_mapped_range()
            .map_err(|why| self.failed(why.to_string()))?;
        // The mapping need not be aligned for words.
        let read = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        let found = view.as_chunks::<4>().0.iter().map(read).collect();
        drop(view);
        staging.unmap();
        self.keep(staging);
        Ok(found)
    }

    /// A buffer of at least this size to read from: making one costs more than most reads.
    fn staging(&self, size: u64) -> wgpu::Buffer {
        let mut kept = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.take() {
            Some(buffer) if buffer.size() >= size => buffer,
            _ => self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size: size.next_power_of_two(),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
        }
    }

    /// Keeps a buffer for the next read, unless it is a large one.
    fn keep(&self, staging: wgpu::Buffer) {
        if staging.size() <= MOST_KEPT {
            let mut kept = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Some(staging);
        }
    }

    fn wait(&self) -> Result<(), GpuError> {
        let waited = self.device.poll(wgpu::PollType::Wait {
            submission_index: None,
            timeout: Some(PATIENCE),
        });
        if let Err(why) = waited {
            return Err(self.failed(why.to_string()));
        }
        self.trouble.check()
    }

    fn failed(&self, why: String) -> GpuError {
        self.trouble.note(why.clone());
        GpuError::Lost(why)
    }

    /// Workgroups that one dimension of a dispatch may have.
    pub(crate) fn widest(&self) -> u64 {
        u64::from(self.facts.max_workgroups_per_dimension)
    }
}

/// Waits for a future of wgpu. On native platforms they are ready at once, so that turning is no waste.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}
