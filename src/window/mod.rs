//! Event time: which windows a row belongs to, how late it is for them, and when a window is complete.
//!
//! Pure integer arithmetic. **Invariant:** everything here is a function of one partition's own records and of
//! the declared [`WindowSpec`]; no clock is read.
//!
//! A *pane* is the piece of time that is counted once: for tumbling windows the window itself, for sliding ones
//! `every`. A row's *pane epoch* says how late it came for its pane by its partition's own watermark: 0 before the
//! watermark passed the pane's end, then one more for each `granule`. A window's revision `r` merges, from each of
//! its panes, all epochs up to [`WindowSpec::epoch_limit`], so that one stored partial serves every window and
//! every revision.

use serde::{Deserialize, Serialize};

use crate::event::{DAY, HOUR, Millis, Span, WEEK};

/// Monday 1970-01-05: windows of whole weeks begin on Mondays.
const FIRST_MONDAY: Millis = 4 * DAY;

/// How a model's time is cut. All lengths in milliseconds; only `rules` builds one, and checks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSpec {
    /// Distance between window starts.
    pub every: Millis,
    /// Length of a window; equal to `every` for tumbling windows, else a multiple of it.
    pub span: Millis,
    /// How far rows may be out of order without being late.
    pub lateness: Millis,
    /// Distance of revisions; a multiple of `every` for sliding windows.
    pub revise_every: Millis,
    /// How long after its end a window still takes rows.
    pub late_horizon: Millis,
    /// How long after a window's end its labels are waited for before performance is judged.
    pub label_maturity: Millis,
    /// How long after a window's end its labels still change its results; not below `label_maturity`.
    pub label_horizon: Millis,
    /// Fewest rows a window is judged on.
    pub min_rows: u64,
}

impl Default for WindowSpec {
    fn default() -> Self {
        Self {
            every: DAY,
            span: DAY,
            lateness: HOUR,
            revise_every: HOUR,
            late_horizon: DAY,
            label_maturity: 7 * DAY,
            label_horizon: 30 * DAY,
            min_rows: 100,
        }
    }
}

impl WindowSpec {
    pub fn is_tumbling(&self) -> bool {
        self.span == self.every
    }

    fn origin(&self) -> Millis {
        if self.every % WEEK == 0 {
            FIRST_MONDAY
        } else {
            0
        }
    }

    /// The pane that holds `ts`.
    pub fn pane(&self, ts: Millis) -> Span {
        let start = (ts - self.origin()).div_euclid(self.every) * self.every + self.origin();
        Span::new(start, start + self.every)
    }

    /// The unit in which pane epochs count.
    pub fn granule(&self) -> Millis {
        if self.is_tumbling() {
            self.revise_every
        } else {
            self.every
        }
    }

