//! Counts of texts in both samples.

use std::collections::HashMap;

use super::{Missing, Pair};

/// A categorical column's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Texts<'a> {
    pub values: &'a [&'a str],
    pub null: u64,
    pub wrong_type: u64,
}

/// What becomes of categories of the current sample that the reference does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unseen {
    /// They share one bin, `unseen`: the reference says nothing of them one by one.
    #[default]
    Together,
    /// Each is a bin of its own, over the union of both samples, as most other tools do.
    Apart,
}

/// Both samples' counts and what the bins are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// One for each bin of `pair`: categories in ascending order, then `unseen`, then `null` and `wrong type`.
    pub labels: Vec<String>,
    pub pair: Pair,
}

impl<'a> Texts<'a> {
    /// Rows that all hold a text.
    pub fn new(values: &'a [&'a str]) -> Self {
        Self {
            values,
            null: 0,
            wrong_type: 0,
        }
    }

    fn counted(&self) -> HashMap<&'a str, u64> {
        let mut counts = HashMap::new();
        for &text in self.values {
            *counts.entry(text).or_insert(0) += 1;
        }
        counts
    }
}

/// Counts both samples by category; the order of rows changes nothing. Under [`Missing::Drop`] only texts are rows.
///
/// ```
/// use driftline::stats::histogram::{Missing, Texts, Unseen, categories::count};
/// let (reference, current) = (["b", "a", "b"], ["a", "c", "d"]);
/// let found = count(&Texts::new(&reference), &Texts::new(&current), Missing::Drop, Unseen::Together);
/// assert_eq!(found.labels, ["a", "b", "unseen"]);
/// assert_eq!((found.pair.reference, found.pair.current), (vec![1, 2, 0], vec![1, 0, 2]));
/// ```
pub fn count(reference: &Texts, current: &Texts, missing: Missing, unseen: Unseen) -> Categories {
    let (before, now) = (reference.counted(), current.counted());
    let mut names: Vec<&str> = before.keys().copied().collect();
    if unseen == Unseen::Apart {
        names.extend(now.keys().filter(|name| !before.contains_key(*name)));
    }
    names.sort_unstable();
    let counts_of = |counted: &HashMap<&str, u64>| -> Vec<u64> {
        names
            .iter()
            .map(|name| counted.get(name).copied().unwrap_or(0))
            .collect()
    };
    let mut labels: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut counts = [counts_of(&before), counts_of(&now)];
    if unseen == Unseen::Together {
        labels.push("unseen".to_owned());
        counts[0].push(0);
        let known: u64 = counts[1].iter().sum();
        counts[1].push(current.values.len() as u64 - known);
    }
    if missing == Missing::Bin {
        labels.extend(["null", "wrong type"].map(str::to_owned));
        counts[0].extend([reference.null, reference.wrong_type]);
        counts[1].extend([current.null, current.wrong_type]);
    }
    let [reference, current] = counts;
    Categories {
        labels,
        pair: Pair::new(reference, current),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_unseen_are_bins_unless_dropped() {
        let reference = Texts {
            values: &["x", "y"],
            null: 1,
            wrong_type: 0,
        };
        let current = Texts {
            values: &["x", "new", "newer"],
            null: 0,
            wrong_type: 2,
        };
        let found = count(&reference, &current, Missing::Bin, Unseen::Together);
        assert_eq!(found.labels, ["x", "y", "unseen", "null", "wrong type"]);
        assert_eq!(found.pair.reference, [1, 1, 0, 1, 0]);
        assert_eq!(found.pair.current, [1, 0, 2, 0, 2]);
        assert_eq!((found.pair.reference_rows, found.pair.current_rows), (3, 5));
        let found = count(&reference, &current, Missing::Drop, Unseen::Apart);
        assert_eq!(found.labels, ["new", "newer", "x", "y"]);
        assert_eq!((found.pair.reference_rows, found.pair.current_rows), (2, 3));
    }

    #[test]
    fn empty_samples_have_no_bin_but_the_special_ones() {
        let found = count(
            &Texts::default(),
            &Texts::default(),
            Missing::Drop,
            Unseen::Apart,
        );
        assert_eq!(found.pair, Pair::default());
    }

    #[test]
    fn a_million_categories_are_counted() {
        let names: Vec<String> = (0..1_000_000).map(|i| i.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = count(
            &Texts::new(&names),
            &Texts::new(&names[..10]),
            Missing::Bin,
            Unseen::Apart,
        );
        assert_eq!(found.labels.len(), 1_000_002);
        assert_eq!(found.pair.current_rows, 10);
    }
}
