//! The scores of one key's newest window as series: which are shown, and which fold into `__other__`.
//!
//! **Invariant:** the three drift series of the same labels always come from one score. For the columns without a place
//! of their own that is the score furthest beyond its threshold, so `score > threshold` means the same there.

use std::collections::{BTreeMap, BTreeSet};

use super::OTHER;
use super::columns::Columns;
use super::leased::Judged;
use super::table::{Families, end};
use crate::event::{Key, Span};
use crate::stats::score::{Score, Verdict};
use crate::stats::{Data, Statistic};

/// One score as exported.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Triple {
    score: f64,
    threshold: Option<f64>,
    p_value: Option<f64>,
}

impl Triple {
    /// How far the score is beyond its threshold; without one, the score itself, behind all that have one.
    fn excess(&self) -> (bool, f64) {
        match self.threshold {
            Some(threshold) if threshold > 0.0 => (true, self.score / threshold),
            Some(_) => (true, if self.score > 0.0 { f64::INFINITY } else { 0.0 }),
            None => (false, self.score),
        }
    }
}

/// What is shown of one key.
pub struct Shown {
    pub window: Span,
    /// Scores that have no series of their own.
    pub folded: u64,
    rows: u64,
    /// By (feature, method).
    drift: BTreeMap<(String, String), Triple>,
    /// By (feature, check).
    ratios: BTreeMap<(String, String), f64>,
    drifted: BTreeSet<String>,
}

impl Shown {
    pub fn new(judged: &Judged<'_>, columns: &mut Columns) -> Self {
        let mut shown = Shown {
            window: judged.window,
            folded: 0,
            rows: judged.rows,
            drift: BTreeMap::new(),
            ratios: BTreeMap::new(),
            drifted: BTreeSet::new(),
        };
        // What concerns the whole window (volume, schema) is no feature; rows and verdict are exported apart.
        for score in judged
            .scores
            .iter()
            .filter(|score| !score.column.is_empty())
        {
            // A column's score is a distance of the table of statistics, or the share of its values with a fault.
            let ratio = Statistic::parse(&score.statistic).is_none();
            // Several columns together, shown under their rule's name, are no feature.
            let alone = Statistic::parse(&score.statistic)
                .is_some_and(|statistic| statistic.entry().from != Data::Matrix);
            if score.verdict == Verdict::Drift && alone {
                shown.drifted.insert(score.column.clone());
            }
            let Some(value) = score.value.filter(|value| value.is_finite()) else {
                continue;
            };
            let own = columns.show(&score.column);
            shown.folded += u64::from(!own);
            let labels = (
                if own {
                    score.column.clone()
                } else {
                    OTHER.to_owned()
                },
                score.statistic.clone(),
            );
            if ratio {
                let most = shown.ratios.entry(labels).or_insert(value);
                *most = most.max(value);
            } else {
                let triple = triple(score, value);
                let worst = shown.drift.entry(labels).or_insert(triple);
                if triple.excess() > worst.excess() {
                    *worst = triple;
                }
            }
        }
        shown
    }

    /// Sets the series of `key`, and ends those of its window before that have no successor.
    pub fn set(&self, families: &Families, key: &Key, before: Option<Shown>) {
        let Key {
            model,
            version,
            segment,
        } = key;
        families
            .window_rows
            .with_label_values(&[model, version, segment])
            .set(self.rows as f64);
        for ((feature, method), triple) in &self.drift {
            let labels = [model, version, segment, feature, method].map(String::as_str);
            families
                .drift_score
                .with_label_values(&labels)
                .set(triple.score);
            for (gauge, value) in [
                (&families.drift_threshold, triple.threshold),
                (&families.drift_pvalue, triple.p_value),
            ] {
                match value {
                    Some(value) => gauge.with_label_values(&labels).set(value),
                    None => end(gauge, &labels),
                }
            }
        }
        for ((feature, check), ratio) in &self.ratios {
            let labels = [model, version, segment, feature, check].map(String::as_str);
            families
                .quality_ratio
                .with_label_values(&labels)
                .set(*ratio);
        }
        if let Some(mut before) = before {
            before
                .drift
                .retain(|labels, _| !self.drift.contains_key(labels));
            before
                .ratios
                .retain(|labels, _| !self.ratios.contains_key(labels));
            before.end_features(families, key);
        }
    }

    /// Ends all series of `key`.
    pub fn end(&self, families: &Families, key: &Key) {
        end(
            &families.window_rows,
            &[&key.model, &key.version, &key.segment],
        );
        self.end_features(families, key);
    }

    fn end_features(&self, families: &Families, key: &Key) {
        let Key {
            model,
            version,
            segment,
        } = key;
        for (feature, method) in self.drift.keys() {
            let labels = [model, version, segment, feature, method].map(String::as_str);
            for gauge in [
                &families.drift_score,
                &families.drift_threshold,
                &families.drift_pvalue,
            ] {
                end(gauge, &labels);
            }
        }
        for (feature, check) in self.ratios.keys() {
            end(
                &families.quality_ratio,
                &[model, version, segment, feature, check].map(String::as_str),
            );
        }
    }
}

fn triple(score: &Score, value: f64) -> Triple {
    Triple {
        score: value,
        threshold: score
            .threshold
            .as_ref()
            .map(|threshold| threshold.value)
            .filter(|value| value.is_finite()),
        p_value: score.p_value.filter(|value| value.is_finite()),
    }
}

/// Distinct columns with drift over all keys shown.
pub fn drifted_columns<'a>(shown: impl Iterator<Item = &'a Shown>) -> usize {
    shown
        .flat_map(|shown| &shown.drifted)
        .collect::<BTreeSet<_>>()
        .len()
}
