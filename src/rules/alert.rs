//! The state of an alert, and the moves between states.
//!
//! There is one alert for each (model, version, segment, rule): it fires when any column is bad in `k` of its last `n`
//! judged windows and resolves when none is. An *episode* lasts from firing to resolved and is known by the window
//! that made it fire.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::{Key, Millis, Span};

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// No column was bad in the last windows.
    #[default]
    Inactive,
    /// Some column was bad, yet in fewer windows than the rule asks for.
    Pending,
    Firing,
    /// An episode has ended with the last judged window; the next one makes it inactive, pending or firing again.
    Resolved,
}

impl AlertStatus {
    pub const ALL: [AlertStatus; 4] = [
        AlertStatus::Inactive,
        AlertStatus::Pending,
        AlertStatus::Firing,
        AlertStatus::Resolved,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            AlertStatus::Inactive => "inactive",
            AlertStatus::Pending => "pending",
            AlertStatus::Firing => "firing",
            AlertStatus::Resolved => "resolved",
        }
    }
}

/// What an alert remembers. The default is an alert that has seen nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AlertState {
    pub status: AlertStatus,
    /// Event time of the last change of status; 0 before the first.
    pub since: Millis,
    /// The window that made it fire; kept until the episode's end has been left behind.
    pub episode_start: Option<Span>,
    /// For each column, oldest first, whether it was bad in its last judged windows: at most `n` of them. What
    /// concerns the whole window stands under `""`.
    pub history: BTreeMap<String, VecDeque<bool>>,
    /// The columns that are bad in at least `k` windows now, by name; empty for what concerns the whole window.
    pub columns: Vec<String>,
    /// The last window of which anything was judged.
    pub last_window: Option<Span>,
}

/// A change of status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub from: AlertStatus,
    pub to: AlertStatus,
    /// Event time: the window's end, or the tick.
    pub at: Millis,
    /// A sentence that says what is bad, where, and how often.
    pub reason: String,
    /// Those that are bad enough; for a resolved alert those that were.
    pub columns: Vec<String>,
    /// The window that began the episode; `None` outside one.
    pub episode_start: Option<Span>,
}

impl Transition {
    /// Whether somebody is told: an episode begins or ends.
    pub fn is_news(&self) -> bool {
        matches!(self.to, AlertStatus::Firing | AlertStatus::Resolved)
    }

    /// Identifies the news over retries, restarts and replays: the SHA-256, in hex, of model, version, segment, rule,
    /// the episode's first window and the transition, each with its length before it. `None` when it is no news.
    pub fn idempotency_key(&self, key: &Key, rule: &str) -> Option<String> {
        let episode = self.episode_start.filter(|_| self.is_news())?;
        let start = episode.start.to_string();
        let mut hash = Sha256::new();
        for part in [
            &key.model,
            &key.version,
            &key.segment,
            rule,
            &start,
            self.to.as_str(),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Some(
            hash.finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(to: AlertStatus, start: Millis) -> Transition {
        let episode_start = Some(Span::new(start, start + 10));
        Transition {
            from: AlertStatus::Pending,
            to,
            at: 10,
            reason: String::new(),
            columns: Vec::new(),
            episode_start,
        }
    }

    fn key(model: &str, version: &str) -> Key {
        Key {
            model: model.to_owned(),
            version: version.to_owned(),
            segment: String::new(),
        }
    }

    #[test]
    fn keys_differ_in_every_part_and_never_run_together() {
        let mut keys = vec![
            news(AlertStatus::Firing, 0).idempotency_key(&key("ab", "c"), "r"),
            news(AlertStatus::Firing, 0).idempotency_key(&key("a", "bc"), "r"),
            news(AlertStatus::Firing, 0).idempotency_key(&key("ab", "c"), "s"),
            news(AlertStatus::Firing, 1).idempotency_key(&key("ab", "c"), "r"),
            news(AlertStatus::Resolved, 0).idempotency_key(&key("ab", "c"), "r"),
        ];
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 5);
        assert!(keys.iter().flatten().all(|key| key.len() == 64));
    }

    #[test]
    fn a_key_is_the_same_in_every_release() {
        assert_eq!(
            news(AlertStatus::Firing, 1_356_998_400_000)
                .idempotency_key(&key("flights", "1"), "inputs")
                .as_deref(),
            Some("6a9f5d7c41d6e03a62f2c904e01ed0877af58190d9cbac8e027492c8d04b5c79"),
        );
    }

    #[test]
    fn what_is_no_news_has_no_key() {
        assert_eq!(
            news(AlertStatus::Pending, 0).idempotency_key(&key("a", ""), "r"),
            None
        );
    }
}
