//! The second form of the counting kernels, for devices whose threads can tell each other things in subgroups.
//!
//! A module of its own, because a device that cannot must not be shown it, and because some drivers crash on one that
//! has both subgroups and cooperative matrices. Both forms give the same bits; which of them runs is measured
//! ([`super::rates`]), never assumed. Until then it is the one without.

use super::device::Shader;

/// The text that ends a kernel's shader, as [`super::reductions::TEXT`].
pub(crate) const TEXT: &str = include_str!("../../shaders/subgroups.wgsl");

/// Subgroups that the second form is for: all of one size, so that they are full, and no larger than half a workgroup.
pub(crate) fn usable([least, most]: [u32; 2]) -> bool {
    least == most && most.is_power_of_two() && (2..=128).contains(&most)
}

/// Both forms of a kernel.
#[derive(Debug)]
pub struct Forms {
    pub plain: &'static Shader,
    pub subgroups: &'static Shader,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subgroups_must_be_of_one_size() {
        assert!(usable([32, 32]) && usable([8, 8]) && usable([64, 64]));
        assert!(!usable([32, 64]) && !usable([0, 0]) && !usable([1, 1]) && !usable([256, 256]));
    }
}
