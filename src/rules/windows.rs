//! How a model's time is cut: the `window` table of a declaration.

use crate::event::{HOUR, MINUTE, Millis, SECOND};
use crate::window::WindowSpec;

use super::duration;
use super::fields::{At, Checker, Table};

/// Shortest distance of windows: closing one costs a transaction and a comparison of every column.
const SHORTEST_WINDOW: Millis = 10 * SECOND;
/// Most panes of a sliding window; each is merged for every window that holds it.
const MOST_PANES: Millis = 1_000;
/// Most revisions of a window; each is a stored result.
const MOST_REVISIONS: u32 = 1_000;

const FIELDS: [&str; 8] = [
    "every",
    "span",
    "lateness",
    "revise_every",
    "late_horizon",
    "label_maturity",
    "label_horizon",
    "min_rows",
];

pub(super) fn read<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<WindowSpec> {
    let table = check.table(at, &FIELDS)?;
    let before = check.problems.len();
    let standard = WindowSpec::default();
    let mut length = |key: &str, least: Millis| table.get(key).map(|at| check.duration(at, least));
    let (every, span) = (
        length("every", SHORTEST_WINDOW),
        length("span", SHORTEST_WINDOW),
    );
    let lateness = length("lateness", 0).unwrap_or(Some(standard.lateness));
    let revise_every = length("revise_every", MINUTE);
    let late_horizon = length("late_horizon", 0).unwrap_or(Some(standard.late_horizon));
    let label_maturity = length("label_maturity", 0).unwrap_or(Some(standard.label_maturity));
    let label_horizon = length("label_horizon", 0);
    let min_rows = match table.get("min_rows") {
        Some(at) => check.whole_number(at, 1..=1_000_000_000),
        None => Some(standard.min_rows),
    };
    if every.is_none() && span.is_some() {
        check.missing(
            &table,
            "every",
            "write the distance of window starts, for example `5m`",
        );
        return None;
    }
    let every = every.unwrap_or(Some(standard.every))?;
    let span = span.unwrap_or(Some(every))?;
    if let Some(at) = table.get("span") {
        panes(check, at, every, span);
    }
    // Revisions of sliding windows fall on pane ends: an hour, or the next multiple of `every`.
    let usual = if span == every {
        standard.revise_every
    } else {
        round_up(HOUR, every)
    };
    let revise_every = revise_every.unwrap_or(Some(usual))?;
    let label_maturity = label_maturity?;
    // Labels that come after the usual month are as good as none, unless they are waited for longer still.
    let label_horizon =
        label_horizon.unwrap_or(Some(standard.label_horizon.max(label_maturity)))?;
    if let Some(at) = table.get("label_horizon")
        && label_horizon < label_maturity
    {
        let remedy = format!("write at least `{}`", duration::show(label_maturity));
        check.refuse(
            at,
            "labels change results until here, which is before `label_maturity`",
            &remedy,
        );
    }
    let spec = WindowSpec {
        every,
        span,
        lateness: lateness?,
        revise_every,
        late_horizon: late_horizon?,
        label_maturity,
        label_horizon,
        min_rows: min_rows?,
    };
    revisions(check, &table, &spec);
    (check.problems.len() == before).then_some(spec)
}

fn panes(check: &mut Checker<'_>, at: &At<'_>, every: Millis, span: Millis) {
    let every_text = duration::show(every);
    if span < every || span % every != 0 {
        let remedy = format!(
            "write a multiple of {every_text}, or leave `span` out for windows that do not overlap"
        );
        check.refuse(at, "the span is no multiple of `every`", &remedy);
    } else if span / every > MOST_PANES {
        let remedy = format!("write at most {MOST_PANES} times {every_text}, or a longer `every`");
        check.refuse(at, "the window has too many panes", &remedy);
    }
}

fn revisions<'a>(check: &mut Checker<'a>, table: &Table<'a>, spec: &WindowSpec) {
    let at = table.get("revise_every");
    if !spec.is_tumbling() && spec.revise_every % spec.every != 0 {
        if let Some(at) = at {
            let remedy = format!("write a multiple of {}", duration::show(spec.every));
            check.refuse(
                at,
                "revisions of sliding windows fall on multiples of `every`",
                &remedy,
            );
        }
    } else if spec.last_revision() > MOST_REVISIONS
        && let Some(at) = at.or(table.get("late_horizon"))
    {
        let wrong = format!("a window would have {} revisions", spec.last_revision());
        let remedy = format!(
            "have at most {MOST_REVISIONS}: a longer `revise_every` or a shorter `late_horizon`"
        );
        check.refuse(at, &wrong, &remedy);
    }
}

/// The least multiple of `unit` that is not below `length`.
fn round_up(length: Millis, unit: Millis) -> Millis {
    (length + unit - 1) / unit * unit
}
