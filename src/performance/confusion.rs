//! Counts of decided classes against true ones, by block: what accuracy, precision, recall and F1 are made of.

use super::folds::{Folds, NO_ROWS};

/// Counts of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Decided for and true.
    pub hits: u64,
    pub predicted: u64,
    pub actual: u64,
}

/// One row that has a label and decides for a class; classes by place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    pub block: usize,
    pub predicted: usize,
    pub actual: usize,
}

/// Counts of all classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Confusion {
    pub classes: Vec<Counts>,
    pub rows: u64,
}

impl Confusion {
    fn new(classes: usize) -> Self {
        Self {
            classes: vec![Counts::default(); classes],
            rows: 0,
        }
    }

    fn add(&mut self, decision: &Decision) {
        self.classes[decision.predicted].predicted += 1;
        self.classes[decision.actual].actual += 1;
        self.classes[decision.actual].hits += u64::from(decision.predicted == decision.actual);
        self.rows += 1;
    }

    fn less(&self, block: &Self) -> Self {
        let less = |(all, part): (&Counts, &Counts)| Counts {
            hits: all.hits - part.hits,
            predicted: all.predicted - part.predicted,
            actual: all.actual - part.actual,
        };
        Self {
            classes: self.classes.iter().zip(&block.classes).map(less).collect(),
            rows: self.rows - block.rows,
        }
    }

    /// The classes that were decided for or came as labels.
    pub fn seen(&self) -> impl Iterator<Item = &Counts> {
        self.classes
            .iter()
            .filter(|class| class.predicted > 0 || class.actual > 0)
    }

    /// The mean over the seen classes, where a class that the metric is not defined for counts as 0, as in
    /// scikit-learn.
    pub fn macro_mean(&self, metric: impl Fn(&Counts) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self
            .seen()
            .map(|class| metric(class).unwrap_or(0.0))
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// What the best constant decision would get: the greatest of `metric` over confusions in which every row decides
    /// for one of the classes that came as labels.
    pub fn best_constant(&self, metric: impl Fn(&Confusion) -> Option<f64>) -> Option<f64> {
        let always = |class: usize| {
            let mut constant = self.clone();
            for (place, counts) in constant.classes.iter_mut().enumerate() {
                counts.predicted = if place == class { self.rows } else { 0 };
                counts.hits = if place == class { counts.actual } else { 0 };
            }
            metric(&constant)
        };
        (0..self.classes.len())
            .filter(|class| self.classes[*class].actual > 0)
            .filter_map(always)
            .reduce(f64::max)
    }
}

/// The whole confusion and those of the blocks.
pub(super) struct Confusions {
    pub whole: Confusion,
    blocks: Vec<Confusion>,
}

impl Confusions {
    pub fn of(blocks: usize, classes: usize, decisions: impl Iterator<Item = Decision>) -> Self {
        let mut parts = vec![Confusion::new(classes); blocks];
        let mut whole = Confusion::new(classes);
        for decision in decisions {
            parts[decision.block].add(&decision);
            whole.add(&decision);
        }
        Self {
            whole,
            blocks: parts,
        }
    }

    /// The folds of a metric of counts; `undefined` says when it has no value although there are rows.
    pub fn folds(
        &self,
        metric: impl Fn(&Confusion) -> Option<f64>,
        undefined: &str,
        constant: Option<f64>,
    ) -> Folds {
        if self.whole.rows == 0 {
            return Folds::none(NO_ROWS);
        }
        let held = self.blocks.iter().filter(|block| block.rows > 0);
        Folds {
            value: metric(&self.whole).ok_or_else(|| undefined.to_owned()),
            without: held.map(|block| metric(&self.whole.less(block))).collect(),
            n: self.whole.rows,
            constant,
        }
    }
}