    /// The windows that contain `pane`, earliest first.
    pub fn windows_of(&self, pane: Span) -> impl Iterator<Item = Span> + '_ {
        let count = self.span / self.every;
        (0..count).map(move |i| {
            let start = pane.start - (count - 1 - i) * self.every;
            Span::new(start, start + self.span)
        })
    }

    /// The panes of `window`, earliest first.
    pub fn panes_of(&self, window: Span) -> impl Iterator<Item = Span> + '_ {
        (0..self.span / self.every).map(move |i| {
            let start = window.start + i * self.every;
            Span::new(start, start + self.every)
        })
    }

    /// How late a row is for `pane` when its partition's watermark stands at `watermark`.
    /// `None`: beyond the horizon of the last window that holds the pane, so the row is *late*.
    pub fn epoch(&self, pane: Span, watermark: Millis) -> Option<u32> {
        if watermark < pane.end {
            return Some(0);
        }
        if watermark >= pane.end + (self.span - self.every) + self.late_horizon {
            return None;
        }
        u32::try_from((watermark - pane.end) / self.granule() + 1).ok()
    }

    /// The highest pane epoch that revision `revision` of `window` includes.
    pub fn epoch_limit(&self, window: Span, pane: Span, revision: u32) -> u32 {
        let reach = (window.end - pane.end) + Millis::from(revision) * self.revise_every;
        u32::try_from(reach / self.granule()).unwrap_or(u32::MAX)
    }

    /// The model's watermark at which `revision` of a window may be made.
    pub fn complete_at(&self, window: Span, revision: u32) -> Millis {
        window.end + Millis::from(revision) * self.revise_every
    }

    /// The label ages, in ms after a window's end, at which performance is computed, youngest first: 1 h, 6 h, 1 d,
    /// 3 d and 7 d as far as they lie below `label_maturity`, `label_maturity` itself, and `label_horizon`.
    pub fn label_ages(&self) -> Vec<Millis> {
        let early = [HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY];
        let mut ages: Vec<Millis> = early
            .into_iter()
            .filter(|age| *age < self.label_maturity)
            .collect();
        ages.push(self.label_maturity);
        ages.push(self.label_horizon);
        ages.dedup();
        ages
    }

    /// The last revision a window can have.
    pub fn last_revision(&self) -> u32 {
        u32::try_from((self.late_horizon + self.revise_every - 1) / self.revise_every)
            .unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::MINUTE;
    use proptest::prelude::*;

    fn sliding() -> WindowSpec {
        WindowSpec {
            every: 5 * MINUTE,
            span: HOUR,
            revise_every: HOUR,
            ..WindowSpec::default()
        }
    }

    #[test]
    fn weeks_begin_on_mondays() {
        let spec = WindowSpec {
            every: WEEK,
            span: WEEK,
            ..WindowSpec::default()
        };
        let tuesday_2013_01_01 = 1_356_998_400_000;
        assert_eq!(
            crate::event::rfc3339(spec.pane(tuesday_2013_01_01).start),
            "2012-12-31T00:00:00Z"
        );
    }

    #[test]
    fn times_before_1970_fall_into_the_pane_that_contains_them() {
        let spec = WindowSpec::default();
        assert_eq!(spec.pane(-1), Span::new(-DAY, 0));
    }

    #[test]
    fn a_row_on_the_watermark_is_late_by_one_epoch() {
        let spec = WindowSpec::default();
        let pane = Span::new(0, DAY);
        assert_eq!(spec.epoch(pane, DAY - 1), Some(0));
        assert_eq!(spec.epoch(pane, DAY), Some(1));
        assert_eq!(spec.epoch(pane, DAY + HOUR), Some(2));
        assert_eq!(spec.epoch(pane, DAY + DAY - 1), Some(24));
        assert_eq!(spec.epoch(pane, DAY + DAY), None);
    }

    proptest! {
        /// The defining law: revision r of a window holds exactly the rows that came before the partition's
        /// watermark reached the moment at which that revision may be made.
        #[test]
        fn a_revision_holds_what_came_before_it_could_be_made(
            ts in 0..10 * DAY, watermark in 0..12 * DAY, revision in 0u32..30, tumbling in any::<bool>(),
        ) {
            let spec = if tumbling { WindowSpec::default() } else { sliding() };
            let pane = spec.pane(ts);
            if let Some(epoch) = spec.epoch(pane, watermark) {
                for window in spec.windows_of(pane) {
                    let included = epoch <= spec.epoch_limit(window, pane, revision);
                    prop_assert_eq!(included, watermark < spec.complete_at(window, revision));
                }
            }
        }

        #[test]
        fn windows_and_panes_agree(ts in -10 * DAY..10 * DAY) {
            for spec in [WindowSpec::default(), sliding()] {
                let pane = spec.pane(ts);
                prop_assert!(pane.contains(ts));
                for window in spec.windows_of(pane) {
                    prop_assert!(window.contains(ts));
                    prop_assert!(spec.panes_of(window).any(|p| p == pane));
                }
            }
        }
    }
}
