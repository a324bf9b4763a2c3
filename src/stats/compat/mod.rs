//! The numbers of other tools: their bins, smoothing, bases, defaults and thresholds, so that a team can move and see
//! the same values on the first day.
//!
//! A file for each tool. [`Vendor::default_statistic`] is what the tool picks for a column, [`Vendor::score`] the value
//! that it would give for two columns of rows, with its verdict. Statistics go by the tool's own names. All of them
//! leave out null, NaN and infinite values, as the tools do or expect of their users.
//!
//! `docs/migrating.md` says which values are tested against the tool's and which follow its formula only.
//! **Invariant:** a value is finite or refused. Deliberately absent: null calibration. These thresholds are fixed ones
//! and fail as fixed ones do; they are for comparing, not for paging.

pub mod azure;
pub mod deequ;
pub mod evidently;
pub mod frouros;
pub mod nannyml;
#[cfg(test)]
mod vendor_tests;

use std::collections::BTreeMap;
use std::fmt;

use super::histogram::{Missing, Pair, Texts, Unseen, categories};
use super::sorted::Sorted;

/// A tool whose numbers can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vendor {
    Evidently,
    NannyMl,
    Azure,
    Deequ,
    Frouros,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Numeric,
    Categorical,
}

/// One column's rows, in their order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Column<'a> {
    /// NaN stands for null too.
    Numeric(&'a [f64]),
    Categorical(&'a [Option<&'a str>]),
}

/// A value with the tool's verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub vendor: Vendor,
    /// In the tool's words.
    pub statistic: &'static str,
    /// What the tool reports: a distance, or a p-value where `is_p_value`.
    pub value: f64,
    pub is_p_value: bool,
    /// The tool's default; `None` where it has none.
    pub threshold: Option<f64>,
    /// Whether the tool would call it drift; `None` without a threshold.
    pub drift: Option<bool>,
    /// Bins, smoothing and the like.
    pub parameters: BTreeMap<&'static str, String>,
}

/// Why a value cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "{vendor} has no statistic {name:?} for a {kind} column here; ask for one of {offered}"
    )]
    Unknown {
        vendor: Vendor,
        name: String,
        kind: Kind,
        offered: String,
    },
    #[error("{vendor} has no statistic for a {kind} column here")]
    NoneOfKind { vendor: Vendor, kind: Kind },
    #[error(
        "the reference is {reference}, the current column {current}: a value needs two of one kind"
    )]
    Kinds { reference: Kind, current: Kind },
    #[error("the {side} column has no usable value")]
    Empty { side: &'static str },
    #[error("{statistic} has no value: {reason}")]
    Undefined {
        statistic: &'static str,
        reason: &'static str,
    },
}

