//! A bounded set of names with exact counts that does not depend on the order of arrival.
//!
//! Of all names ever counted the sketch knows the counts of the [`COUNTED`] whose hash is smallest (a *bottom-k* sample:
//! Cohen and Kaplan 2007), so it is a fair sample of the distinct names; the first [`NAMED`] of them it can spell.
//! **Invariant:** these counts are exact. A name that is among the smallest of all was among the smallest at every moment
//! and in every part, so no occurrence of it was ever forgotten. Names beyond the first [`NAMED`] are told apart by their
//! 64-bit hash alone.
//!
//! Sketches of earlier versions knew [`NAMED`] counts. What they do not know stays unknown: merged with them a sketch
//! knows no more.

use std::cmp::Ordering;

use xxhash_rust::xxh3::xxh3_64;

/// Names kept: enough to show what is going on, little enough for thousands of columns.
pub const NAMED: usize = 16;
/// Names whose counts are kept: enough to know how many there are of each size.
pub const COUNTED: usize = 512;

/// A sample of distinct names, see the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distinct {
    total: u64,
    /// Ascending by (hash, name), no name twice, at most [`NAMED`].
    named: Vec<Named>,
    /// Ascending by hash, none twice, what comes after a full `named`; at most `room`.
    others: Vec<Hashed>,
    room: usize,
}

/// Counts that are kept of names that are not.
const ROOM: usize = COUNTED - NAMED;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    hash: u64,
    name: String,
    count: u64,
}

/// The hash that names are sampled by.
fn hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// A place for each name that has nothing to do with what it says, nor with whether it is sampled: for choices among equals.
pub(crate) fn lot(name: &str) -> u64 {
    lot_of(hash(name))
}

fn lot_of(hash: u64) -> u64 {
    xxh3_64(&hash.to_le_bytes())
}

/// A name that is known by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashed {
    pub hash: u64,
    pub count: u64,
}

impl Default for Distinct {
    fn default() -> Self {
        Self {
            total: 0,
            named: Vec::new(),
            others: Vec::new(),
            room: ROOM,
        }
    }
}

impl Distinct {
    /// Counts `count` occurrences of `name`.
    pub fn add(&mut self, name: &str, count: u64) {
        if count > 0 {
            self.total = self.total.saturating_add(count);
            self.keep(hash(name), name, count);
        }
    }

    /// Occurrences of all names, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The kept names with their exact counts: most frequent first, ties by name.
    pub fn names(&self) -> Vec<(&str, u64)> {
        let mut names: Vec<(&str, u64)> = self.named().collect();
        names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        names
    }

