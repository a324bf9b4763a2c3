//! NannyML 0.13: fitted on a reference, chunks scored against it, thresholds from the reference's own chunks.

use super::{Column, Judged, Kind, Refused, Vendor, counted, finite, parameters};
use crate::stats::histogram::edges::equally_wide;
use crate::stats::histogram::{Axis, Closed, Outer, Pair, Rule, Unseen};
use crate::stats::ks_exact::ks;
use crate::stats::shares::{Base, Shares, Smoothing};
use crate::stats::sorted::Sorted;
use crate::stats::summation::{Spread, Sum};
use crate::stats::{contingency, l_infinity, wasserstein_exact};

/// From this many reference rows on KS and Wasserstein are approximated in [`BINS`] bins.
const APPROXIMATED_FROM: usize = 10_000;
/// Equally wide bins of that approximation.
const BINS: usize = 10_000;
/// Chunks of the reference where no size is given; a remainder is one more.
const CHUNKS: usize = 10;
/// A chunk alerts above the mean of the reference's chunks by this many standard deviations.
const DEVIATIONS: f64 = 3.0;
/// Level of χ², which alerts by its p-value.
const LEVEL: f64 = 0.05;

pub fn statistics(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Numeric => &[
            "jensen_shannon",
            "kolmogorov_smirnov",
            "wasserstein",
            "hellinger",
        ],
        Kind::Categorical => &["jensen_shannon", "chi2", "l_infinity", "hellinger"],
    }
}

/// A statistic with its reference.
///
/// - `jensen_shannon` (distance, base 2), `hellinger`: numbers in Doane's bins over the reference, what lies outside in
///   one more; categories of the reference, new ones together in one more.
/// - `kolmogorov_smirnov` (D), `wasserstein` (not scaled): exact below 10,000 reference rows, else in 10,000 equally
///   wide bins over the reference's range. Its documentation speaks of quantiles; the code takes equal widths.
/// - `chi2` (contingency, Yates for 2×2), `l_infinity`: over the union of categories.
pub struct Fitted<'a> {
    statistic: &'static str,
    reference: Column<'a>,
    form: Form,
    /// The reference's range is wider than a float can say.
    endless: bool,
}

enum Form {
    Rows(Sorted),
    Bins(Binned),
    Doane(Axis, Vec<u64>),
    Categories,
}

/// A chunk's value, and the p-value where the statistic is a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    pub value: f64,
    pub p_value: Option<f64>,
}

impl<'a> Fitted<'a> {
    /// Prepares a reference for a statistic of [`statistics`].
    pub fn new(statistic: &str, reference: Column<'a>) -> Result<Self, Refused> {
        let kind = reference.kind();
        let known = statistics(kind).iter().find(|name| **name == statistic);
        let &statistic = known.ok_or_else(|| Refused::Unknown {
            vendor: Vendor::NannyMl,
            name: statistic.to_owned(),
            kind,
            offered: statistics(kind).join(", "),
        })?;
        let mut endless = false;
        let form = match reference {
            Column::Categorical(_) => Form::Categories,
            Column::Numeric(values) => {
                let sample = finite(values);
                endless = is_endless(&sample);
                match statistic {
                    "jensen_shannon" | "hellinger" => {
                        let axis =
                            Axis::numpy(Rule::Doane, sample.values()).with_outer(Outer::Extra);
                        let counts = axis.counts(sample.values());
                        Form::Doane(axis, counts)
                    }
                    _ if sample.len() < APPROXIMATED_FROM => Form::Rows(sample),
                    _ => Form::Bins(Binned::new(&sample)),
                }
            }
        };
        Ok(Self {
            statistic,
            reference,
            form,
            endless,
        })
    }

