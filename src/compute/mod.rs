//! Statistics that cost the square of the rows, or draw them a thousand times: on a device where one is at hand and
//! pays, on all cores otherwise.
//!
//! A file per kernel holds its plain definition, its fast CPU path and its call on a device, whose shader has the same
//! name under `shaders/`. [`backend::Compute`] chooses between the two by what [`calibration`] and [`rates`] measured, and
//! survives a device that is missing or lost. [`rbf_mmd`] and [`pairwise_distance`] share points, labels and the tile they begin
//! with; [`histogram`], [`resample`] and [`worst_slice`] count; [`slice_ranking`] reads what the last one counted.
//!
//! **Architecture invariants.** The only room that names wgpu. The plain definition decides what is right; counts are
//! equal to it bit for bit on every backend, sums within a tolerance that the kernel names and tests. No result depends
//! on threads, on how work is cut, or on when it ran. Deliberately absent: which rule wants which statistic, and metrics.

pub mod adapter;
pub mod backend;
pub mod calibration;
pub mod device;
pub mod histogram;
pub mod labels;
pub mod pair_sums;
mod pairs_on_gpu;
pub mod pairwise_distance;
mod philox;
pub mod points;
pub mod rates;
pub mod rbf_mmd;
pub(crate) mod reductions;
mod remembered;
pub mod resample;
pub mod slice_ranking;
pub mod subgroups;
mod tile;
pub mod twins;
pub mod work;
pub mod worst_slice;
