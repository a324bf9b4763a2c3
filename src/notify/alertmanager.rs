//! Alertmanager's v2 API: the same alert, told as labels.
//!
//! **Invariant:** the labels of an alert are the same from its first message to its last, since they are its identity
//! there; whatever may change in between is an annotation.
//!
//! A firing alert ends by itself in Alertmanager unless it is told again, so it is, every [`RESEND`]; each time with
//! an end a few minutes ahead, so that it also ends if driftline is gone. Times on the wire are wall time but for the
//! start, which is the first window of the episode.

use serde_json::{Value, json};

use super::event::AlertEvent;
use crate::event::{MINUTE, Millis, rfc3339};

/// How often a firing alert is told again.
pub const RESEND: Millis = MINUTE;

/// How far ahead a firing alert's end is set: so many repetitions may be lost.
const ENDS_AFTER: Millis = 5 * RESEND;

/// The body of `POST /api/v2/alerts` that tells of `event` at `now_wall`.
pub fn body(event: &AlertEvent, now_wall: Millis) -> Value {
    let data = &event.data;
    let mut labels = json!({
        "alertname": match data.watch.as_str() {
            "drift" => "DriftlineDrift",
            "performance" => "DriftlinePerformance",
            _ => "DriftlineQuality",
        },
        "model": data.model,
        "rule": data.rule,
        "watch": data.watch,
        "severity": data.severity,
    });
    // To Alertmanager an empty label is no label.
    for (name, value) in [("version", &data.version), ("segment", &data.segment)] {
        if !value.is_empty() {
            labels[name] = json!(value);
        }
    }
    let columns: Vec<&str> = data
        .columns
        .iter()
        .map(|change| change.column.as_str())
        .collect();
    let ends_at = if event.kind.is_firing() {
        now_wall + ENDS_AFTER
    } else {
        now_wall
    };
    json!([{
        "labels": labels,
        "annotations": {
            "summary": format!("{}: {}", event.subject, data.rule),
            "description": data.reason,
            "columns": columns.join(", "),
            "columns_total": data.columns_total.to_string(),
            "window": format!("{}/{}", data.window.start, data.window.end),
            "event_time": event.time,
            "event_id": event.id,
        },
        "startsAt": starts_at(&data.episode_start, now_wall),
        "endsAt": rfc3339(ends_at),
    }])
}

/// Not after now: a start behind the end is refused, and event time may run ahead of this clock.
fn starts_at(episode_start: &str, now_wall: Millis) -> String {
    match chrono::DateTime::parse_from_rfc3339(episode_start) {
        Ok(start) => rfc3339(start.timestamp_millis().min(now_wall)),
        Err(_) => rfc3339(now_wall),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DAY;
    use crate::notify::event::EventKind;
    use crate::notify::event::tests::{change, event};

    #[test]
    fn firing_and_resolved_have_the_same_labels_and_start() {
        let fired = body(
            &event(EventKind::DriftDetected, "delay", &[change("temp")]),
            30 * DAY,
        );
        let ended = body(&event(EventKind::DriftResolved, "delay", &[]), 31 * DAY);
        assert_eq!(
            fired[0]["labels"],
            json!({"alertname": "DriftlineDrift", "model": "delay", "version": "7", "rule": "inputs",
                   "watch": "drift", "severity": "ticket"})
        );
        assert_eq!(fired[0]["labels"], ended[0]["labels"]);
        assert_eq!(fired[0]["startsAt"], "1970-01-01T00:00:00Z");
        assert_eq!(fired[0]["startsAt"], ended[0]["startsAt"]);
        assert_eq!(fired[0]["endsAt"], "1970-01-31T00:05:00Z");
        assert_eq!(ended[0]["endsAt"], "1970-02-01T00:00:00Z");
        assert_eq!(fired[0]["annotations"]["columns"], "temp");
    }

    #[test]
    fn a_start_ahead_of_the_clock_is_now() {
        let mut early = event(EventKind::DriftResolved, "delay", &[]);
        early.data.episode_start = "2030-01-01T00:00:00Z".to_string();
        let told = body(&early, 30 * DAY);
        assert_eq!(told[0]["startsAt"], told[0]["endsAt"]);
    }
}
