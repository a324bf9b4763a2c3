//! Quality of a window's data: how much is missing, new, outside its domain or of another type.
//!
//! Counts of a profile turned into rates, with the number they are of. **Invariant:** no function gives NaN; what has
//! no value is `None`. Deliberately absent: thresholds and verdicts (see `rules`).

use statrs::function::factorial::ln_binomial;

use crate::profile::{Cells, ColumnProfile, Field, Layout, LayoutColumn, Profile};

/// A term of the binomial tail this much smaller than the sum ends it: half a unit in the last place of an `f64`.
const NEGLIGIBLE: f64 = f64::EPSILON / 2.0;

/// `count` out of `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: u64,
    pub n: u64,
}

impl Rate {
    /// The share, 0 to 1; `None` when `n` is 0.
    pub fn value(&self) -> Option<f64> {
        (self.n > 0).then(|| self.count as f64 / self.n as f64)
    }
}

/// Rows that are null or lack the field, over all rows.
pub fn null_rate(profile: &ColumnProfile) -> Rate {
    Rate {
        count: profile.missing().empty(),
        n: profile.rows(),
    }
}

/// Values of another type than the layout says, over all rows.
pub fn wrong_type_rate(profile: &ColumnProfile) -> Rate {
    Rate {
        count: profile.missing().wrong_type,
        n: profile.rows(),
    }
}

/// Texts that are not among the layout's categories, over all texts; `None` for numeric columns.
pub fn unseen_rate(profile: &ColumnProfile) -> Option<Rate> {
    profile.categorical().map(|profile| Rate {
        count: profile.unseen,
        n: profile.values(),
    })
}

/// Values outside the declared domain, over all values of the column's type; `None` where no domain is declared.
///
/// Infinities lie outside every range; NaN lies nowhere and is not counted as outside (it is among the values).
/// Texts outside a list that is declared complete are the unseen ones.
pub fn out_of_domain_rate(column: &LayoutColumn, profile: &ColumnProfile) -> Option<Rate> {
    match (&column.cells, profile) {
        (Cells::Numeric(cells), ColumnProfile::Numeric(profile)) if cells.domain.is_some() => {
            let outside = profile.below
                + profile.above
                + profile.positive_infinity
                + profile.negative_infinity;
            Some(Rate {
                count: outside,
                n: profile.values(),
            })
        }
        (Cells::Categorical(cells), ColumnProfile::Categorical(_)) if cells.closed => {
            unseen_rate(profile)
        }
        _ => None,
    }
}

/// How the window's records differ from what is known of the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaChange {
    /// Known columns that no row had.
    pub absent: Vec<String>,
    /// Known columns with the wrong type in more than half of the rows, and in how many.
    pub wrong_type: Vec<(String, u64)>,
    /// Fields that the layout does not know, and in how many rows; most frequent first. A sample of at most
    /// [`crate::profile::distinct::NAMED`] names.
    pub unknown: Vec<(String, u64)>,
    /// Rows of the window.
    pub n: u64,
}

impl SchemaChange {
    /// Number of columns and fields that changed: 0 is "no change".
    pub fn value(&self) -> u64 {
        (self.absent.len() + self.wrong_type.len() + self.unknown.len()) as u64
    }
}

/// Compares the window's records with the layout.
///
/// What the reference showed as well is no change: a column that it never had either, one that had the wrong type
/// there too, a field that it had. Neither are fields that the layout leaves out on purpose. A reference with more
/// unknown fields than its sample can hold cannot tell for some names; those are not reported. Every layout has a
/// place for the latency, whether the model logs one or not, so that only a reference can say that it went.
pub fn schema_change(
    layout: &Layout,
    current: &Profile,
    reference: Option<&Profile>,
) -> SchemaChange {
    let mut change = SchemaChange {
        n: current.rows,
        ..SchemaChange::default()
    };
    if current.rows == 0 {
        return change;
    }
    let absent = |column: &ColumnProfile| column.missing().absent == column.rows();
    let mistyped =
        |column: &ColumnProfile| u128::from(column.missing().wrong_type) * 2 > column.rows().into();
    for (i, (column, profile)) in layout.columns.iter().zip(&current.columns).enumerate() {
        // What happens to an element happens to its vector.
        if !column.stands_alone() {
            continue;
        }
        let before = reference.and_then(|reference| reference.columns.get(i));
        let promised = column.field != Field::Latency || before.is_some();
        if promised && absent(profile) && !before.is_some_and(absent) {
            change.absent.push(column.name.clone());
        }
        if mistyped(profile) && !before.is_some_and(mistyped) {
            change
                .wrong_type
                .push((column.name.clone(), profile.missing().wrong_type));
        }
    }
    for (name, count) in current.unknown_fields.names() {
        let known = reference
            .is_some_and(|reference| reference.unknown_fields.contains(name) != Some(false));
        if !known && !layout.skipped.iter().any(|(skipped, _)| skipped == name) {
            change.unknown.push((name.to_owned(), count));
        }
    }
    change
}