    /// The value of a chunk. Refused where the chunk or the reference holds no usable value; NannyML gives NaN.
    pub fn value(&self, chunk: Column) -> Result<Value, Refused> {
        let plain = |value: Option<f64>| {
            let value = value.filter(|value| value.is_finite());
            value.ok_or(Refused::Undefined {
                statistic: self.statistic,
                reason: "it is no finite number",
            })
        };
        let (value, p_value) = match (&self.form, self.reference, chunk) {
            (Form::Categories, Column::Categorical(reference), Column::Categorical(chunk)) => {
                self.of_categories(reference, chunk)?
            }
            (form, Column::Numeric(_), Column::Numeric(chunk)) => {
                let chunk = finite(chunk);
                if chunk.is_empty() {
                    return Err(Refused::Empty { side: "current" });
                }
                let wasserstein = self.statistic == "wasserstein";
                // Exact KS looks at ranks alone; bins and areas are made of the range.
                let ranks = matches!(form, Form::Rows(_)) && !wasserstein;
                if !ranks && (self.endless || wasserstein && is_endless(&chunk)) {
                    return Err(Refused::Undefined {
                        statistic: self.statistic,
                        reason: "the range of its values is wider than a float can say",
                    });
                }
                let value = match form {
                    Form::Rows(reference) if wasserstein => {
                        wasserstein_exact::distance(reference, &chunk)
                    }
                    Form::Rows(reference) => ks(reference, &chunk).map(|found| found.distance),
                    Form::Bins(binned) if wasserstein => Some(binned.wasserstein(&chunk)),
                    Form::Bins(binned) => Some(binned.kolmogorov_smirnov(&chunk)),
                    Form::Doane(axis, reference) => {
                        let pair = Pair::new(reference.clone(), axis.counts(chunk.values()));
                        self.of_shares(&pair)
                    }
                    Form::Categories => None,
                };
                if value.is_none() && finite_rows(self.reference) == 0 {
                    return Err(Refused::Empty { side: "reference" });
                }
                (value, None)
            }
            _ => {
                return Err(Refused::Kinds {
                    reference: self.reference.kind(),
                    current: chunk.kind(),
                });
            }
        };
        Ok(Value {
            value: plain(value)?,
            p_value,
        })
    }

    /// The mean of the reference's own chunks of `rows` rows (the last one may be shorter) plus three standard
    /// deviations, divisor n; for KS at most 1. `None` for `chi2`, which alerts by its p-value, and where no chunk has
    /// a value.
    pub fn threshold(&self, rows: usize) -> Option<f64> {
        if self.statistic == "chi2" {
            return None;
        }
        let values: Vec<f64> = self
            .reference
            .chunks(rows)
            .into_iter()
            .filter_map(|chunk| self.value(chunk).ok())
            .map(|found| found.value)
            .collect();
        let spread = Spread::of(&values)?;
        let threshold = (spread.mean + DEVIATIONS * spread.deviation).min(f64::MAX);
        Some(if self.statistic == "kolmogorov_smirnov" {
            threshold.min(1.0)
        } else {
            threshold
        })
    }

    /// Whether a chunk alerts: above the threshold, or for `chi2` below p = 0.05.
    pub fn alerts(&self, found: &Value, threshold: Option<f64>) -> bool {
        match found.p_value {
            Some(p) => p < LEVEL,
            None => threshold.is_some_and(|threshold| found.value > threshold),
        }
    }

    fn of_categories(
        &self,
        reference: &[Option<&str>],
        chunk: &[Option<&str>],
    ) -> Result<(Option<f64>, Option<f64>), Refused> {
        let unseen = match self.statistic {
            "chi2" | "l_infinity" => Unseen::Apart,
            _ => Unseen::Together,
        };
        let pair = counted(reference, chunk, unseen);
        for (rows, side) in [
            (pair.reference_rows, "reference"),
            (pair.current_rows, "current"),
        ] {
            if rows == 0 {
                return Err(Refused::Empty { side });
            }
        }
        Ok(match self.statistic {
            "chi2" => {
                let yates = contingency::Correction::Yates;
                let found = contingency::chi_squared(&pair.reference, &pair.current, yates);
                (
                    found.map(|found| found.statistic),
                    found.map(|found| found.p_value),
                )
            }
            "l_infinity" => (
                Some(l_infinity::distance(&pair.reference, &pair.current)),
                None,
            ),
            _ => (self.of_shares(&pair), None),
        })
    }

    fn of_shares(&self, pair: &Pair) -> Option<f64> {
        let shares = Shares::new(pair, Smoothing::None)?;
        if self.statistic == "hellinger" {
            shares.hellinger()
        } else {
            shares.jensen_shannon(Base::Two)
        }
    }
}

/// One chunk against the whole reference, the threshold from ten chunks of the reference.
pub(super) fn score(
    statistic: &'static str,
    reference: Column,
    current: Column,
) -> Result<Judged, Refused> {
    let fitted = Fitted::new(statistic, reference)?;
    let found = fitted.value(current)?;
    let rows = (reference.rows() / CHUNKS).max(1);
    let threshold = fitted.threshold(rows);
    let written = match found.p_value {
        Some(p) => vec![("p_value", p.to_string())],
        None => vec![(
            "threshold",
            format!("mean + 3 deviations over reference chunks of {rows} rows"),
        )],
    };
    Ok(Judged {
        vendor: Vendor::NannyMl,
        statistic,
        value: found.value,
        is_p_value: false,
        threshold: if found.p_value.is_some() {
            Some(LEVEL)
        } else {
            threshold
        },
        drift: Some(fitted.alerts(&found, threshold)),
        parameters: parameters(written),
    })
}

