//! Running mean and variance by Welford's recurrence, in River's order of operations, so that indices agree to the last bit.

use serde::{Deserialize, Serialize};

/// Mean of what was seen; 0 before the first value.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Mean {
    pub n: u64,
    pub mean: f64,
}

impl Mean {
    pub fn update(&mut self, x: f64) {
        self.n += 1;
        self.mean += (1.0 / self.n as f64) * (x - self.mean);
    }

    /// The same in Frouros' order of operations.
    pub fn update_by_quotient(&mut self, x: f64) {
        self.n += 1;
        self.mean += (x - self.mean) / self.n as f64;
    }
}

/// Mean and the sum of squared deviations from it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Moments {
    pub mean: Mean,
    squares: f64,
}

impl Moments {
    pub fn update(&mut self, x: f64) {
        let before = self.mean.mean;
        self.mean.update(x);
        self.squares += (x - before) * (x - self.mean.mean);
    }

    /// The same in Frouros' order of operations.
    pub fn update_by_quotient(&mut self, x: f64) {
        let before = self.mean.mean;
        self.mean.update_by_quotient(x);
        self.squares += (x - self.mean.mean) * (x - before);
    }

    /// Over n − 1; 0 with fewer than two values, never below 0.
    pub fn variance(&self) -> f64 {
        match self.mean.n {
            0 | 1 => 0.0,
            n => self.squares.max(0.0) / (n - 1) as f64,
        }
    }

    /// Over n.
    pub fn variance_of_all(&self) -> f64 {
        match self.mean.n {
            0 => 0.0,
            n => self.squares.max(0.0) / n as f64,
        }
    }
}