/// The window's rows against the reference's mean rows per block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Volume {
    /// rows / mean rows per block; `None` without blocks or when all are empty.
    pub value: Option<f64>,
    /// Rows of the window.
    pub n: u64,
    /// Mean rows per block; `None` without blocks.
    pub reference_mean: Option<f64>,
}

/// Volume of a window of `rows` rows; `block_rows` are the rows of the reference's blocks of one window's length.
///
/// ```
/// use driftline::stats::quality::volume;
/// assert_eq!(volume(50, &[90, 110]).value, Some(0.5));
/// assert_eq!(volume(50, &[]).value, None);
/// ```
pub fn volume(rows: u64, block_rows: &[u64]) -> Volume {
    let total: u128 = block_rows.iter().map(|rows| u128::from(*rows)).sum();
    let mean = (!block_rows.is_empty()).then(|| total as f64 / block_rows.len() as f64);
    let value = mean
        .filter(|mean| *mean > 0.0)
        .map(|mean| rows as f64 / mean);
    Volume {
        value,
        n: rows,
        reference_mean: mean,
    }
}

/// Chance of `count` or more out of `n` independent rows when each has chance `limit`: the p-value of "the rate
/// exceeds `limit`", P(X ≥ count) for X ~ Binomial(n, limit).
///
/// The exact sum: the term at `count`, and from there each term from the one before. Relative error about
/// 1e-16·n·ln n, from the logarithm of the first term (the incomplete beta function of `statrs`, which is the same
/// number, stops short of convergence beyond some ten thousand rows). About 9·√n terms at most.
///
/// Edge cases: `count` 0 gives 1; a `count` above `n` counts as `n`; a `limit` at or below 0 gives 0 for any
/// `count` above 0; at or above 1, or NaN, gives 1. Never NaN.
///
/// ```
/// use driftline::stats::quality::rate_exceeds;
/// assert!((rate_exceeds(8, 10, 0.5) - 56.0 / 1024.0).abs() < 1e-12);
/// ```
pub fn rate_exceeds(count: u64, n: u64, limit: f64) -> f64 {
    let count = count.min(n);
    if count == 0 || limit.is_nan() || limit >= 1.0 {
        return 1.0;
    }
    if limit <= 0.0 {
        return 0.0;
    }
    // Terms shrink away from the mean: the tail is summed on the side of the mean where it begins.
    if count as f64 > n as f64 * limit {
        upper_tail(count, n, limit).min(1.0)
    } else {
        // P(X ≤ count − 1) is an upper tail of the rows that do not count.
        1.0 - upper_tail(n - (count - 1), n, 1.0 - limit).min(1.0)
    }
}

