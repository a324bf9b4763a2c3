//! Statistics of counts, in bins and with the smoothing that were asked for.

use std::collections::BTreeMap;

use super::settings::{Bins, Settings};
use super::{Found, Null};
use crate::query::{NumberRows, TextRows};
use crate::reference::two_sample::{Bins as Made, Draws, tables_in};
use crate::stats::bins::what_moved;
use crate::stats::contingency::{self, goodness_of_fit, merge_small_cells};
use crate::stats::histogram::edges::{edges, inner};
use crate::stats::histogram::{Axis, Missing, Numbers, Outer, Pair, Rule, Unseen};
use crate::stats::shares::{Direction, Shares, Smoothing};
use crate::stats::{Statistic, deequ, fisher, l_infinity, total};

/// Expected count below which Cochran's rule puts cells together.
const COCHRAN: f64 = 5.0;

/// One statistic of a numeric column, in bins.
pub(super) fn numbers(
    statistic: Statistic,
    reference: &NumberRows,
    current: &NumberRows,
    settings: &Settings,
    draws: &Draws,
) -> Option<Found> {
    // A missing value stands as NaN among the rows, and is counted apart.
    let (ours, theirs) = (present(reference), present(current));
    let ascending = |rows: &[f64]| Numbers::new(rows).ascending();
    let made_of = if settings.over_both {
        ascending(&[&ours[..], &theirs[..]].concat())
    } else {
        ascending(&ours)
    };
    let edges = match &settings.bins {
        Bins::Edges(edges) => edges.clone(),
        Bins::Rule(rule) if settings.outer == Outer::Open => {
            inner(&edges(*rule, &made_of), &made_of)
        }
        Bins::Rule(rule) => edges(*rule, &made_of),
    };
    let axis = Axis::new(edges, settings.closed, settings.outer);
    let side = |rows: &NumberRows| (rows.null, rows.wrong_type);
    let sample = |(null, wrong_type), values| Numbers {
        values,
        null,
        wrong_type,
    };
    let pair = Pair::of_numbers(
        &sample(side(reference), &ours),
        &sample(side(current), &theirs),
        &axis,
        settings.missing,
    );
    let labels = labels(&axis, pair.reference.len());
    // Quantiles of the reference fix its counts; its null has to know.
    let made = match settings.bins {
        Bins::Rule(Rule::Quantiles(_)) if !settings.over_both => {
            Made::OfReference { cells: axis.bins() }
        }
        _ => Made::Given,
    };
    let mut found = of_pair(
        statistic,
        &pair,
        &labels,
        Source::Bins(made),
        settings,
        draws,
    )?;
    found.parameters.insert(
        "edges".to_owned(),
        axis.edges()
            .iter()
            .map(f64::to_string)
            .collect::<Vec<_>>()
            .join(";"),
    );
    Some(found)
}

/// Values that are numbers: a place without one (null or of the wrong type) is NaN too, but the last NaNs that are
/// left after taking those away are the file's own.
fn present(rows: &NumberRows) -> Vec<f64> {
    let mut left = rows.null + rows.wrong_type;
    rows.values
        .iter()
        .copied()
        .filter(|value| {
            let gone = value.is_nan() && left > 0;
            left -= u64::from(gone);
            !gone
        })
        .collect()
}

/// One statistic of a categorical column.
pub(super) fn texts(
    statistic: Statistic,
    reference: &TextRows,
    current: &TextRows,
    settings: &Settings,
    draws: &Draws,
) -> Option<Found> {
    let (labels, pair) = categories(reference, current, settings.missing, settings.unseen);
    // Which categories are unseen is decided by the reference's rows, and so anew by those of every draw.
    let (_, apart) = categories(reference, current, settings.missing, Unseen::Apart);
    let source = match settings.unseen {
        Unseen::Apart => Source::Bins(Made::Given),
        Unseen::Together => Source::Categories(&apart),
    };
    of_pair(statistic, &pair, &labels, source, settings, draws)
}

/// What the null of a pair of counts is drawn from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Bins(Made),
    /// Counts by category, of which those that the reference lacks stand together in the pair.
    Categories(&'a Pair),
}

impl Source<'_> {
    /// Whether there are categories that the reference lacks.
    fn has_unseen(&self) -> bool {
        match self {
            Source::Bins(_) => false,
            Source::Categories(apart) => {
                let mut sides = apart.reference.iter().zip(&apart.current);
                sides.any(|(&ours, &theirs)| ours == 0 && theirs > 0)
            }
        }
    }
}

