//! What an answer means, and when to try again. Pure.
//!
//! Source: the operational advice of Standard Webhooks 1.0. A 2xx is success; everything else is failure, redirects
//! included; 410 says never again; 429, 502 and 504 ask for patience, and so does `retry-after`.

use chrono::DateTime;

use crate::event::{HOUR, MINUTE, Millis, SECOND};

/// How long to wait before each attempt, the first being at once. After the last the notification has failed: three
/// days have passed.
pub const SCHEDULE: [Millis; 10] = [
    0,
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
];

/// Up to this share is added to a wait, so that what failed together does not come back together.
const JITTER: f64 = 0.2;

/// No receiver can put us off for longer by `retry-after`.
const RETRY_AFTER_MAX: Millis = 24 * HOUR;

/// How an attempt ended, as seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Answered {
        status: u16,
        /// The header as it came: seconds or an HTTP date.
        retry_after: Option<String>,
    },
    TimedOut,
    /// No connection, or it broke.
    Unreachable(String),
    /// The address is internal and the receiver does not allow that.
    Blocked(String),
}

impl Reply {
    /// A bounded label for the metric of deliveries: the status, or what came instead of one.
    pub fn code(&self) -> String {
        match self {
            Reply::Answered { status, .. } => status.to_string(),
            Reply::TimedOut => "timeout".to_string(),
            Reply::Unreachable(_) => "unreachable".to_string(),
            Reply::Blocked(_) => "blocked".to_string(),
        }
    }

    /// For people: what went wrong.
    fn reason(&self) -> String {
        match self {
            Reply::Answered {
                status: 300..=399, ..
            } => {
                format!(
                    "{}: redirects are not followed; configure the final address",
                    self.code()
                )
            }
            Reply::Answered { status, .. } => format!("the receiver answered {status}"),
            Reply::TimedOut => "the receiver did not answer in time".to_string(),
            Reply::Unreachable(why) | Reply::Blocked(why) => why.clone(),
        }
    }
}

/// What to do next. Moments are wall time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    Retry {
        at_wall: Millis,
        reason: String,
    },
    /// As `Retry`, and nothing else goes to this receiver before then.
    Throttle {
        at_wall: Millis,
        reason: String,
    },
    /// The receiver is gone: nothing is sent there any more.
    Disable {
        reason: String,
    },
    /// The last attempt of the schedule failed.
    Fail {
        reason: String,
    },
}

/// Judges the attempt number `attempt` (from 1) of notification `id`, made at `now_wall`.
pub fn decide(reply: &Reply, id: &str, attempt: u32, now_wall: Millis) -> Outcome {
    let (status, retry_after) = match reply {
        Reply::Answered {
            status: 200..=299, ..
        } => return Outcome::Delivered,
        Reply::Answered { status: 410, .. } => {
            return Outcome::Disable {
                reason: reply.reason(),
            };
        }
        Reply::Answered {
            status,
            retry_after,
        } => (Some(*status), retry_after.as_deref()),
        _ => (None, None),
    };
    let reason = reply.reason();
    let Some(wait) = SCHEDULE.get(attempt as usize) else {
        return Outcome::Fail { reason };
    };
    let asked = retry_after
        .and_then(|text| parse_retry_after(text, now_wall))
        .unwrap_or(0);
    let at_wall = now_wall + jittered(*wait, id, attempt).max(asked.clamp(0, RETRY_AFTER_MAX));
    match status {
        Some(429 | 502 | 504) => Outcome::Throttle { at_wall, reason },
        _ => Outcome::Retry { at_wall, reason },
    }
}

/// Seconds or an HTTP date, as a wait from `now_wall`; `None` if it is neither.
fn parse_retry_after(text: &str, now_wall: Millis) -> Option<Millis> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Millis::from(seconds) * SECOND);
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some(date.timestamp_millis() - now_wall)
}