impl Vendor {
    pub const ALL: [Vendor; 5] = [
        Vendor::Evidently,
        Vendor::NannyMl,
        Vendor::Azure,
        Vendor::Deequ,
        Vendor::Frouros,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Vendor::Evidently => "evidently",
            Vendor::NannyMl => "nannyml",
            Vendor::Azure => "azure",
            Vendor::Deequ => "deequ",
            Vendor::Frouros => "frouros",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vendor| vendor.name() == name)
    }

    /// The statistics that [`Vendor::score`] knows for a kind of column.
    pub fn statistics(self, kind: Kind) -> &'static [&'static str] {
        match self {
            Vendor::Evidently => evidently::statistics(kind),
            Vendor::NannyMl => nannyml::statistics(kind),
            Vendor::Azure => azure::statistics(kind),
            Vendor::Deequ => deequ::statistics(kind),
            Vendor::Frouros => frouros::statistics(kind),
        }
    }

    /// What the tool judges a column by unless told otherwise. `n_reference` counts the reference's usable rows,
    /// `distinct` the different values of both columns together; only Evidently looks at them. `None` where the tool
    /// has nothing for this kind of column.
    ///
    /// ```
    /// use driftline::stats::compat::{Kind, Vendor};
    /// assert_eq!(Vendor::Evidently.default_statistic(Kind::Numeric, 1000, 900), Some("ks"));
    /// assert_eq!(Vendor::Evidently.default_statistic(Kind::Numeric, 1001, 900), Some("wasserstein"));
    /// ```
    pub fn default_statistic(
        self,
        kind: Kind,
        n_reference: usize,
        distinct: usize,
    ) -> Option<&'static str> {
        match self {
            Vendor::Evidently => Some(evidently::default_statistic(kind, n_reference, distinct)),
            _ => self.statistics(kind).first().copied(),
        }
    }

    /// What a refusal is about: the statistic that was undefined, or that the tool would have picked for the reference
    /// alone; the tool itself where it has none for such a column.
    pub fn refused_statistic(self, refused: &Refused, reference: Column) -> &'static str {
        if let Refused::Undefined { statistic, .. } = refused {
            return statistic;
        }
        let (kind, rows, distinct) = match Sides::new(reference, reference) {
            Ok(sides) => (sides.kind(), sides.reference_rows(), sides.distinct()),
            Err(_) => (reference.kind(), 0, 0),
        };
        self.default_statistic(kind, rows, distinct)
            .unwrap_or(self.name())
    }

    /// The tool's value for two columns, by the statistic of that name, or by its default one.
    ///
    /// ```
    /// use driftline::stats::compat::{Column, Vendor};
    /// let (reference, current) = ([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0]);
    /// let (reference, current) = (Column::Numeric(&reference), Column::Numeric(&current));
    /// let judged = Vendor::Evidently.score(Some("psi"), reference, current).unwrap();
    /// assert!((judged.value - 0.875_659_567).abs() < 1e-9);
    /// assert_eq!(judged.drift, Some(true));
    /// ```
    pub fn score(
        self,
        statistic: Option<&str>,
        reference: Column,
        current: Column,
    ) -> Result<Judged, Refused> {
        let sides = Sides::new(reference, current)?;
        let kind = sides.kind();
        let asked = match statistic {
            Some(name) => name,
            None => self
                .default_statistic(kind, sides.reference_rows(), sides.distinct())
                .ok_or(Refused::NoneOfKind { vendor: self, kind })?,
        };
        let known = self.statistics(kind).iter().find(|name| **name == asked);
        let Some(&statistic) = known else {
            return Err(Refused::Unknown {
                vendor: self,
                name: asked.to_owned(),
                kind,
                offered: self.statistics(kind).join(", "),
            });
        };
        match self {
            Vendor::Evidently => evidently::score(statistic, &sides),
            Vendor::NannyMl => nannyml::score(statistic, reference, current),
            Vendor::Azure => azure::score(statistic, &sides),
            Vendor::Deequ => deequ::score(statistic, &sides),
            Vendor::Frouros => frouros::score(statistic, &sides),
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Numeric => "numeric",
            Kind::Categorical => "categorical",
        })
    }
}

impl<'a> Column<'a> {
    pub fn kind(&self) -> Kind {
        match self {
            Column::Numeric(_) => Kind::Numeric,
            Column::Categorical(_) => Kind::Categorical,
        }
    }

    /// All rows, those without a usable value included.
    pub fn rows(&self) -> usize {
        match self {
            Column::Numeric(values) => values.len(),
            Column::Categorical(values) => values.len(),
        }
    }

    /// Stretches of `rows` rows, the last one shorter where they do not come out even. At least one row each.
    pub(crate) fn chunks(self, rows: usize) -> Vec<Column<'a>> {
        let rows = rows.max(1);
        match self {
            Column::Numeric(values) => values.chunks(rows).map(Column::Numeric).collect(),
            Column::Categorical(values) => values.chunks(rows).map(Column::Categorical).collect(),
        }
    }
}

/// Two columns of one kind, each with a usable value.
pub(crate) enum Sides {
    Numeric(Sorted, Sorted),
    /// Counts over the categories of both, each apart.
    Categorical(Pair),
}

