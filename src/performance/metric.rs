//! The one table of metrics: names, directions, ranges, and the tasks that have them.
//!
//! **Invariant:** a metric's name is the name of its score, in rules, results and series, and no statistic or watch
//! has the same. Deliberately absent: how a metric is computed, which stands in a file of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number that says how good predictions were, given their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    LogLoss,
    Brier,
    RocAuc,
    Accuracy,
    Precision,
    Recall,
    F1,
    Rmse,
    Mae,
    R2,
}

/// What is predicted, as far as metrics care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Two classes; every class that is not `positive` counts as the other one.
    Binary { positive: &'a str },
    /// Classes are the ones that were predicted or came as labels.
    Multiclass,
    /// A number.
    Regression,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub metric: Metric,
    pub name: &'static str,
    pub higher_is_better: bool,
    /// Smallest and largest possible value.
    pub range: (f64, f64),
    pub binary: bool,
    pub multiclass: bool,
    pub regression: bool,
}

const ANY: f64 = f64::INFINITY;

/// One line, with the tasks in the order binary, multiclass, regression.
const fn line(
    metric: Metric,
    name: &'static str,
    higher_is_better: bool,
    range: (f64, f64),
    [binary, multiclass, regression]: [bool; 3],
) -> Entry {
    Entry {
        metric,
        name,
        higher_is_better,
        range,
        binary,
        multiclass,
        regression,
    }
}

const UNIT: (f64, f64) = (0.0, 1.0);
const CLASSES: [bool; 3] = [true, true, false];
const NUMBERS: [bool; 3] = [false, false, true];

static TABLE: [Entry; 10] = [
    line(Metric::LogLoss, "log_loss", false, (0.0, ANY), CLASSES),
    line(Metric::Brier, "brier", false, UNIT, [true, false, false]),
    line(Metric::RocAuc, "roc_auc", true, UNIT, CLASSES),
    line(Metric::Accuracy, "accuracy", true, UNIT, CLASSES),
    line(Metric::Precision, "precision", true, UNIT, CLASSES),
    line(Metric::Recall, "recall", true, UNIT, CLASSES),
    line(Metric::F1, "f1", true, UNIT, CLASSES),
    line(Metric::Rmse, "rmse", false, (0.0, ANY), NUMBERS),
    line(Metric::Mae, "mae", false, (0.0, ANY), NUMBERS),
    line(Metric::R2, "r2", true, (-ANY, 1.0), NUMBERS),
];

impl Metric {
    /// In the order in which they are shown: the first one of a task is its primary one.
    pub const ALL: [Metric; 10] = [
        Metric::LogLoss,
        Metric::Brier,
        Metric::RocAuc,
        Metric::Accuracy,
        Metric::Precision,
        Metric::Recall,
        Metric::F1,
        Metric::Rmse,
        Metric::Mae,
        Metric::R2,
    ];

    pub fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }

    pub fn as_str(self) -> &'static str {
        self.entry().name
    }

    /// ```
    /// use driftline::performance::Metric;
    /// assert_eq!(Metric::parse("log_loss"), Some(Metric::LogLoss));
    /// assert_eq!(Metric::parse("LogLoss"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| entry.metric)
    }

    /// Whether more is better; the others are losses.
    pub fn higher_is_better(self) -> bool {
        self.entry().higher_is_better
    }

    /// Whether predictions of this kind have the metric.
    pub fn fits(self, kind: Kind<'_>) -> bool {
        let entry = self.entry();
        match kind {
            Kind::Binary { .. } => entry.binary,
            Kind::Multiclass => entry.multiclass,
            Kind::Regression => entry.regression,
        }
    }

    /// The metrics of a kind, in the order of the table.
    pub fn of(kind: Kind<'_>) -> impl Iterator<Item = Metric> {
        Self::ALL
            .into_iter()
            .filter(move |metric| metric.fits(kind))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Statistic;

    #[test]
    fn the_table_stands_in_the_order_of_the_enum_and_names_are_unique() {
        for (i, entry) in TABLE.iter().enumerate() {
            assert_eq!((entry.metric as usize, Metric::ALL[i]), (i, entry.metric));
            assert_eq!(Metric::parse(entry.name), Some(entry.metric));
            assert_eq!(
                serde_json::to_value(entry.metric).expect("a name"),
                entry.name
            );
            assert_eq!(
                Statistic::parse(entry.name),
                None,
                "a statistic is called {}",
                entry.name
            );
        }
    }

    #[test]
    fn every_kind_has_its_metrics() {
        let names = |kind| {
            Metric::of(kind)
                .map(Metric::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            names(Kind::Binary { positive: "up" }),
            "log_loss brier roc_auc accuracy precision recall f1"
        );
        assert_eq!(
            names(Kind::Multiclass),
            "log_loss roc_auc accuracy precision recall f1"
        );
        assert_eq!(names(Kind::Regression), "rmse mae r2");
    }
}