/// Deterministic, so that tests and replays agree: the share comes from the id and the attempt.
fn jittered(wait: Millis, id: &str, attempt: u32) -> Millis {
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(id.as_bytes(), u64::from(attempt));
    let share = (hash >> 11) as f64 / (1u64 << 53) as f64;
    wait + (wait as f64 * JITTER * share) as Millis
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Millis = 1_700_000_000_000;

    fn answered(status: u16, retry_after: Option<&str>) -> Reply {
        Reply::Answered {
            status,
            retry_after: retry_after.map(str::to_string),
        }
    }

    /// The wait after the first attempt, if there is one, and whether the whole receiver waits.
    #[track_caller]
    fn wait(reply: Reply) -> (Millis, bool) {
        match decide(&reply, "id", 1, NOW) {
            Outcome::Retry { at_wall, .. } => (at_wall - NOW, false),
            Outcome::Throttle { at_wall, .. } => (at_wall - NOW, true),
            other => panic!("{reply:?} is not tried again: {other:?}"),
        }
    }

    #[test]
    fn success_is_2xx_and_nothing_else() {
        for status in [200, 201, 204, 299] {
            assert_eq!(
                decide(&answered(status, None), "id", 1, NOW),
                Outcome::Delivered
            );
        }
        for status in [100, 199, 300, 301, 308, 400, 401, 404, 500, 503] {
            assert!(!wait(answered(status, None)).1, "{status}");
        }
    }

    #[test]
    fn gone_disables_at_any_attempt() {
        for attempt in [1, 5, 10] {
            let outcome = decide(&answered(410, None), "id", attempt, NOW);
            assert_eq!(
                outcome,
                Outcome::Disable {
                    reason: "the receiver answered 410".to_string()
                }
            );
        }
    }

    #[test]
    fn overload_throttles_the_receiver() {
        for status in [429, 502, 504] {
            assert!(wait(answered(status, None)).1, "{status}");
        }
    }

    #[test]
    fn no_answer_is_tried_again() {
        for reply in [
            Reply::TimedOut,
            Reply::Unreachable("x".into()),
            Reply::Blocked("x".into()),
        ] {
            let (waited, throttled) = wait(reply);
            assert!((5 * SECOND..=6 * SECOND).contains(&waited));
            assert!(!throttled);
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_day() {
        assert_eq!(wait(answered(429, Some("120"))).0, 120 * SECOND);
        assert_eq!(wait(answered(503, Some("120"))).0, 120 * SECOND);
        // 2023-11-14T22:13:20Z is NOW.
        assert_eq!(
            wait(answered(429, Some("Tue, 14 Nov 2023 22:23:20 GMT"))).0,
            10 * MINUTE
        );
        assert_eq!(wait(answered(429, Some("4000000000"))).0, 24 * HOUR);
        let (plain, _) = wait(answered(429, None));
        assert_eq!(
            wait(answered(429, Some("1"))).0,
            plain,
            "never sooner than the schedule"
        );
        assert_eq!(
            wait(answered(429, Some("Tue, 14 Nov 1995 22:23:20 GMT"))).0,
            plain
        );
        assert_eq!(wait(answered(429, Some("soon"))).0, plain);
    }

    #[test]
    fn ten_attempts_over_three_days_and_then_it_has_failed() {
        let mut now = NOW;
        for attempt in 1..10 {
            match decide(&answered(500, None), "id", attempt, now) {
                Outcome::Retry { at_wall, .. } => now = at_wall,
                other => panic!("attempt {attempt}: {other:?}"),
            }
        }
        assert!((now - NOW) > 75 * HOUR && (now - NOW) < 92 * HOUR);
        assert_eq!(
            decide(&answered(500, None), "id", 10, now),
            Outcome::Fail {
                reason: "the receiver answered 500".to_string()
            }
        );
    }

    #[test]
    fn redirects_say_what_to_do() {
        let Outcome::Retry { reason, .. } = decide(&answered(302, None), "id", 1, NOW) else {
            panic!("a redirect is tried again");
        };
        assert_eq!(
            reason,
            "302: redirects are not followed; configure the final address"
        );
    }

    proptest! {
        #[test]
        fn jitter_only_lengthens_by_at_most_a_fifth(id in ".{0,40}", attempt in 1u32..10) {
            let wait = SCHEDULE[attempt as usize];
            let jittered = jittered(wait, &id, attempt);
            prop_assert!(wait <= jittered && jittered <= wait + wait / 5);
        }
    }

    #[test]
    fn jitter_spreads_what_failed_together() {
        let waits: std::collections::BTreeSet<Millis> = (0..100)
            .map(|i| jittered(HOUR, &format!("id {i}"), 1))
            .collect();
        assert!(waits.len() > 95);
    }
}
