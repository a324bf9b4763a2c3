//! Measuring one column of one window: each statistic's value, effect and null, and how they were found.
//!
//! **Invariant:** the one place that knows which statistic is computed from what. Deliberately absent: the verdict
//! (see `compare`).

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use super::Reference;
use super::column::{self, Prepared};
use super::compare::Plan;
use super::exchange::Pool;
use super::exchanged_ranks::{self, RANKED};
use super::null::{Calibration, chi_squared_quantile};
use super::sequential::Drawn;
use crate::profile::layout::LayoutColumn;
use crate::profile::{Cells, ColumnProfile, NumericProfile, Profile};
use crate::stats::score::ThresholdSource;
use crate::stats::{self, Statistic, bins, kolmogorov_smirnov, mean_shift, occupied, psi, total};

/// References with fewer times the window's rows than this carry a warning: their own error dominates.
const SMALL_REFERENCE: u64 = 10;

/// The null of a score whose rows were exchanged, for its parameters.
const EXCHANGED: &str = "rows exchanged between reference and window";

/// How a statistic is computed.
pub(super) fn method(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::KolmogorovSmirnov | Statistic::Wasserstein => "rank-binned",
        Statistic::MeanShift => "moments",
        _ => "bins",
    }
}

/// One column of one window, counted and calibrated.
pub(super) struct Judge<'a> {
    pub plan: &'a Plan<'a>,
    pub column: &'a LayoutColumn,
    pub prepared: &'a Prepared,
    pub calibration: &'a Calibration,
    pub reference: &'a Reference,
    pub current: &'a Profile,
    /// The column in the reference and in the window.
    pub before: &'a ColumnProfile,
    pub profile: &'a ColumnProfile,
    pub atoms: Vec<u64>,
    pub bins: Vec<u64>,
    /// The reference by bin, as it is set beside this window.
    pub beside: Vec<u64>,
    /// Where rows of both sides were exchanged instead of drawn from the reference.
    pub exchanged: Option<Exchanged>,
}

/// What the exchange of rows says of the statistics that were asked of it.
pub(super) struct Exchanged {
    drawn: Vec<(Statistic, Drawn)>,
    /// Whether the categories of all rows were known; numbers have none.
    known: bool,
}

/// A statistic's value and what it is judged by.
pub(super) struct Measured {
    pub value: f64,
    pub effect: f64,
    pub error_bound: Option<f64>,
    /// `None`: no null can be had at this level.
    pub null: Option<Null>,
    pub moved: String,
    pub degrees: f64,
}

pub(super) struct Null {
    pub threshold: f64,
    pub p_value: f64,
    pub source: ThresholdSource,
    pub draws: Option<u32>,
    pub extrapolated: bool,
}

impl Exchanged {
    fn of(&self, statistic: Statistic) -> Option<&Drawn> {
        let found = self.drawn.iter().find(|(one, _)| *one == statistic);
        found.map(|(_, drawn)| drawn)
    }
}