/// Counts by category with those that the first side lacks put together, before the last `special` bins.
fn unseen_together(a: &[u64], b: &[u64], special: usize) -> (Vec<u64>, Vec<u64>) {
    let categories = a.len().saturating_sub(special);
    let (mut ours, mut theirs, mut together) = (Vec::new(), Vec::new(), 0);
    for (&a, &b) in a[..categories].iter().zip(b) {
        if a > 0 {
            ours.push(a);
            theirs.push(b);
        } else {
            together += b;
        }
    }
    ours.push(0);
    theirs.push(together);
    ours.extend_from_slice(&a[categories..]);
    theirs.extend_from_slice(&b[categories..]);
    (ours, theirs)
}

/// Counts over the union of categories, in ascending order; then those of the current side alone where they stand
/// together, then what is missing.
fn categories(
    reference: &TextRows,
    current: &TextRows,
    missing: Missing,
    unseen: Unseen,
) -> (Vec<String>, Pair) {
    let mut counts: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut together = 0;
    for (name, count) in reference.names.iter().zip(reference.counts()) {
        counts.entry(name).or_default()[0] += count;
    }
    for (name, count) in current.names.iter().zip(current.counts()) {
        match (counts.get_mut(name.as_str()), unseen) {
            (Some(known), _) => known[1] += count,
            (None, Unseen::Apart) => {
                counts.insert(name, [0, count]);
            }
            (None, Unseen::Together) => together += count,
        }
    }
    let mut labels: Vec<String> = counts.keys().map(|name| (*name).to_owned()).collect();
    let (mut ours, mut theirs): (Vec<u64>, Vec<u64>) = counts
        .values()
        .map(|[ours, theirs]| (*ours, *theirs))
        .unzip();
    if unseen == Unseen::Together {
        labels.push("unseen".to_owned());
        ours.push(0);
        theirs.push(together);
    }
    if missing == Missing::Bin {
        labels.extend(["null", "wrong type"].map(str::to_owned));
        ours.extend([reference.null, reference.wrong_type]);
        theirs.extend([current.null, current.wrong_type]);
    }
    (labels, Pair::new(ours, theirs))
}

fn labels(axis: &Axis, bins: usize) -> Vec<String> {
    let edges = axis.edges();
    let between = edges
        .windows(2)
        .map(|pair| format!("{} – {}", pair[0], pair[1]));
    let mut labels: Vec<String> = match (axis.bins(), edges.first(), edges.last()) {
        (n, Some(first), Some(last)) if n == edges.len() + 1 => {
            std::iter::once(format!("< {first}"))
                .chain(between)
                .chain([format!("> {last}")])
                .collect()
        }
        _ => between.collect(),
    };
    labels.resize(axis.bins(), "outside".to_owned());
    labels.extend(["null", "wrong type", "NaN", "+inf", "-inf"].map(str::to_owned));
    labels.truncate(bins);
    labels
}

/// A statistic as a function of counts alone.
fn value(statistic: Statistic, pair: &Pair, settings: &Settings) -> Option<f64> {
    let shares = |smoothing| Shares::new(pair, smoothing);
    match statistic {
        Statistic::Psi => shares(settings.smoothing)?.psi(),
        Statistic::JensenShannon => {
            let shares = shares(Smoothing::None)?;
            if settings.divergence {
                shares.jensen_shannon_divergence(settings.base)
            } else {
                shares.jensen_shannon(settings.base)
            }
        }
        Statistic::Hellinger => shares(Smoothing::None)?.hellinger(),
        Statistic::KullbackLeibler => {
            shares(settings.smoothing)?.kullback_leibler(settings.direction)
        }
        Statistic::TotalVariation => shares(Smoothing::None)?.total_variation(),
        Statistic::LInfinity => {
            let distance = shares(Smoothing::None)?.l_infinity()?;
            let (n, m) = (pair.reference_rows as f64, pair.current_rows as f64);
            Some(if settings.robust {
                deequ::robust(distance, n, m)
            } else {
                distance
            })
        }
        Statistic::ChiSquared => {
            contingency::chi_squared(&pair.reference, &pair.current, settings.correction)
                .map(|test| test.statistic)
        }
        Statistic::ChiSquaredFit => goodness_of_fit(&pair.reference, &pair.current)?.statistic,
        Statistic::GTest | Statistic::CramersV => {
            if total(&pair.reference) <= 0.0 || total(&pair.current) <= 0.0 {
                return None;
            }
            statistic.of_counts(&pair.reference, &pair.current)
        }
        _ => None,
    }
}

/// The effect, by the statistic on profiles of the same counts: what is asked for with other parameters is as large as
/// it is there.
fn effect(statistic: Statistic, value: f64, pair: &Pair) -> f64 {
    let (a, b) = (&pair.reference, &pair.current);
    let plain = match statistic {
        Statistic::ChiSquaredFit => Statistic::ChiSquared,
        other => other,
    };
    let of_counts = plain
        .of_counts(a, b)
        .and_then(|value| plain.effect_of_counts(value, a, b));
    of_counts.unwrap_or(value)
}