/// P(X ≥ count) for `count` at or above the mean, 0 < `chance` < 1.
fn upper_tail(count: u64, n: u64, chance: f64) -> f64 {
    let ln_first =
        ln_binomial(n, count) + count as f64 * chance.ln() + (n - count) as f64 * (-chance).ln_1p();
    let odds = chance / (1.0 - chance);
    let (mut sum, mut term) = (1.0, 1.0);
    for k in count..n {
        term *= (n - k) as f64 / (k + 1) as f64 * odds;
        sum += term;
        if term < sum * NEGLIGIBLE {
            break;
        }
    }
    ln_first.exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::layout::FORMAT;
    use crate::profile::{
        CategoricalCells, CategoricalProfile, Missing, NumericCells, NumericProfile,
    };
    use proptest::prelude::*;

    fn numeric_column(name: &str, domain: Option<[f64; 2]>) -> LayoutColumn {
        let cells = NumericCells {
            edges: vec![],
            domain,
            center: 0.0,
            sum_shift: 0,
            square_shift: 0,
        };
        LayoutColumn {
            name: name.into(),
            field: Field::Feature,
            cells: Cells::Numeric(cells),
        }
    }

    fn numeric_profile() -> ColumnProfile {
        ColumnProfile::Numeric(NumericProfile {
            cells: vec![10],
            missing: Missing {
                null: 1,
                absent: 2,
                wrong_type: 4,
            },
            nan: 5,
            positive_infinity: 1,
            negative_infinity: 2,
            below: 3,
            above: 4,
            ..NumericProfile::default()
        })
    }

    #[test]
    fn rates_of_numbers() {
        let profile = numeric_profile();
        assert_eq!(null_rate(&profile), Rate { count: 3, n: 32 });
        assert_eq!(wrong_type_rate(&profile), Rate { count: 4, n: 32 });
        assert_eq!(unseen_rate(&profile), None);
        assert_eq!(
            out_of_domain_rate(&numeric_column("a", None), &profile),
            None
        );
        let outside = out_of_domain_rate(&numeric_column("a", Some([0.0, 1.0])), &profile);
        assert_eq!(outside, Some(Rate { count: 10, n: 25 }));
        assert_eq!(outside.and_then(|rate| rate.value()), Some(0.4));
        assert_eq!(Rate { count: 0, n: 0 }.value(), None);
    }

    #[test]
    fn rates_of_texts() {
        let profile = CategoricalProfile {
            cells: vec![6, 1],
            unseen: 3,
            ..CategoricalProfile::default()
        };
        let profile = ColumnProfile::Categorical(profile);
        assert_eq!(unseen_rate(&profile), Some(Rate { count: 3, n: 10 }));
        for (closed, expected) in [(false, None), (true, Some(Rate { count: 3, n: 10 }))] {
            let cells = CategoricalCells {
                categories: vec!["x".into(), "y".into()],
                closed,
            };
            let column = LayoutColumn {
                name: "a".into(),
                field: Field::Feature,
                cells: Cells::Categorical(cells),
            };
            assert_eq!(out_of_domain_rate(&column, &profile), expected);
        }
    }

    fn profile(
        layout: &Layout,
        missing: &[Missing],
        values: &[u64],
        unknown: &[(&str, u64)],
    ) -> Profile {
        let mut profile = Profile::new(layout);
        for ((column, missing), value) in profile.columns.iter_mut().zip(missing).zip(values) {
            let filled = NumericProfile {
                cells: vec![*value],
                missing: *missing,
                ..NumericProfile::default()
            };
            *column = ColumnProfile::Numeric(filled);
        }
        profile.rows = profile.columns[0].rows();
        unknown
            .iter()
            .for_each(|(name, count)| profile.unknown_fields.add(name, *count));
        profile
    }

    #[test]
    fn a_latency_that_was_never_logged_has_not_gone() {
        let column = LayoutColumn {
            field: Field::Latency,
            ..numeric_column("latency_ms", None)
        };
        let layout = Layout {
            format: FORMAT,
            columns: vec![column],
            skipped: Vec::new(),
        };
        let without = Missing {
            absent: 4,
            ..Missing::default()
        };
        let window = profile(&layout, &[without], &[0], &[]);
        assert_eq!(schema_change(&layout, &window, None).value(), 0);
        let reference = profile(&layout, &[Missing::default()], &[4], &[]);
        assert_eq!(
            schema_change(&layout, &window, Some(&reference)).absent,
            ["latency_ms"]
        );
    }

    #[test]
    fn schema_changes_are_named() {
        let columns = ["gone", "half", "mostly"]
            .map(|name| numeric_column(name, None))
            .to_vec();
        let layout = Layout {
            format: FORMAT,
            columns,
            skipped: vec![("ref".into(), "excluded".into())],
        };
        let missing = |absent, wrong_type| Missing {
            null: 0,
            absent,
            wrong_type,
        };
        let unknown = [("new", 2), ("ref", 10), ("old", 7)];
        let window = profile(
            &layout,
            &[missing(10, 0), missing(0, 5), missing(0, 6)],
            &[0, 5, 4],
            &unknown,
        );
        let names = |names: &[(&str, u64)]| -> Vec<(String, u64)> {
            names
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        let change = schema_change(&layout, &window, None);
        assert_eq!(change.absent, ["gone"]);
        assert_eq!(change.wrong_type, names(&[("mostly", 6)]));
        assert_eq!(change.unknown, names(&[("old", 7), ("new", 2)]));
        assert_eq!((change.value(), change.n), (4, 10));

        let reference = profile(
            &layout,
            &[missing(10, 0), missing(0, 0), missing(0, 9)],
            &[0, 10, 1],
            &[("old", 1)],
        );
        let change = schema_change(&layout, &window, Some(&reference));
        assert_eq!(
            change,
            SchemaChange {
                unknown: names(&[("new", 2)]),
                n: 10,
                ..SchemaChange::default()
            }
        );
        assert_eq!(
            schema_change(&layout, &Profile::new(&layout), None).value(),
            0,
            "no rows, no change"
        );
    }

    #[test]
    fn a_reference_that_cannot_tell_is_silent() {
        let layout = Layout {
            format: FORMAT,
            columns: vec![numeric_column("a", None)],
            skipped: vec![],
        };
        let mut reference = profile(&layout, &[Missing::default()], &[1], &[]);
        (0..2_000).for_each(|i| reference.unknown_fields.add(&format!("f{i}"), 1));
        let new: Vec<String> = (0..100).map(|i| format!("new {i}")).collect();
        let forgotten = |name: &&String| reference.unknown_fields.contains(name).is_none();
        let forgotten: Vec<(&str, u64)> = new
            .iter()
            .filter(forgotten)
            .take(3)
            .map(|name| (name.as_str(), 1))
            .collect();
        let window = profile(&layout, &[Missing::default()], &[1], &forgotten);
        assert_eq!(
            schema_change(&layout, &window, Some(&reference)).unknown,
            []
        );
        assert_eq!(schema_change(&layout, &window, None).unknown.len(), 3);
    }

    #[test]
    fn volume_of_nothing() {
        assert_eq!(
            volume(5, &[0, 0]),
            Volume {
                value: None,
                n: 5,
                reference_mean: Some(0.0)
            }
        );
        assert_eq!(
            volume(0, &[4]),
            Volume {
                value: Some(0.0),
                n: 0,
                reference_mean: Some(4.0)
            }
        );
    }

    #[track_caller]
    fn check_tail(count: u64, n: u64, limit: f64, expected: f64) {
        let found = rate_exceeds(count, n, limit);
        assert!(
            (found - expected).abs() <= 1e-6 * expected,
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn tails_at_the_edges() {
        check_tail(0, 0, 0.5, 1.0);
        check_tail(0, 10, 0.0, 1.0);
        check_tail(1, 10, 0.0, 0.0);
        check_tail(1, 10, -1.0, 0.0);
        check_tail(10, 10, 1.0, 1.0);
        check_tail(3, 10, f64::NAN, 1.0);
        check_tail(10, 10, 0.5, 1.0 / 1024.0);
        check_tail(99, 10, 0.5, 1.0 / 1024.0);
        check_tail(1, 10, 0.5, 1023.0 / 1024.0);
        check_tail(u64::MAX, u64::MAX, 1e-300, 0.0);
    }

    /// At huge n the tail is that of a normal distribution: at the mean one half, three deviations above 0.00135.
    #[test]
    fn tails_of_many_rows() {
        let n = 1_000_000_000;
        let at_mean = rate_exceeds(n / 10, n, 0.1);
        assert!((at_mean - 0.5).abs() < 1e-4, "{at_mean}");
        let deviation = (n as f64 * 0.09).sqrt();
        let three_above = rate_exceeds(n / 10 + (3.0 * deviation) as u64, n, 0.1);
        assert!((three_above - 0.001_349_9).abs() < 2e-6, "{three_above}");
    }

    proptest! {
        /// The same number by another way: the regularised incomplete beta function.
        #[test]
        fn tails_agree_with_the_beta_function(n in 1u64..2000, share in 0.0f64..1.0, limit in 0.001f64..0.999) {
            let count = ((n as f64 * share) as u64).max(1);
            let expected = statrs::function::beta::beta_reg(count as f64, (n - count + 1) as f64, limit);
            let found = rate_exceeds(count, n, limit);
            prop_assert!((found - expected).abs() <= 1e-9 * expected.max(1e-3), "{} {}", found, expected);
        }

        #[test]
        fn tails_are_chances(count in any::<u64>(), n in 0u64..10_000_000_000, limit in any::<f64>()) {
            let chance = rate_exceeds(count, n, limit);
            prop_assert!((0.0..=1.0).contains(&chance), "{}", chance);
        }
    }
}
