//! Which columns of a model have series of their own.
//!
//! **Invariant:** once shown, a column stays shown, whatever else appears, and never more than `limit` are: a graph
//! must not change its meaning because a new column drifted. Pure.

use std::collections::BTreeSet;

pub struct Columns {
    limit: usize,
    shown: BTreeSet<String>,
}

impl Columns {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            shown: BTreeSet::new(),
        }
    }

    /// Takes places for these columns now, in this order, as far as there are any.
    pub fn prefer(&mut self, important: &[String]) {
        for column in important {
            self.show(column);
        }
    }

    /// Whether `column` is shown by name; it takes a place if there is one.
    pub fn show(&mut self, column: &str) -> bool {
        if self.shown.contains(column) {
            return true;
        }
        if self.shown.len() >= self.limit {
            return false;
        }
        self.shown.insert(column.to_owned())
    }
}