fn of_pair(
    statistic: Statistic,
    pair: &Pair,
    labels: &[String],
    source: Source<'_>,
    settings: &Settings,
    draws: &Draws,
) -> Option<Found> {
    let merged;
    let pair = if settings.merge {
        let found = merge_small_cells(&pair.reference, &pair.current, COCHRAN);
        merged = Pair::new(found.reference, found.current);
        &merged
    } else {
        pair
    };
    let mut parameters = BTreeMap::new();
    let rows = (pair.reference_rows, pair.current_rows);
    parameters.insert("bins".to_owned(), pair.reference.len().to_string());
    let (value, effect, null) = match statistic {
        Statistic::Fisher => fisher_of(pair)?,
        // A category that the reference lacks makes this one infinite: the next larger thing that JSON can hold.
        Statistic::ChiSquaredFit => {
            let fit = goodness_of_fit(&pair.reference, &pair.current)?;
            let value = fit.statistic.unwrap_or(f64::MAX);
            (
                value,
                effect(statistic, value, pair),
                Null::of_p(fit.p_value),
            )
        }
        Statistic::ChiSquared
            if (settings.correction != contingency::Correction::None || settings.merge)
                && !source.has_unseen() =>
        {
            let test =
                contingency::chi_squared(&pair.reference, &pair.current, settings.correction)?;
            (
                test.statistic,
                effect(statistic, test.statistic, pair),
                Null::of_p(test.p_value),
            )
        }
        _ => {
            let found = value(statistic, pair, settings)?;
            let effect = effect(statistic, found, pair);
            let closed = statistic
                .chi_squared_p(&pair.reference, &pair.current)
                .filter(|_| is_plain(statistic, settings) && !source.has_unseen());
            let null = match closed {
                Some(p) => Null::of_p(p),
                None => drawn(statistic, pair, source, found, settings, draws),
            };
            (found, effect, null)
        }
    };
    Some(Found {
        value,
        effect,
        null: Some(null),
        method: "bins",
        n_reference: rows.0,
        n_current: rows.1,
        parameters,
        moved: what_moved(&pair.reference, &pair.current, labels),
    })
}

/// Whether the statistic is the one whose closed form is known.
fn is_plain(statistic: Statistic, settings: &Settings) -> bool {
    match statistic {
        Statistic::Psi => settings.smoothing == Smoothing::HalfRow,
        Statistic::KullbackLeibler => {
            settings.smoothing == Smoothing::HalfRow
                && settings.direction == Direction::CurrentFromReference
        }
        Statistic::LInfinity => !settings.robust,
        _ => true,
    }
}

fn drawn(
    statistic: Statistic,
    pair: &Pair,
    source: Source<'_>,
    observed: f64,
    settings: &Settings,
    draws: &Draws,
) -> Null {
    let (made, of) = match source {
        Source::Bins(made) => (made, pair),
        Source::Categories(apart) => (Made::Given, apart),
    };
    let special = match settings.missing {
        Missing::Bin => 2,
        Missing::Drop => 0,
    };
    let in_bins = |a: &[u64], b: &[u64]| {
        if matches!(source, Source::Bins(_)) {
            return (a.to_vec(), b.to_vec());
        }
        let (a, b) = unseen_together(a, b, special);
        if !settings.merge {
            return (a, b);
        }
        let merged = merge_small_cells(&a, &b, COCHRAN);
        (merged.reference, merged.current)
    };
    let found = tables_in(
        &of.reference,
        &of.current,
        made,
        &[observed],
        draws,
        |_, a, b| {
            let (reference, current) = in_bins(a, b);
            let drawn = Pair {
                reference,
                current,
                ..*pair
            };
            // Without bound is farther than anything observed.
            value(statistic, &drawn, settings).unwrap_or(f64::MAX)
        },
    );
    found
        .first()
        .map_or_else(|| Null::of_p(1.0), |surprise| Null::from(*surprise))
}

/// Two categories: the shares' difference is the effect.
fn fisher_of(pair: &Pair) -> Option<(f64, f64, Null)> {
    let filled: Vec<usize> = (0..pair.reference.len())
        .filter(|&at| pair.reference[at] > 0 || pair.current[at] > 0)
        .collect();
    let [a, b] = filled[..] else { return None };
    let (ours, theirs) = (
        [pair.reference[a], pair.reference[b]],
        [pair.current[a], pair.current[b]],
    );
    let found = fisher::fisher_exact(ours, theirs)?;
    let effect = l_infinity::effect(&ours, &theirs);
    // An odds ratio without bound.
    Some((
        found.odds_ratio.unwrap_or(f64::MAX),
        effect,
        Null::of_p(found.p_value),
    ))
}