impl Judge<'_> {
    /// `None` where a side has no finite value to measure.
    pub fn measure(&self, statistic: Statistic) -> Option<Measured> {
        let evidence = &self.prepared.evidence;
        let (reference, current) = (&self.beside, &self.bins);
        let (n, m) = (total(reference), total(current));
        let occupied = occupied(reference, current);
        let degrees = stats::degrees(occupied).max(1.0);
        let binned = |value: f64, effect: f64, null: Option<Null>| Measured {
            value,
            effect,
            error_bound: None,
            null,
            moved: bins::what_moved(reference, current, &self.prepared.labels),
            degrees,
        };
        Some(match statistic {
            Statistic::KolmogorovSmirnov => {
                let found = kolmogorov_smirnov::ks(&evidence.reference, &self.atoms);
                let effect = kolmogorov_smirnov::effect(found.distance, n, m);
                Measured {
                    error_bound: Some(found.error_bound),
                    ..binned(found.distance, effect, self.open(statistic, found.distance))
                }
            }
            Statistic::Wasserstein => self.wasserstein(degrees)?,
            Statistic::MeanShift => self.mean_shift()?,
            _ => {
                let value = statistic.of_counts(reference, current)?;
                let effect = statistic.effect_of_counts(value, reference, current)?;
                let null = self.closed(statistic, degrees);
                binned(value, effect, null.or_else(|| self.open(statistic, value)))
            }
        })
    }

    /// Exchanges the rows of both sides for those of `statistics` that have no closed form.
    pub fn exchange(&mut self, pool: Pool, statistics: &[Statistic]) {
        let degrees = stats::degrees(occupied(&self.beside, &self.bins)).max(1.0);
        let open: Vec<(Statistic, f64)> = statistics
            .iter()
            .filter(|&&statistic| self.closed(statistic, degrees).is_none())
            .filter_map(|&one| Some((one, one.of_counts(&self.beside, &self.bins)?)))
            .collect();
        let known = pool.known();
        let drawn = pool.judge(&open, self.plan.level, self.seed());
        self.take_exchanged(&open, drawn, known);
    }

    /// Exchanges the rows of both sides for those of `statistics` that look at ranks.
    pub fn exchange_ranks(&mut self, statistics: &[Statistic]) {
        let evidence = &self.prepared.evidence;
        let ruler = match self.of_all_values() {
            true => self.prepared.ruler(self.profile, &self.atoms),
            false => None,
        };
        let measure = |statistic: Statistic, reference: &[u64], current: &[u64]| match statistic {
            Statistic::Wasserstein => {
                let ruler = ruler.as_ref();
                ruler.map_or(f64::NAN, |ruler| ruler.distance(reference, current).value)
            }
            _ => kolmogorov_smirnov::ks(reference, current).distance,
        };
        let open: Vec<(Statistic, f64)> = statistics
            .iter()
            .filter(|statistic| RANKED.contains(statistic))
            .map(|&one| (one, measure(one, &evidence.reference, &self.atoms)))
            .filter(|(_, value)| value.is_finite())
            .collect();
        let drawn = exchanged_ranks::judge(
            &evidence.reference,
            &self.atoms,
            &open,
            measure,
            self.plan.level,
            self.seed(),
        );
        self.take_exchanged(&open, drawn, true);
    }

    fn take_exchanged(&mut self, open: &[(Statistic, f64)], drawn: Vec<Drawn>, known: bool) {
        let drawn = open.iter().map(|(statistic, _)| *statistic).zip(drawn);
        self.exchanged = Some(Exchanged {
            drawn: drawn.collect(),
            known,
        });
    }

    /// One seed for each reference, column and window.
    fn seed(&self) -> u128 {
        let mut seed = Xxh3::new();
        seed.update(&self.prepared.seed.to_le_bytes());
        for count in self.profile.cells().iter().chain(&self.bins) {
            seed.update(&count.to_le_bytes());
        }
        seed.digest128()
    }

    /// The null of a statistic without a closed form: from exchanged rows where it was asked of them, else from draws.
    fn open(&self, statistic: Statistic, value: f64) -> Option<Null> {
        let exchanged = self.exchanged.as_ref();
        match exchanged.and_then(|exchanged| exchanged.of(statistic)) {
            Some(drawn) => self.null_of(drawn),
            None => self.drawn(statistic, value),
        }
    }

    fn null_of(&self, drawn: &Drawn) -> Option<Null> {
        Some(Null {
            threshold: drawn.threshold?,
            p_value: drawn.p_value,
            source: self.calibration.source,
            draws: Some(drawn.draws),
            extrapolated: drawn.extrapolated,
        })
    }

    /// The closed form, where the blocks leave no doubt that rows are independent, every expected count is large, and
    /// the statistic has one.
    fn closed(&self, statistic: Statistic, degrees: f64) -> Option<Null> {
        if !self.calibration.closed_form || self.blocks() < 2 {
            return None;
        }
        let (reference, current) = (&self.beside, &self.bins);
        let p_value = statistic.chi_squared_p(reference, current)?;
        let chi = chi_squared_quantile(self.plan.level, degrees);
        Some(Null {
            threshold: statistic.at_chi_squared(chi, total(reference), total(current))?,
            p_value,
            source: ThresholdSource::ClosedForm,
            draws: None,
            extrapolated: false,
        })
    }

    pub fn blocks(&self) -> usize {
        self.prepared.evidence.blocks.len()
    }

    /// The null from the calibration's draws.
    fn drawn(&self, statistic: Statistic, value: f64) -> Option<Null> {
        let judged = self
            .calibration
            .verdict(statistic, value, self.plan.level)?;
        Some(Null {
            threshold: judged.threshold,
            p_value: judged.p_value,
            source: self.calibration.source,
            draws: Some(self.calibration.draws),
            extrapolated: judged.extrapolated,
        })
    }

    fn wasserstein(&self, degrees: f64) -> Option<Measured> {
        if !self.of_all_values() {
            return None;
        }
        let found = self.prepared.wasserstein(self.profile, &self.atoms)?;
        Some(Measured {
            value: found.value,
            effect: found.effect,
            error_bound: Some(found.error_bound),
            null: self.open(Statistic::Wasserstein, found.value),
            moved: self.means(),
            degrees,
        })
    }

    fn mean_shift(&self) -> Option<Measured> {
        let reference = self.prepared.moments?;
        let Cells::Numeric(cells) = &self.column.cells else {
            return None;
        };
        let current = column::moments(cells, self.profile.numeric()?)?;
        let signed = mean_shift::shift(&reference, &current);
        let of_blocks = mean_shift::null_of_blocks(
            &self.prepared.block_moments,
            current.n,
            reference.deviation,
        );
        let (null, source) = match (of_blocks, self.prepared.block_moments.len() > 1) {
            (Some(null), _) => (Some(null), ThresholdSource::Blocks),
            // Blocks whose means are all the same: only rows are left to tell.
            (None, true) => (
                mean_shift::null_of_rows(&reference, &current),
                ThresholdSource::Resampled,
            ),
            (None, false) => (
                mean_shift::null_of_rows(&reference, &current),
                ThresholdSource::AssumesIndependence,
            ),
        };
        let difference = current.mean - reference.mean;
        let value = signed.abs();
        let null = match null {
            Some(null) => {
                let scale = mean_shift::scale(&reference, &current).unwrap_or(1.0);
                let threshold = (null.threshold(self.plan.level) / scale).min(f64::MAX);
                Null {
                    threshold,
                    p_value: null.p_value(difference),
                    source,
                    draws: None,
                    extrapolated: false,
                }
            }
            // A constant reference: it never moved, so any move is beyond its threshold of 0.
            None => Null {
                threshold: 0.0,
                p_value: if value > 0.0 {
                    1.0 / (reference.n + 1.0)
                } else {
                    1.0
                },
                source,
                draws: None,
                extrapolated: false,
            },
        };
        Some(Measured {
            value,
            effect: mean_shift::effect(signed, reference.n, current.n),
            error_bound: None,
            null: Some(null),
            moved: self.means(),
            degrees: 1.0,
        })
    }

    /// "mean 35.1 → 62.0"; nothing where a side's sums do not hold all of its values.
    fn means(&self) -> String {
        let mean = |profile: Option<&NumericProfile>| {
            let Cells::Numeric(cells) = &self.column.cells else {
                return None;
            };
            profile?.mean(cells)
        };
        match (mean(self.reference_numbers()), mean(self.profile.numeric())) {
            (Some(before), Some(now)) => format!("mean {} → {}", Short(before), Short(now)),
            _ => String::new(),
        }
    }

    /// Whether the reference's deviation, which Wasserstein distances are counted in, is that of all its values.
    fn of_all_values(&self) -> bool {
        self.reference_numbers()
            .is_some_and(|numbers| numbers.clipped == 0)
    }

    fn reference_numbers(&self) -> Option<&NumericProfile> {
        self.before.numeric()
    }

    /// Why [`Judge::measure`] has no value.
    pub fn why_not(&self) -> String {
        let clipped = |profile: Option<&NumericProfile>| profile.map_or(0, |found| found.clipped);
        let of_sides = [
            ("reference", clipped(self.reference_numbers())),
            ("window", clipped(self.profile.numeric())),
        ];
        match of_sides.into_iter().find(|(_, count)| *count > 0) {
            Some((side, 1)) => format!(
                "1 value of the {side} lies too far out to be in its sums, and moments without it would be wrong"
            ),
            Some((side, count)) => format!(
                "{count} values of the {side} lie too far out to be in its sums, and moments without them would be wrong"
            ),
            None => "there is no finite value on one of the two sides".to_owned(),
        }
    }

    /// What a reader needs to compute the value again.
    pub fn parameters(&self, statistic: Statistic) -> BTreeMap<String, String> {
        let mut parameters = BTreeMap::new();
        let mut set = |key: &str, value: String| {
            parameters.insert(key.to_owned(), value);
        };
        let bins = occupied(&self.beside, &self.bins).to_string();
        match statistic {
            Statistic::KolmogorovSmirnov => {
                set(
                    "cells",
                    occupied(&self.prepared.evidence.reference, &self.atoms).to_string(),
                );
                set("missing", "ranked below all values".to_owned());
            }
            Statistic::Wasserstein => {
                set(
                    "cells",
                    occupied(&self.prepared.evidence.reference, &self.atoms).to_string(),
                );
                set("missing", "left out".to_owned());
                let deviation = self
                    .prepared
                    .evidence
                    .ranks
                    .as_ref()
                    .and_then(|ranks| ranks.deviation);
                set(
                    "scale",
                    deviation.map_or("range of both samples".to_owned(), |d| {
                        format!("reference deviation {}", Short(d))
                    }),
                );
            }
            Statistic::MeanShift => {
                set("missing", "left out".to_owned());
                set("scale", "reference deviation".to_owned());
            }
            binned => {
                set("bins", bins);
                match binned {
                    Statistic::Psi | Statistic::KullbackLeibler => {
                        set("log_base", "e".to_owned());
                        set("smoothing", format!("{} rows a bin", psi::SMOOTHING));
                    }
                    Statistic::JensenShannon => {
                        set("log_base", "2".to_owned());
                        set("smoothing", "none".to_owned());
                    }
                    Statistic::ChiSquared | Statistic::GTest => {
                        set("effect", "cohens_w".to_owned());
                    }
                    Statistic::CramersV => set("effect", "bergsma".to_owned()),
                    _ => {}
                }
            }
        }
        if let Some(exchanged) = &self.exchanged
            && exchanged.of(statistic).is_some()
        {
            let text = match exchanged.known {
                true => EXCHANGED.to_owned(),
                false => format!("{EXCHANGED}; not all unseen texts are known"),
            };
            set("null", text);
        }
        if self.reference.profile.rows < SMALL_REFERENCE * self.current.rows {
            let text = format!(
                "the reference has {} rows, less than {SMALL_REFERENCE} times the window's {}: false alarms come in runs",
                self.reference.profile.rows, self.current.rows
            );
            set("warning", text);
        }
        parameters
    }
}

/// A number for a sentence: three significant digits or so, never an endless row of zeros.
pub(super) struct Short(pub f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = self.0.abs();
        match size {
            0.0 => f.write_str("0"),
            _ if !(1e-4..1e7).contains(&size) => write!(f, "{:.1e}", self.0),
            _ if size >= 100.0 => write!(f, "{:.0}", self.0),
            _ if size >= 1.0 => write!(f, "{:.1}", self.0),
            _ if size >= 0.01 => write!(f, "{:.3}", self.0),
            _ => write!(f, "{:.5}", self.0),
        }
    }
}
