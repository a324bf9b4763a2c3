//! What the counting kernels share that needs all threads of a workgroup: sums, running sums, a tree.
//!
//! The device's side alone: on the CPU these are loops in the kernels' own definitions. Integers add up to the same in
//! any order; the tree of floats pairs thread t with t + 128, then t + 64 and so on, and [`super::subgroups`] keeps that
//! order, so that both forms of a kernel agree bit for bit.

/// The text that ends a kernel's shader, after one that says what `run` is.
pub(crate) const TEXT: &str = include_str!("../../shaders/reductions.wgsl");