    /// The exact counts of at most [`COUNTED`] names, a fair sample of all; of all where they add up to
    /// [`Distinct::total`].
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        let named = self.named.iter().map(|named| named.count);
        named.chain(self.others.iter().map(|other| other.count))
    }

    /// Whether `name` was counted: `None` when the sketch is full and cannot tell.
    pub fn contains(&self, name: &str) -> Option<bool> {
        let hash = hash(name);
        match self.position(hash, name) {
            Ok(_) => Some(true),
            Err(at) if at < NAMED => Some(false),
            Err(_) => match self.others.binary_search_by_key(&hash, |other| other.hash) {
                Ok(_) => Some(true),
                Err(at) if at < self.room => Some(false),
                Err(_) => None,
            },
        }
    }

    /// The [`lot`] of each name of [`Distinct::counts`], with its count.
    pub(crate) fn lots(&self) -> impl Iterator<Item = (u64, u64)> {
        let named = self.named.iter().map(|named| (named.hash, named.count));
        let others = self.others.iter().map(|other| (other.hash, other.count));
        named
            .chain(others)
            .map(|(hash, count)| (lot_of(hash), count))
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        self.room = self.room.min(other.room);
        self.others.truncate(self.room);
        for named in &other.named {
            self.keep(named.hash, &named.name, named.count);
        }
        // Where there are others, their names are full, and so are ours now.
        let (mut ours, mut theirs) = (self.others.as_slice(), other.others.as_slice());
        let mut merged = Vec::with_capacity(self.room.min(ours.len() + theirs.len()));
        while merged.len() < self.room {
            let next = match (ours, theirs) {
                ([a, ..], [b, ..]) if a.hash == b.hash => Hashed {
                    hash: a.hash,
                    count: a.count.saturating_add(b.count),
                },
                ([a, ..], [b, ..]) => *if a.hash < b.hash { a } else { b },
                ([one, ..], []) | ([], [one, ..]) => *one,
                ([], []) => break,
            };
            for side in [&mut ours, &mut theirs] {
                if side.first().is_some_and(|first| first.hash == next.hash) {
                    *side = &side[1..];
                }
            }
            merged.push(next);
        }
        self.others = merged;
    }

    /// The kept names in the order of their hashes: the stored order.
    pub(crate) fn named(&self) -> impl ExactSizeIterator<Item = (&str, u64)> {
        self.named
            .iter()
            .map(|named| (named.name.as_str(), named.count))
    }

    /// What is kept of the names after those, in the stored order.
    pub(crate) fn others(&self) -> &[Hashed] {
        &self.others
    }

    /// From stored parts; `None` when no sequence of [`Distinct::add`] can have led to them.
    pub(crate) fn from_stored(
        total: u64,
        names: Vec<(String, u64)>,
        others: Vec<Hashed>,
    ) -> Option<Self> {
        let named: Vec<Named> = names
            .into_iter()
            .map(|(name, count)| Named {
                hash: hash(&name),
                name,
                count,
            })
            .collect();
        let mut distinct = Self {
            total,
            named,
            others,
            room: ROOM,
        };
        let counted = distinct
            .counts()
            .try_fold(0u64, |sum, count| sum.checked_add(count))?;
        if counted < total {
            distinct.room = distinct.others.len();
        }
        let (named, others) = (&distinct.named, &distinct.others);
        let whole = match others.len() {
            ROOM => counted <= total,
            0 if named.len() == NAMED => counted <= total,
            kept => kept < ROOM && counted == total,
        };
        let sorted = named.is_sorted_by(|a, b| (a.hash, &a.name) < (b.hash, &b.name))
            && others.is_sorted_by(|a, b| a.hash < b.hash);
        let follow = match (named.last(), others.first()) {
            (Some(last), Some(first)) => named.len() == NAMED && last.hash <= first.hash,
            (None, Some(_)) => false,
            (_, None) => named.len() <= NAMED,
        };
        (whole && sorted && follow && distinct.counts().all(|count| count > 0)).then_some(distinct)
    }

    fn position(&self, hash: u64, name: &str) -> Result<usize, usize> {
        self.named
            .binary_search_by(|named| match named.hash.cmp(&hash) {
                Ordering::Equal => named.name.as_str().cmp(name),
                other => other,
            })
    }

    fn keep(&mut self, hash: u64, name: &str, count: u64) {
        match self.position(hash, name) {
            Ok(at) => self.named[at].count = self.named[at].count.saturating_add(count),
            Err(at) if at < NAMED => {
                if self.named.len() == NAMED
                    && let Some(Named { hash, count, .. }) = self.named.pop()
                {
                    self.count(Hashed { hash, count });
                }
                self.named.insert(
                    at,
                    Named {
                        hash,
                        name: name.to_owned(),
                        count,
                    },
                );
            }
            Err(_) => self.count(Hashed { hash, count }),
        }
    }

    fn count(&mut self, new: Hashed) {
        match self
            .others
            .binary_search_by_key(&new.hash, |other| other.hash)
        {
            Ok(at) => self.others[at].count = self.others[at].count.saturating_add(new.count),
            Err(at) if at < self.room => {
                self.others.truncate(self.room - 1);
                self.others.insert(at, new);
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
        let names: Vec<String> = (0..2000).map(|i| format!("n{i}")).collect();
        let distinct = counted(names.iter().map(String::as_str));
        assert_eq!(distinct.names().len(), NAMED);
        assert_eq!(distinct.counts().count(), COUNTED);
        let told = names.iter().map(|name| distinct.contains(name));
        let [kept, cannot_tell] = [Some(true), None].map(|found| {
            let told = told.clone();
            told.filter(|told| *told == found).count()
        });
        assert_eq!((kept, cannot_tell), (COUNTED, names.len() - COUNTED));
        let [first, ..] = distinct.names()[..] else {
            panic!("names")
        };
        assert_eq!(distinct.contains(first.0), Some(true));
    }

    /// Sums over all names come from the sample: half of them are even, and have two occurrences.
    #[test]
    fn counts_are_a_fair_sample() {
        let mut distinct = Distinct::default();
        for i in 0..20_000 {
            distinct.add(&format!("n{i}"), 1 + i % 2);
        }
        let twice = distinct.counts().filter(|count| *count == 2).count();
        assert!((200..312).contains(&twice), "{twice}");
        assert_eq!(distinct.total(), 30_000);
    }

    #[test]
    fn a_sketch_of_few_counts_makes_others_no_wiser() {
        let names: Vec<String> = (0..300).map(|i| format!("n{i}")).collect();
        let all = counted(names.iter().map(String::as_str));
        let named: Vec<(String, u64)> = all
            .named()
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
        let few =
            Distinct::from_stored(300, named.clone(), Vec::new()).expect("as it was kept once");
        let mut merged = all.clone();
        merged.merge(&few);
        let mut turned = few.clone();
        turned.merge(&all);
        assert_eq!(merged, turned);
        assert_eq!((merged.total(), merged.counts().count()), (600, NAMED));
        assert!(merged.counts().all(|count| count == 2));
        for name in &names {
            merged.add(name, 1);
        }
        assert_eq!((merged.total(), merged.counts().count()), (900, NAMED));
        let known = names.iter().filter(|name| merged.contains(name).is_some());
        assert_eq!(known.count(), NAMED);
        // Where these were all there are, nothing is left open.
        let whole = Distinct::from_stored(16, named, Vec::new()).expect("sixteen names");
        let mut merged = whole.clone();
        merged.merge(&all);
        assert_eq!(merged.counts().count(), names.len());
    }

    proptest! {
        #[test]
        fn counts_are_exact_and_order_free(
            names in prop_oneof![
                proptest::collection::vec("[a-e]{0,3}", 0..200),
                proptest::collection::vec("[a-z]{0,3}", 0..4_000),
            ],
            cut in 0usize..4_000,
        ) {
            let mut truth = BTreeMap::new();
            names.iter().for_each(|name| *truth.entry(name.as_str()).or_insert(0u64) += 1);
            let whole = counted(names.iter().map(String::as_str));
            for (name, count) in whole.names() {
                prop_assert_eq!(truth[name], count);
            }
            prop_assert_eq!(whole.names().len(), truth.len().min(NAMED));
            prop_assert_eq!(whole.counts().count(), truth.len().min(COUNTED));
            let mut by_hash: Vec<(u64, u64)> =
                truth.iter().map(|(name, &count)| (xxh3_64(name.as_bytes()), count)).collect();
            by_hash.sort_unstable();
            prop_assert!(whole.counts().eq(by_hash.iter().take(COUNTED).map(|(_, count)| *count)));
            let (left, right) = names.split_at(cut.min(names.len()));
            let mut merged = counted(right.iter().rev().map(String::as_str));
            merged.merge(&counted(left.iter().map(String::as_str)));
            prop_assert_eq!(&merged, &whole);
            let stored = || whole.named().map(|(name, count)| (name.to_owned(), count)).collect();
            let others = whole.others().to_vec();
            prop_assert_eq!(Distinct::from_stored(whole.total(), stored(), others.clone()), Some(whole.clone()));
            let is_full = truth.len() == NAMED || truth.len() >= COUNTED;
            prop_assert_eq!(Distinct::from_stored(whole.total() + 1, stored(), others.clone()).is_some(), is_full);
            if let Some((last, rest)) = others.split_last()
                && !rest.is_empty()
            {
                // Cut, out of order, and counts of nothing.
                prop_assert_eq!(Distinct::from_stored(whole.total(), stored(), rest.to_vec()), None);
                let mut wrong = others.clone();
                wrong.insert(0, *last);
                prop_assert_eq!(Distinct::from_stored(whole.total(), stored(), wrong), None);
                let mut wrong = others.clone();
                wrong[0].count = 0;
                prop_assert_eq!(Distinct::from_stored(whole.total(), stored(), wrong), None);
            }
        }
    }
}
