//! Cutting results, newest first, into pages.
//!
//! **Invariant:** what ends at the same moment stands on one page, so that a page can be continued by a time alone and
//! no entry is left out or shown twice.

use crate::event::Millis;

/// A page cut off a list.
#[derive(Debug, PartialEq, Eq)]
pub enum Page<T> {
    /// Whole groups. `next` is the end of the last one, if there are more.
    Whole { rows: Vec<T>, next: Option<Millis> },
    /// More entries than the limit end at `end`: the list holds only a part of them.
    LargerThanLimit { end: Millis },
}

/// Cuts `rows`, of which at most `limit + 1` were fetched, newest `end` first.
pub fn cut<T>(mut rows: Vec<T>, limit: usize, end: impl Fn(&T) -> Millis) -> Page<T> {
    if rows.len() <= limit {
        return Page::Whole { rows, next: None };
    }
    let left_out = end(&rows[limit]);
    let whole = rows.partition_point(|row| end(row) > left_out);
    if whole == 0 {
        return Page::LargerThanLimit { end: left_out };
    }
    rows.truncate(whole);
    let next = rows.last().map(end);
    Page::Whole { rows, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rows: &[Millis], limit: usize, expect: Page<Millis>) {
        assert_eq!(cut(rows.to_vec(), limit, |row| *row), expect);
    }

    fn whole(rows: &[Millis], next: Option<Millis>) -> Page<Millis> {
        Page::Whole {
            rows: rows.to_vec(),
            next,
        }
    }

    #[test]
    fn a_short_list_is_one_page() {
        check(&[], 2, whole(&[], None));
        check(&[3, 3], 2, whole(&[3, 3], None));
    }

    #[test]
    fn what_ends_together_is_not_split() {
        check(&[3, 2, 1], 2, whole(&[3, 2], Some(2)));
        check(&[3, 2, 2], 2, whole(&[3], Some(3)));
        check(&[3, 3, 3], 2, Page::LargerThanLimit { end: 3 });
    }
}
