//! What happens when an alert fires, and how often it may. Counted in event time, so that it can be replayed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::event::Millis;

use super::facts::Facts;
use super::fields::{At, Checker, Table, is_name};

/// What is asked of whoever is called. The event says it; whether it is done is the receiver's to decide.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: the event is told.
    Notify,
    /// To train a challenger, judge it, and ask a person.
    #[default]
    Propose,
    /// To train a challenger, and let it take over if it wins at the gate.
    Promote,
}

impl Mode {
    pub const ALL: [Mode; 3] = [Mode::Notify, Mode::Propose, Mode::Promote];

    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Notify => "notify",
            Mode::Propose => "propose",
            Mode::Promote => "promote",
        }
    }

    /// Whether a model is trained.
    pub fn retrains(self) -> bool {
        self != Mode::Notify
    }
}

/// A signed call: to somebody's own service, or to the receiver that trains.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    pub name: String,
    pub mode: Mode,
    pub webhook: String,
    /// Holds the `whsec_…` secret. Read by `notify`, never kept here.
    pub secret_file: PathBuf,
    /// Whether the address may lie inside (loopback, private ranges).
    pub allow_internal: bool,
    /// Least distance of two calls.
    pub cooldown: Millis,
    pub at_most: Option<AtMost>,
}

/// `at_most: 2 per 30d`, over any stretch of that length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtMost {
    pub count: u32,
    pub per: Millis,
}

/// Whether an action may be taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    Allowed,
    /// The last call is too recent.
    CoolingDown {
        until: Millis,
    },
    /// `at_most` is used up.
    Spent {
        until: Millis,
    },
}

impl Permit {
    /// The name that is logged, counted and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Permit::Allowed => "allowed",
            Permit::CoolingDown { .. } => "cooling_down",
            Permit::Spent { .. } => "at_most_reached",
        }
    }
}

impl Action {
    /// Decides from the event times of earlier calls, in any order; calls later than `now` are not counted.
    pub fn permit(&self, earlier: &[Millis], now: Millis) -> Permit {
        let mut earlier: Vec<Millis> = earlier.iter().copied().filter(|at| *at <= now).collect();
        earlier.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(last) = earlier.first()
            && now < last + self.cooldown
        {
            return Permit::CoolingDown {
                until: last + self.cooldown,
            };
        }
        if let Some(AtMost { count, per }) = self.at_most
            && let Some(at) = earlier.get(count as usize - 1)
            && now < at + per
        {
            return Permit::Spent { until: at + per };
        }
        Permit::Allowed
    }
}

const FIELDS: [&str; 6] = [
    "webhook",
    "secret_file",
    "allow_internal",
    "mode",
    "cooldown",
    "at_most",
];

pub(super) fn read<'a>(
    check: &mut Checker<'a>,
    name: &str,
    at: &At<'a>,
    facts: Facts<'_>,
) -> Option<Action> {
    if !is_name(name) {
        check.refuse(
            at,
            "the action's name is not usable",
            "use a-z, A-Z, 0-9, `_`, `-` and `.`",
        );
        return None;
    }
    let table = check.table(at, &FIELDS)?;
    let webhook = match table.get("webhook") {
        Some(at) => check.address(at),
        None => {
            check.missing(
                &table,
                "webhook",
                "write the address to call, for example `http://localhost:8081/retrain`",
            );
            None
        }
    };
    let secret_file = match table.get("secret_file") {
        Some(at) => check
            .text(at)
            .filter(|text| !holds_a_secret(check, at, text)),
        None => {
            check.missing(
                &table,
                "secret_file",
                "write the path of a file that holds a `whsec_…` secret",
            );
            None
        }
    };
    let mode = mode(check, &table, facts);
    let allow_internal = table
        .get("allow_internal")
        .and_then(|at| check.flag(at))
        .unwrap_or(false);
    let cooldown = table
        .get("cooldown")
        .and_then(|at| check.duration(at, 0))
        .unwrap_or(0);
    let at_most = table.get("at_most").and_then(|at| {
        let (count, per) = check.rate(at)?;
        if count.fract() != 0.0 || count > f64::from(u32::MAX) {
            check.refuse(
                at,
                "calls are counted in whole numbers",
                "write for example `2 per 30d`",
            );
            return None;
        }
        Some(AtMost {
            count: count as u32,
            per,
        })
    });
    Some(Action {
        name: name.to_owned(),
        mode: mode?,
        webhook: webhook?.to_owned(),
        secret_file: PathBuf::from(secret_file?),
        allow_internal,
        cooldown,
        at_most,
    })
}

