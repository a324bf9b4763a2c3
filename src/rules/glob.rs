//! Patterns of names: `*` stands for any text, also none, `?` for one character; everything else for itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::profile;

/// A pattern for the names of models or columns. There is no escape: a name that holds `*` or `?` matches itself too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for one name only.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// How many characters of a name it settles; the pattern with more of them is the more particular one.
    pub fn literals(&self) -> usize {
        self.0.chars().filter(|c| !matches!(c, '*' | '?')).count()
    }

    pub fn matches(&self, name: &str) -> bool {
        profile::glob::matches(&self.0, name)
    }

    /// Whether some name matches both patterns.
    pub fn overlaps(&self, other: &Glob) -> bool {
        let (a, b): (Vec<char>, Vec<char>) = (self.0.chars().collect(), other.0.chars().collect());
        // possible[j]: some text matches both a[i..] and b[j..]; rows of i from the back.
        let mut below = vec![false; b.len() + 1];
        for i in (0..=a.len()).rev() {
            let mut row = vec![false; b.len() + 1];
            for j in (0..=b.len()).rev() {
                row[j] = match (a.get(i), b.get(j)) {
                    (None, None) => true,
                    (Some('*'), Some('*')) => below[j] || row[j + 1],
                    (Some('*'), None) => below[j],
                    (None, Some('*')) => row[j + 1],
                    (Some('*'), Some(_)) => below[j] || row[j + 1],
                    (Some(_), Some('*')) => row[j + 1] || below[j],
                    (Some(x), Some(y)) => (x == y || *x == '?' || *y == '?') && below[j + 1],
                    _ => false,
                };
            }
            below = row;
        }
        below[0]
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expect: bool) {
        assert_eq!(Glob::new(pattern).matches(name), expect, "{pattern} {name}");
    }

    #[test]
    fn names_match_patterns() {
        check("*", "", true);
        check("*", "temp", true);
        check("temp", "temp", true);
        check("temp", "temperature", false);
        check("temp*", "temperature", true);
        check("*_id", "request_id", true);
        check("*_id", "request_ids", false);
        check("a*b*c", "aXbYbZc", true);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("prediction.scores.*", "prediction.scores.up", true);
        check("é?", "éü", true);
        check("", "", true);
        check("", "x", false);
    }

    #[track_caller]
    fn both(a: &str, b: &str, expect: bool) {
        assert_eq!(Glob::new(a).overlaps(&Glob::new(b)), expect, "{a} {b}");
        assert_eq!(Glob::new(b).overlaps(&Glob::new(a)), expect, "{b} {a}");
    }

    #[test]
    fn overlap_means_a_common_name() {
        both("power*", "*wer", true);
        both("power-*", "price-*", false);
        both("a?", "?b", true);
        both("a", "b", false);
        both("*", "", true);
        both("a*c", "ab*", true);
        both("a*c", "a*d", false);
    }

    proptest! {
        #[test]
        fn matching_agrees_with_overlap(pattern in "[ab*?]{0,6}", name in "[ab]{0,6}") {
            let glob = Glob::new(pattern);
            prop_assert_eq!(glob.matches(&name), glob.overlaps(&Glob::new(name.clone())));
        }

        #[test]
        fn two_patterns_with_a_common_name_overlap(a in "[ab*?]{0,6}", b in "[ab*?]{0,6}", name in "[ab]{0,6}") {
            let (a, b) = (Glob::new(a), Glob::new(b));
            if a.matches(&name) && b.matches(&name) {
                prop_assert!(a.overlaps(&b));
            }
        }
    }
}
