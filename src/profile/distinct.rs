//! A bounded set of names with exact counts that does not depend on the order of arrival.
//!
//! Of all names ever counted the sketch keeps the [`KEPT`] whose hash is smallest (a *bottom-k* sample: Cohen and
//! Kaplan 2007), so it is a fair sample of the distinct names. **Invariant:** the count of a kept name is exact. A
//! name that is among the smallest of all was among the smallest at every moment and in every part, so no
//! occurrence of it was ever forgotten.

use std::cmp::Ordering;

use xxhash_rust::xxh3::xxh3_64;

/// Names kept: enough to show what is going on, little enough for thousands of columns.
pub const KEPT: usize = 16;

/// A sample of distinct names, see the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distinct {
    total: u64,
    /// Ascending by (hash, name), no name twice, at most [`KEPT`].
    kept: Vec<Kept>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    hash: u64,
    name: String,
    count: u64,
}

impl Distinct {
    /// Counts `count` occurrences of `name`.
    pub fn add(&mut self, name: &str, count: u64) {
        if count > 0 {
            self.total = self.total.saturating_add(count);
            self.keep(xxh3_64(name.as_bytes()), name, count);
        }
    }

    /// Occurrences of all names, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The kept names with their exact counts: most frequent first, ties by name.
    pub fn names(&self) -> Vec<(&str, u64)> {
        let mut names: Vec<(&str, u64)> = self
            .kept
            .iter()
            .map(|kept| (kept.name.as_str(), kept.count))
            .collect();
        names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        names
    }

    /// Whether `name` was counted: `None` when the sketch is full and cannot tell.
    pub fn contains(&self, name: &str) -> Option<bool> {
        match self.position(xxh3_64(name.as_bytes()), name) {
            Ok(_) => Some(true),
            Err(at) if at < KEPT => Some(false),
            Err(_) => None,
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        for kept in &other.kept {
            self.keep(kept.hash, &kept.name, kept.count);
        }
    }

    /// The kept names in the order of their hashes: the stored order.
    pub(crate) fn kept(&self) -> impl ExactSizeIterator<Item = (&str, u64)> {
        self.kept
            .iter()
            .map(|kept| (kept.name.as_str(), kept.count))
    }

    /// From stored parts; `None` when no sequence of [`Distinct::add`] can have led to them.
    pub(crate) fn from_stored(total: u64, names: Vec<(String, u64)>) -> Option<Self> {
        let kept: Vec<Kept> = names
            .into_iter()
            .map(|(name, count)| Kept {
                hash: xxh3_64(name.as_bytes()),
                name,
                count,
            })
            .collect();
        let counted = kept
            .iter()
            .try_fold(0u64, |sum, kept| sum.checked_add(kept.count))?;
        let whole = if kept.len() < KEPT {
            counted == total
        } else {
            counted <= total
        };
        let sorted = kept.is_sorted_by(|a, b| (a.hash, &a.name) < (b.hash, &b.name));
        (kept.len() <= KEPT && whole && sorted && kept.iter().all(|kept| kept.count > 0))
            .then_some(Self { total, kept })
    }

    fn position(&self, hash: u64, name: &str) -> Result<usize, usize> {
        self.kept
            .binary_search_by(|kept| match kept.hash.cmp(&hash) {
                Ordering::Equal => kept.name.as_str().cmp(name),
                other => other,
            })
    }

    fn keep(&mut self, hash: u64, name: &str, count: u64) {
        match self.position(hash, name) {
            Ok(at) => self.kept[at].count = self.kept[at].count.saturating_add(count),
            Err(at) if at < KEPT => {
                self.kept.truncate(KEPT - 1);
                self.kept.insert(
                    at,
                    Kept {
                        hash,
                        name: name.to_owned(),
                        count,
                    },
                );
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn counted<'a>(names: impl IntoIterator<Item = &'a str>) -> Distinct {
        let mut distinct = Distinct::default();
        names.into_iter().for_each(|name| distinct.add(name, 1));
        distinct
    }

    #[test]
    fn few_names_are_all_kept() {
        let distinct = counted(["b", "a", "b", "c"]);
        assert_eq!(distinct.names(), [("b", 2), ("a", 1), ("c", 1)]);
        assert_eq!(distinct.total(), 4);
        assert_eq!(distinct.contains("a"), Some(true));
        assert_eq!(distinct.contains("z"), Some(false));
    }

    #[test]
    fn a_full_sketch_says_that_it_cannot_tell() {
        let names: Vec<String> = (0..1000).map(|i| format!("n{i}")).collect();
        let distinct = counted(names.iter().map(String::as_str));
        let kept: Vec<&str> = distinct.names().into_iter().map(|(name, _)| name).collect();
        assert_eq!(kept.len(), KEPT);
        for name in &names {
            let expected = kept.contains(&name.as_str()).then_some(true);
            assert_eq!(distinct.contains(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn counts_are_exact_and_order_free(names in proptest::collection::vec("[a-e]{0,3}", 0..200), cut in 0usize..200) {
            let mut truth = BTreeMap::new();
            names.iter().for_each(|name| *truth.entry(name.as_str()).or_insert(0u64) += 1);
            let whole = counted(names.iter().map(String::as_str));
            for (name, count) in whole.names() {
                prop_assert_eq!(truth[name], count);
            }
            prop_assert_eq!(whole.names().len(), truth.len().min(KEPT));
            let (left, right) = names.split_at(cut.min(names.len()));
            let mut merged = counted(right.iter().rev().map(String::as_str));
            merged.merge(&counted(left.iter().map(String::as_str)));
            prop_assert_eq!(&merged, &whole);
            let stored = whole.kept().map(|(name, count)| (name.to_owned(), count)).collect();
            prop_assert_eq!(Distinct::from_stored(whole.total(), stored), Some(whole));
        }
    }
}