/// Whether the distance between the least and the largest value is no float.
fn is_endless(sample: &Sorted) -> bool {
    let values = sample.values();
    let ends = values.first().zip(values.last());
    ends.is_some_and(|(least, largest)| !(largest - least).is_finite())
}

fn finite_rows(column: Column) -> usize {
    match column {
        Column::Numeric(values) => values.iter().filter(|x| x.is_finite()).count(),
        Column::Categorical(values) => values.iter().flatten().count(),
    }
}

/// A large reference in equally wide bins.
struct Binned {
    least: f64,
    largest: f64,
    /// Its range in bins, for KS.
    range: Axis,
    /// As `range`, but a constant reference lies in the middle of a range of width 1.
    widened: Axis,
    /// The reference's rows up to and including each bin.
    range_passed: Vec<u64>,
    widened_passed: Vec<u64>,
    rows: f64,
}

impl Binned {
    /// `reference` is not empty.
    fn new(reference: &Sorted) -> Self {
        let values = reference.values();
        let (least, largest) = (
            values.first().copied().unwrap_or(0.0),
            values.last().copied().unwrap_or(0.0),
        );
        let range = Axis::new(
            equally_wide(least, largest, BINS),
            Closed::Left,
            Outer::Nowhere,
        );
        let widened = Axis::numpy(Rule::EqualWidth(BINS), values);
        Self {
            least,
            largest,
            range_passed: passed(&range.counts(values)),
            widened_passed: passed(&widened.counts(values)),
            range,
            widened,
            rows: reference.len() as f64,
        }
    }

    /// The largest gap of the distribution functions at the bins' upper ends.
    fn kolmogorov_smirnov(&self, chunk: &Sorted) -> f64 {
        let rows = chunk.len() as f64;
        let below = chunk.values().partition_point(|&x| x < self.least) as u64;
        if self.least == self.largest {
            let above = chunk.values().partition_point(|&x| x <= self.largest);
            return (below as f64 / rows).max((rows - above as f64) / rows);
        }
        let chunk = passed(&self.range.counts(chunk.values()));
        self.range_passed
            .iter()
            .zip(chunk)
            .map(|(&a, b)| (a as f64 / self.rows - (below + b) as f64 / rows).abs())
            .fold(0.0, f64::max)
    }

    /// The area between the distribution functions, rectangles within the reference's range and exact beyond. As
    /// NannyML has it, one row more than there are counts below the range, and likewise above.
    fn wasserstein(&self, chunk: &Sorted) -> f64 {
        let edges = self.widened.edges();
        let (Some(&first), Some(&second), Some(&last)) =
            (edges.first(), edges.get(1), edges.last())
        else {
            return 0.0;
        };
        let values = chunk.values();
        let rows = chunk.len() as f64;
        let lower = &values[..values.partition_point(|&x| x < first)];
        let upper = &values[values.partition_point(|&x| x <= last)..];
        let share = |beyond: &[f64]| match beyond.len() {
            0 => 0.0,
            beyond => (beyond as f64 + 1.0) / rows,
        };
        let mut area = Sum::default();
        // ∫ F of the rows below together with the first edge, and ∫ (1 − F) of those above together with the last.
        let size = lower.len() as f64 + 1.0;
        for (i, &x) in lower.iter().enumerate() {
            let next = lower.get(i + 1).copied().unwrap_or(first);
            area.add((i as f64 + 1.0) / size * (next - x) * share(lower));
        }
        let size = upper.len() as f64 + 1.0;
        let mut before = last;
        for (i, &x) in upper.iter().enumerate() {
            area.add((1.0 - (i as f64 + 1.0) / size) * (x - before) * share(upper));
            before = x;
        }
        let inside = passed(&self.widened.counts(values));
        for (&a, b) in self.widened_passed.iter().zip(inside) {
            let gap = a as f64 / self.rows - (b as f64 / rows + share(lower));
            area.add(gap.abs() * (second - first));
        }
        area.value().min(f64::MAX)
    }
}

/// Running sums.
fn passed(counts: &[u64]) -> Vec<u64> {
    counts
        .iter()
        .scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        })
        .collect()
}