impl Sides {
    pub(crate) fn new(reference: Column, current: Column) -> Result<Self, Refused> {
        let (sides, empty) = match (reference, current) {
            (Column::Numeric(reference), Column::Numeric(current)) => {
                let (reference, current) = (finite(reference), finite(current));
                let empty = [reference.is_empty(), current.is_empty()];
                (Self::Numeric(reference, current), empty)
            }
            (Column::Categorical(reference), Column::Categorical(current)) => {
                let pair = counted(reference, current, Unseen::Apart);
                let empty = [pair.reference_rows == 0, pair.current_rows == 0];
                (Self::Categorical(pair), empty)
            }
            (reference, current) => {
                return Err(Refused::Kinds {
                    reference: reference.kind(),
                    current: current.kind(),
                });
            }
        };
        match empty {
            [true, _] => Err(Refused::Empty { side: "reference" }),
            [_, true] => Err(Refused::Empty { side: "current" }),
            _ => Ok(sides),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Numeric(..) => Kind::Numeric,
            Self::Categorical(_) => Kind::Categorical,
        }
    }

    fn reference_rows(&self) -> usize {
        match self {
            Self::Numeric(reference, _) => reference.len(),
            Self::Categorical(pair) => pair.reference_rows as usize,
        }
    }

    /// Different values of both columns together.
    fn distinct(&self) -> usize {
        match self {
            Self::Numeric(reference, current) => each_value(reference, current).reference.len(),
            Self::Categorical(pair) => pair.reference.len(),
        }
    }
}

/// A column's finite values, ascending.
pub(crate) fn finite(values: &[f64]) -> Sorted {
    values.iter().copied().filter(|x| x.is_finite()).collect()
}

/// Both columns' categories counted; null is left out.
pub(crate) fn counted(
    reference: &[Option<&str>],
    current: &[Option<&str>],
    unseen: Unseen,
) -> Pair {
    let reference: Vec<&str> = reference.iter().copied().flatten().collect();
    let current: Vec<&str> = current.iter().copied().flatten().collect();
    categories::count(
        &Texts::new(&reference),
        &Texts::new(&current),
        Missing::Drop,
        unseen,
    )
    .pair
}

/// Each different value of either column as a bin, ascending.
pub(crate) fn each_value(reference: &Sorted, current: &Sorted) -> Pair {
    let (a, b) = (reference.values(), current.values());
    let (mut i, mut j) = (0, 0);
    let (mut before, mut now) = (Vec::new(), Vec::new());
    while i < a.len() || j < b.len() {
        let value = match (a.get(i), b.get(j)) {
            (Some(&x), Some(&y)) => x.min(y),
            (Some(&x), None) | (None, Some(&x)) => x,
            (None, None) => break,
        };
        let run = |rows: &[f64]| rows.iter().take_while(|&&x| x == value).count();
        let (in_a, in_b) = (run(&a[i..]), run(&b[j..]));
        before.push(in_a as u64);
        now.push(in_b as u64);
        i += in_a;
        j += in_b;
    }
    Pair::new(before, now)
}

/// Both columns' values, ascending.
pub(crate) fn together(reference: &Sorted, current: &Sorted) -> Sorted {
    reference
        .values()
        .iter()
        .chain(current.values())
        .copied()
        .collect()
}

/// What is written beside a value.
pub(crate) fn parameters(
    list: impl IntoIterator<Item = (&'static str, String)>,
) -> BTreeMap<&'static str, String> {
    list.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_named_by_what_was_refused() {
        let (numbers, none) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [f64::NAN; 3]);
        let (reference, empty) = (Column::Numeric(&numbers), Column::Numeric(&none));
        let words = [Some("a"), Some("b")];
        let named = |vendor: Vendor, reference, current| {
            let refused = vendor.score(None, reference, current).expect_err("refused");
            (
                vendor.refused_statistic(&refused, reference),
                refused.to_string(),
            )
        };
        assert_eq!(
            named(Vendor::Evidently, reference, empty),
            ("ks", "the current column has no usable value".to_owned())
        );
        assert_eq!(
            named(Vendor::NannyMl, empty, reference),
            (
                "jensen_shannon",
                "the reference column has no usable value".to_owned()
            )
        );
        let words = Column::Categorical(&words);
        assert_eq!(
            named(Vendor::Frouros, words, words),
            (
                "frouros",
                "frouros has no statistic for a categorical column here".to_owned()
            )
        );
    }
}
