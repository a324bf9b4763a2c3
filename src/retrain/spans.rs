//! Which stretches of event time a run learns from and is judged on. Pure.
//!
//! ```text
//!          training                  embargo        hold-out          embargo
//! ├── fit ── embargo ── validate ──┤─────────┤├──────────────────┤├──────────────┤ requested
//! ```
//!
//! **Invariants:** every label of a row that is judged had the whole embargo to come in; no row of the hold-out and no
//! label that came after its start is ever learned from, neither in choosing a candidate nor in fitting it.

use serde::{Deserialize, Serialize};

use crate::event::{Millis, Span};
use crate::rules::RetrainPolicy;
use crate::window::WindowSpec;

/// Where training begins if the policy sets no bound: before every row.
const BEGINNING: Millis = Millis::MIN / 4;

/// Share of the training span, its last part, on which candidates are compared.
const VALIDATION_SHARE: f64 = 0.2;

/// The time of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans {
    /// Rows to learn from.
    pub training: Span,
    /// Labels that came before this are learned from, and no later ones: the hold-out's start.
    pub training_known_by: Millis,
    pub hold_out: Span,
    /// Labels that came before this judge: the time of the request.
    pub hold_out_known_by: Millis,
    /// Time that labels take.
    pub embargo: Millis,
}

impl Spans {
    /// The time of a run that was asked for at `requested`, in event time.
    pub fn of(requested: Millis, policy: &RetrainPolicy, window: &WindowSpec) -> Self {
        let embargo = policy.embargo.unwrap_or(window.label_maturity);
        let end = requested.saturating_sub(embargo);
        let hold_out = Span::new(end.saturating_sub(policy.hold_out), end);
        let training_end = hold_out.start.saturating_sub(embargo);
        let start = policy
            .history
            .map_or(BEGINNING, |history| hold_out.start.saturating_sub(history));
        Self {
            training: Span::new(start.min(training_end), training_end),
            training_known_by: hold_out.start,
            hold_out,
            hold_out_known_by: requested,
            embargo,
        }
    }

    /// The same with training from the first row that there is, so that it can be told and repeated.
    pub fn beginning_at(mut self, first_ts: Millis) -> Self {
        self.training.start = self.training.start.max(first_ts).min(self.training.end);
        self
    }
}

/// Where the training span is cut to compare candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Rows before this are fitted on, with labels that came before [`Choice::validation`]'s start.
    pub fit_end: Millis,
    pub validation: Span,
}

impl Choice {
    /// The cut of a training span whose start is that of its first row.
    pub fn of(training: Span, embargo: Millis) -> Self {
        let length = training.length().max(0);
        let start = training.end - (length as f64 * VALIDATION_SHARE) as Millis;
        Self {
            fit_end: start - embargo,
            validation: Span::new(start, training.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::DAY;

    fn policy(history: Option<Millis>, embargo: Option<Millis>) -> RetrainPolicy {
        RetrainPolicy {
            history,
            embargo,
            hold_out: 14 * DAY,
            ..RetrainPolicy::default()
        }
    }

    fn window() -> WindowSpec {
        WindowSpec {
            label_maturity: 7 * DAY,
            ..WindowSpec::default()
        }
    }

    #[test]
    fn labels_of_the_hold_out_had_the_maturity_to_come_in() {
        let spans = Spans::of(100 * DAY, &policy(None, None), &window());
        assert_eq!(spans.hold_out, Span::new(79 * DAY, 93 * DAY));
        assert_eq!(spans.training.end, 72 * DAY);
        assert_eq!(spans.training_known_by, 79 * DAY);
        let bounded = Spans::of(100 * DAY, &policy(Some(30 * DAY), Some(DAY)), &window());
        assert_eq!(bounded.hold_out, Span::new(85 * DAY, 99 * DAY));
        assert_eq!(bounded.training, Span::new(55 * DAY, 84 * DAY));
    }

    #[test]
    fn the_beginning_is_told_as_the_first_row() {
        let spans = Spans::of(100 * DAY, &policy(None, None), &window()).beginning_at(3 * DAY);
        assert_eq!(spans.training, Span::new(3 * DAY, 72 * DAY));
        let none = Spans::of(100 * DAY, &policy(None, None), &window()).beginning_at(90 * DAY);
        assert_eq!(none.training, Span::new(72 * DAY, 72 * DAY));
    }

    proptest! {
        #[test]
        fn nothing_that_is_judged_was_learned_from(
            requested in -1_000 * DAY..100_000 * DAY,
            history in proptest::option::of(0..1_000 * DAY),
            embargo in proptest::option::of(0..100 * DAY),
            first in -1_000 * DAY..100_000 * DAY,
        ) {
            let spans = Spans::of(requested, &policy(history, embargo), &window()).beginning_at(first);
            prop_assert!(spans.training.start <= spans.training.end);
            prop_assert!(spans.training.end + spans.embargo <= spans.hold_out.start);
            prop_assert!(spans.training_known_by <= spans.hold_out.start);
            prop_assert!(spans.hold_out.end + spans.embargo <= spans.hold_out_known_by);
            let choice = Choice::of(spans.training, spans.embargo);
            prop_assert!(choice.fit_end + spans.embargo <= choice.validation.start);
            prop_assert!(choice.validation.end == spans.training.end);
            prop_assert!(choice.validation.start >= spans.training.start);
        }
    }
}
