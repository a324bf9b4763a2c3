//! What is wrong in a file that a person wrote, said so that they can put it right.
//!
//! **Invariant:** every problem names the file, the line, the field, the value as written, what is wrong with it and
//! what to write instead. Readers collect all problems of a file; none stops at the first one that can be passed.

use std::fmt;

use serde::Serialize;

/// Stands where a value should be and is not.
pub const MISSING: &str = "(missing)";

/// One thing to put right. Its text is `FILE:LINE: FIELD: VALUE: what is wrong; what to write instead`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file as the user named it.
    pub source: String,
    /// Counted from 1; 0, and not shown, where there is no such place: the file cannot be read, or is empty.
    pub line: usize,
    /// Path of the field, `rules[0].for` for example; `""` for the file as a whole.
    pub field: String,
    /// The value as written, cut to a line; `""` where there is none to show.
    pub value: String,
    pub wrong: String,
    pub remedy: String,
}

impl fmt::Display for Problem {
    /// One line, whatever stands in the file: line breaks and escape sequences are blanked out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = match self.line {
            0 => format!("{}: ", self.source),
            line => format!("{}:{line}: ", self.source),
        };
        for part in [&self.field, &self.value] {
            if !part.is_empty() {
                text += part;
                text += ": ";
            }
        }
        text += &self.wrong;
        text += "; ";
        text += &self.remedy;
        f.write_str(&text.replace(char::is_control, " "))
    }
}

impl std::error::Error for Problem {}

/// The known word nearest to a mistyped one; `None` when none is near enough to be meant.
///
/// Nearness is the Damerau–Levenshtein distance (optimal string alignment), at most a third of the known word's
/// length and at least 1; of equally near words the first in the list wins.
pub fn did_you_mean<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|word| (distance(&typed, word), *word))
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let swap = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + swap);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, expect: Option<&str>) {
        assert_eq!(
            did_you_mean(
                typed,
                &[
                    "severity",
                    "statistic",
                    "for",
                    "on",
                    "watch",
                    "false_alarms"
                ]
            ),
            expect
        );
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        check("severty", Some("severity"));
        check("wacth", Some("watch"));
        check("false-alarms", Some("false_alarms"));
        check("fro", Some("for"));
        check("Severity", Some("severity"));
    }

    #[test]
    fn a_foreign_word_is_not_bent_into_a_known_one() {
        check("threshold", None);
        check("", None);
    }

    #[test]
    fn distances_count_single_edits_and_swaps() {
        for (a, b, expect) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expect, "{a} {b}");
        }
    }
}
