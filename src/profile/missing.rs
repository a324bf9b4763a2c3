//! The ways in which a value can be missing, counted apart.

use crate::event::State;

/// Rows without a usable value. The three ways exclude one another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missing {
    /// The record said `null`.
    pub null: u64,
    /// The record did not have the field. Not part of `null`.
    pub absent: u64,
    /// The value was of another type than the layout says.
    pub wrong_type: u64,
}

impl Missing {
    /// Rows that gave nothing: `null` and `absent` together.
    pub fn empty(&self) -> u64 {
        self.null + self.absent
    }

    /// Rows without a usable value.
    pub fn total(&self) -> u64 {
        self.null + self.absent + self.wrong_type
    }

    /// Counts one row by its [`State`] byte, which is not `Value`.
    pub(crate) fn count(&mut self, state: u8) {
        // A byte that is no state can only be a decoder's mistake: it is counted, like all that nobody understood.
        match state {
            s if s == State::Null as u8 => self.null += 1,
            s if s == State::Absent as u8 => self.absent += 1,
            _ => self.wrong_type += 1,
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.null += other.null;
        self.absent += other.absent;
        self.wrong_type += other.wrong_type;
    }
}