/// What is asked for, [`Mode::Propose`] where nothing is said, and whether there is anything to train and to train on.
fn mode<'a>(check: &mut Checker<'a>, table: &Table<'a>, facts: Facts<'_>) -> Option<Mode> {
    let words = Mode::ALL.map(|mode| (mode.as_str(), mode));
    let (at, mode) = match table.get("mode") {
        Some(at) => (at, check.choice(at, &words)?),
        None => (table.at(), Mode::default()),
    };
    if !mode.retrains() {
        return Some(mode);
    }
    let asks = match table.get("mode") {
        Some(_) => "it asks for a new model",
        None => "without a mode it proposes a new model",
    };
    if let Some(task) = facts.task
        && task.kind().is_none()
    {
        check.refuse(
            at,
            &format!(
                "{asks}, and none is trained for a task of type {}",
                task.as_str()
            ),
            "write `mode: notify`, which calls your own service with the signed event",
        );
        return None;
    }
    let wrong = format!("{asks}, and no rows are kept to train on");
    facts
        .rows_are_kept(
            check,
            at,
            &wrong,
            ", or `mode: notify` to call your own trainer",
        )
        .then_some(mode)
}

/// Catches the secret itself where its file belongs, without repeating it.
pub(crate) fn holds_a_secret(check: &mut Checker<'_>, at: &At<'_>, text: &str) -> bool {
    let found = text.starts_with("whsec_");
    if found {
        check.hidden(
            at,
            "this is the secret itself",
            "put it into a file and write the file's path",
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DAY;

    #[track_caller]
    fn check(cooldown: Millis, at_most: Option<AtMost>, earlier: &[Millis], expect: Permit) {
        let action = Action {
            name: "retrain".to_owned(),
            mode: Mode::Notify,
            webhook: "http://localhost".to_owned(),
            secret_file: PathBuf::from("whsec"),
            allow_internal: true,
            cooldown,
            at_most,
        };
        assert_eq!(action.permit(earlier, 100 * DAY), expect);
    }

    #[test]
    fn cooling_down_ends_with_the_length_itself() {
        check(7 * DAY, None, &[], Permit::Allowed);
        check(
            7 * DAY,
            None,
            &[94 * DAY, 10 * DAY],
            Permit::CoolingDown { until: 101 * DAY },
        );
        check(7 * DAY, None, &[93 * DAY], Permit::Allowed);
        check(7 * DAY, None, &[103 * DAY], Permit::Allowed);
        check(0, None, &[100 * DAY], Permit::Allowed);
    }

    #[test]
    fn at_most_counts_any_stretch() {
        let twice = Some(AtMost {
            count: 2,
            per: 30 * DAY,
        });
        check(0, twice, &[90 * DAY], Permit::Allowed);
        check(
            0,
            twice,
            &[75 * DAY, 90 * DAY, 20 * DAY],
            Permit::Spent { until: 105 * DAY },
        );
        check(0, twice, &[70 * DAY, 90 * DAY], Permit::Allowed);
        check(
            20 * DAY,
            twice,
            &[75 * DAY, 90 * DAY],
            Permit::CoolingDown { until: 110 * DAY },
        );
    }
}
